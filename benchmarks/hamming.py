"""Time to find all pairs within a radius, and the nearest codes, against faiss-cpu and NumPy.

    pip install -e ".[benchmarks]"
    python benchmarks/hamming.py

On a CPU this runs once with one core and once with two, each in a process of its own that is bound
to its cores before JAX starts. Rounds alternate, and the ratio is taken within each round. All
search the same codes, random ones and planted near-duplicates, and must find the same pairs and the
same nearest distances.
``IndexBinaryFlat.range_search`` of faiss lists pairs; its time is compared with counting as well as
with listing, and it cannot look at each pair only once. NumPy is timed on a tenth of the codes.
Without faiss the other rows are still printed.

The floor of a row is its pairs at the rate of population counts that the devices reach on words in
registers (floors.py): one count for each word of a pair and nothing else. On an accelerator 50,000
codes are too few: try ``--number 1000000``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from environment import backend, environment

FAISS = "faiss range_search"
NUMPY_SHARE = 10
# Words whose bits are counted for the floor, so many that a call takes milliseconds: starting it
# takes up to a tenth of a millisecond.
FLOOR_WORDS = {"cpu": 2**20}
MANY_FLOOR_WORDS = 2**24
FLOOR_REPEATS = 20
NEAREST, QUERIES = 3, 5000


def make_codes(number: int, words: int, radius: int) -> np.ndarray:
    """Random codes; the last tenth are copies of others with up to ``radius`` bits flipped."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**32, (number, words), np.uint32)
    num_planted = number // 10
    source = rng.integers(0, number - num_planted, num_planted)
    flips = np.zeros((num_planted, 32 * words), np.uint8)
    flips[:, :radius] = 1
    flips *= rng.integers(0, 2, flips.shape, np.uint8)
    flips = np.packbits(rng.permuted(flips, axis=1), axis=1).view(np.uint32)
    codes[number - num_planted :] = codes[source] ^ flips
    return codes


def numpy_count(a: np.ndarray, b: np.ndarray, radius: int) -> int:
    if a.shape[1] % 2 == 0:
        a, b = a.view(np.uint64), b.view(np.uint64)
    columns = [np.ascontiguousarray(column) for column in b.T]
    total = 0
    for row in a:
        bits = np.bitwise_count(columns[0] ^ row[0])
        for column, word in zip(columns[1:], row[1:], strict=True):
            bits = bits.astype(np.uint16) + np.bitwise_count(column ^ word)
        total += np.count_nonzero(bits <= radius)
    return int(total)


