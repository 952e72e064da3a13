"""Images hashed per second against ImageHash, OpenCV and imagededup, in memory, same run.

    pip install -e ".[dev,benchmarks]" imagededup
    python benchmarks/hashing.py

Every contender hashes the same random images, which are in memory in the form it takes: one array
on the device for ours, one Pillow image or array each for the others. Rounds alternate, and ratios
are taken within each round. On a CPU one process is bound to one core and another to two; with
two, our batch is split over two virtual devices, and the others are tried with one thread and with
two; the ratio is to the faster ImageHash.
Libraries that are not installed are left out; OpenCV's and imagededup's bits are not ImageHash's.
The floor is the time in which the device reads and writes every byte of the batch once (floors.py);
its share of our time is printed beside our rate.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from environment import backend, environment, seconds_of

from phash_jax.placement import num_cpu_cores

NAMES = ("average_hash", "dhash", "phash")
# Image side, pixels: images in one call, per core; on a CPU as many as its caches hold.
CPU_BATCHES = {32: 256, 256: 32}
ACCELERATOR_BATCHES = {32: 262_144, 256: 8_192}
# Of one measurement.
MIN_SECONDS = 0.1
FLOOR = "floor"


def make_contenders(side: int, count: int, cores: int) -> dict[str, dict[str, tuple]]:
    """For each hash, each contender's ``(function, number of images it hashes)``."""
    import floors
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from phash_jax import hashing

    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    if len(jax.devices()) > 1:
        mesh = Mesh(np.array(jax.devices()), ("images",))
        on_device = jax.device_put(images, NamedSharding(mesh, PartitionSpec("images")))
    else:
        on_device = jax.device_put(images)
    touch, _ = floors.touch(on_device)
    contenders: dict[str, dict[str, tuple]] = {name: {FLOOR: (touch, count)} for name in NAMES}
    for name in NAMES:
        hash_all = jax.jit(hashing.HASHES[name])
        contenders[name]["phash_jax"] = (
            lambda hash_all=hash_all: hash_all(on_device).block_until_ready(),
            count,
        )
    few = images[: max(16, min(count, 8_000_000 // images[0].size // 8))]
    pool = ThreadPoolExecutor(cores)

    def add(name: str, contender: str, function: Callable, items: list) -> None:
        ways = {contender: map} | ({f"{contender}, threads": pool.map} if cores > 1 else {})
        for way, each in ways.items():
            contenders[name][way] = (lambda each=each: list(each(function, items)), len(items))

    try:
        import imagehash
        from PIL import Image

        pictures = [Image.fromarray(image) for image in few]
        for name in NAMES:
            add(name, "ImageHash", getattr(imagehash, name), pictures)
    except ImportError:
        print("ImageHash is not installed: no comparison")
    try:
        import cv2

        cv2.setNumThreads(1)
        add("average_hash", "OpenCV", cv2.img_hash.averageHash, list(few))
        add("phash", "OpenCV", cv2.img_hash.pHash, list(few))
    except (ImportError, AttributeError):
        print("opencv-contrib-python is not installed: no row for OpenCV")
    try:
        from imagededup.methods import AHash, DHash, PHash

        for name, method in zip(NAMES, (AHash, DHash, PHash), strict=True):
            encode = method(verbose=False).encode_image

            def function(image, encode=encode):
                return encode(image_array=image)

            add(name, "imagededup", function, list(few))
    except (ImportError, RuntimeError):  # the latter from a torchvision that does not fit torch
        print("imagededup cannot be imported: no row for it")
    return contenders


def measure(cores: int, rounds: int) -> dict:
    """Median seconds per image of every contender, and its ratio to ImageHash by round."""
    import jax

    from phash_jax.placement import use_cpu_cores

    if cores > 1:
        use_cpu_cores(cores)
    on_cpu = jax.devices()[0].platform == "cpu"
    batches = CPU_BATCHES if on_cpu else ACCELERATOR_BATCHES
    device = jax.devices()[0].device_kind
    rows = []
    for side, count in batches.items():
        per_core = cores if on_cpu else 1
        for name, contenders in make_contenders(side, count * per_core, cores).items():
            times: dict[str, list[float]] = {contender: [] for contender in contenders}
            repeats = {}
            for contender, (function, _) in contenders.items():
                function()  # compiles
                repeats[contender] = 1 + int(MIN_SECONDS / seconds_of(function, 1))
            for _ in range(rounds):
                for contender, (function, images) in contenders.items():
                    seconds = seconds_of(function, repeats[contender])
                    times[contender].append(seconds / images)
            for contender, values in times.items():
                row = {
                    "side": side,
                    "hash": name,
                    "contender": contender,
                    "images_per_second": float(1 / np.median(values)),
                }
                references = [t for name, t in times.items() if name.startswith("ImageHash")]
                if references and contender != FLOOR:
                    ratio = np.min(references, axis=0) / np.array(values)
                    row["times_imagehash"] = [
                        float(q) for q in (ratio.min(), np.median(ratio), ratio.max())
                    ]
                if contender == "phash_jax":
                    share = np.array(times[FLOOR]) / np.array(values)
                    row["share_of_floor"] = float(np.median(share))
                rows.append(row)
    return {"cores": cores, "device": device, "jax": jax.__version__, "rows": rows}


def show(result: dict) -> None:
    print(f"{result['device']}, {result['cores']} core(s)")
    print(f"{'pixels':>6}  {'hash':14}{'':20}{'images/s':>12}  x ImageHash (min-max)")
    for row in result["rows"]:
        ratio = row.get("times_imagehash")
        print(
            f"{row['side']:6}  {row['hash']:14}{row['contender']:20}"
            f"{row['images_per_second']:12,.0f}  "
            + (f"{ratio[1]:6.1f} ({ratio[0]:.1f}-{ratio[2]:.1f})" if ratio else "")
            + (
                f"  the floor is {row['share_of_floor']:.0%} of our time"
                if "share_of_floor" in row
                else ""
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cores", type=int, help="measure in this process, bound to this number")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: arguments.cores]))
        print(json.dumps(measure(arguments.cores, arguments.rounds)))
        return
    results = []
    # Where a process cannot be bound to some cores, on all there are.
    if backend() == "cpu" and hasattr(os, "sched_setaffinity"):
        for cores in (1, 2):
            done = subprocess.run(
                [sys.executable, __file__, f"--cores={cores}", f"--rounds={arguments.rounds}"],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            *messages, figures = done.stdout.strip().splitlines()
            print("\n".join(messages if cores == 1 else []))
            results.append(json.loads(figures))
            show(results[-1])
    else:
        results.append(measure(num_cpu_cores(), arguments.rounds))
        show(results[-1])
    if arguments.output:
        record = {
            "command": "python benchmarks/hashing.py",
            **environment(
                *("jax", "numpy", "ImageHash", "pillow", "imagededup"),
                "opencv-contrib-python-headless",
            ),
            "rounds": arguments.rounds,
            "results": results,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