def faiss_index(codes: np.ndarray, num_cores: int):
    """All codes, to be searched with so many threads; None where faiss is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(num_cores)
    data = codes.view(np.uint8)
    index = faiss.IndexBinaryFlat(8 * data.shape[1])
    index.add(data)
    return index


def make_contenders(codes: np.ndarray, radius: int, num_cores: int) -> dict:
    """Functions without arguments that return the number of pairs, and how many each compares."""
    from phash_jax import hamming

    number = len(codes)
    every, once = number**2, number * (number - 1) // 2
    limit = 4 * number

    def listed(b):
        found = hamming.pairs_within(codes, b, radius=radius, max_pairs=limit)
        if len(found.left) < found.total:
            sys.exit(f"{found.total} pairs are too many to list: choose a smaller --radius")
        return found.total

    contenders = {
        "count": (lambda: hamming.count_within(codes, codes, radius=radius), every),
        "count, each pair once": (lambda: hamming.count_within(codes, radius=radius), once),
        "pairs": (lambda: listed(codes), every),
        "pairs, each pair once": (lambda: listed(None), once),
    }
    index, data = faiss_index(codes, num_cores), codes.view(np.uint8)
    if index is None:
        print("faiss-cpu is not installed: no comparison")
    else:
        # faiss counts distances below its radius.
        contenders[FAISS] = (lambda: len(index.range_search(data, radius + 1)[1]), every)
    return contenders


def check_pairs(codes: np.ndarray, radius: int, num_cores: int) -> None:
    """Compares the pairs themselves, not only their number, with those of faiss."""
    index = faiss_index(codes, num_cores)
    if index is None:
        return
    from phash_jax import hamming

    limits, distances, right = index.range_search(codes.view(np.uint8), radius + 1)
    left = np.repeat(np.arange(len(codes)), np.diff(limits).astype(np.int64))
    order = np.lexsort((right, left))
    found = hamming.pairs_within(codes, codes, radius=radius, max_pairs=len(left))
    assert found.total == len(left)
    for ours, theirs in zip(found[:3], (left, right, distances), strict=True):
        np.testing.assert_array_equal(ours, theirs[order])


def measure_nearest(codes: np.ndarray, rounds: int, num_cores: int) -> dict | None:
    """The codes nearest to some of them, by turns with ``IndexBinaryFlat.search`` of faiss."""
    index = faiss_index(codes, num_cores)
    if index is None:
        return None
    from phash_jax import hamming

    # The last ones, which have near-duplicates.
    queries = codes[-QUERIES:]
    expected, _ = index.search(queries.view(np.uint8), NEAREST)
    found = hamming.k_nearest(queries, codes, k=NEAREST)  # compiles
    np.testing.assert_array_equal(found.distance, expected)
    seconds, ratios = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        hamming.k_nearest(queries, codes, k=NEAREST)
        seconds.append(time.perf_counter() - start)
        # The threads of a library keep spinning for a while after its last operation.
        time.sleep(0.2)
        start = time.perf_counter()
        index.search(queries.view(np.uint8), NEAREST)
        ratios.append(seconds[-1] / (time.perf_counter() - start))
        time.sleep(0.2)
    low, middle, high = (float(q) for q in np.quantile(ratios, (0, 0.5, 1)))
    print(
        f"the {NEAREST} nearest of {len(queries)} of them: {np.median(seconds):.3f} s, "
        f"{middle:.2f} of the time of faiss search ({low:.2f}-{high:.2f})",
        flush=True,
    )
    return {"seconds": float(np.median(seconds)), "ratio_to_faiss": [low, middle, high]}


def measure(arguments: argparse.Namespace) -> dict:
    """All rounds in this process; prints the table and returns the record."""
    import floors
    import jax

    from phash_jax.placement import num_cpu_cores, use_cpu_cores

    use_cpu_cores(0)
    num_cores = num_cpu_cores()
    device = jax.devices()[0]
    codes = make_codes(arguments.number, arguments.words, arguments.radius)
    contenders = make_contenders(codes, arguments.radius, num_cores)
    totals = {name: run() for name, (run, _) in contenders.items()}  # compiles and warms up
    each_pair_once = (totals["count"] - len(codes)) // 2
    for name, total in totals.items():
        expected = each_pair_once if "once" in name else totals["count"]
        assert total == expected, f"{name} found {total} pairs, not {expected}"
    check_pairs(codes, arguments.radius, num_cores)
    tenth = codes[: len(codes) // NUMPY_SHARE]
    scale = len(codes) / len(tenth)
    if device.platform == "cpu":
        contenders["NumPy bitwise_count"] = (
            lambda: numpy_count(tenth, codes, arguments.radius),
            len(codes) ** 2,
        )
        from phash_jax import hamming

        expected = hamming.count_within(tenth, codes, radius=arguments.radius)
        assert numpy_count(tenth, codes, arguments.radius) == expected

    count_bits, counted = floors.count_bits(FLOOR_WORDS.get(device.platform, MANY_FLOOR_WORDS))
    count_bits()  # compiles
    seconds_a_count: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        for _ in range(FLOOR_REPEATS):
            count_bits()
        seconds = (time.perf_counter() - start) / FLOOR_REPEATS
        seconds_a_count.append(seconds / counted)
        for name, (run, _) in contenders.items():
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            times[name].append(seconds * scale if name.startswith("NumPy") else seconds)
            # The threads of a library keep spinning for a while after its last operation.
            time.sleep(0.2)

    print(
        f"\n{len(codes)} codes of {32 * arguments.words} bits, radius {arguments.radius}: ", end=""
    )
    print(f"{totals['count']} ordered pairs, {each_pair_once} with each pair once")
    print(f"{len(jax.devices())} x {device.device_kind}, {num_cores} CPU cores")
    print(f"{'':24}{'s':>8}{'10^9 pairs/s':>14}{'of floor':>10}{'x faiss':>20}")
    rows = {}
    for name, (_, num_pairs) in contenders.items():
        values = np.array(times[name])
        rate = num_pairs / np.median(values)
        ratio = values / np.array(times[FAISS]) if FAISS in times else None
        floor = num_pairs * arguments.words * np.array(seconds_a_count)
        share = float(np.median(floor / values))
        rows[name] = {
            "seconds": float(np.median(values)),
            "pairs_per_second": float(rate),
            "share_of_floor": share,
            "ratio_to_faiss": None
            if ratio is None
            else [float(q) for q in (ratio.min(), np.median(ratio), ratio.max())],
        }
        print(
            f"{name:24}{np.median(values):8.3f}{rate / 1e9:14.2f}"
            f"{share:>10.0%}"
            + ("" if ratio is None else f"{np.median(ratio):9.2f} ")
            + ("" if ratio is None else f"({ratio.min():.2f}-{ratio.max():.2f})")
        )
    print("medians over rounds; x faiss: time over faiss's in the same round (min-max)", flush=True)
    return {
        "device": device.device_kind,
        "devices": len(jax.devices()),
        "cores": num_cores,
        "pairs_in_order": totals["count"],
        "rows": rows,
        "nearest": measure_nearest(codes, arguments.rounds, num_cores),
    }


def measure_on_cores(num_cores: int, given: list[str]) -> dict:
    """``measure`` in a process bound to so many cores, which JAX looks up when it starts."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        command = [sys.executable, __file__, *given, "--output", record, "--bind", str(num_cores)]
        subprocess.run(command, check=True)
        return json.loads(record.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--number", type=int, default=50_000, help="codes")
    parser.add_argument("--words", type=int, default=2, help="32-bit words of a code")
    parser.add_argument("--radius", type=int, default=10, help="bits")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="CPU cores, in turn")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--bind", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if arguments.bind:
        os.sched_setaffinity(0, available[: arguments.bind])
        arguments.output.write_text(json.dumps(measure(arguments)))
        return
    if backend() == "cpu" and available:
        given = [
            f"--{name}={getattr(arguments, name)}"
            for name in ("number", "words", "radius", "rounds")
        ]
        runs = [
            measure_on_cores(count, given) for count in arguments.cores if count <= len(available)
        ]
    else:
        runs = [measure(arguments)]
    if arguments.output:
        record = {
            "command": "python benchmarks/hamming.py",
            **environment("jax", "numpy", "faiss-cpu"),
            "number": arguments.number,
            "bits": 32 * arguments.words,
            "radius": arguments.radius,
            "rounds": arguments.rounds,
            "runs": runs,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
