"""What an accelerator computes beside the CPU of the same machine, value for value.

    python benchmarks/exactness.py

On the CPU the tests compare hashes with ImageHash, and distortions with the libraries they come
from; so what is equal to the CPU's is equal to those. Printed is, for every hash, every input of
the network and every distortion, the share of values that differ, and for distortions by how much;
hashes that either device reports as fragile are left out. Hashes, all inputs but the DCT's, and the
distortions that are computed in integers must not differ, nor may what a search finds differ from
what NumPy finds. A training of a few steps is done twice and must come out byte for byte. If any of
these fails, the exit status is 1.

JAX must see both devices, so JAX_PLATFORMS must be unset.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import jax
import jax.numpy as jnp
import numpy as np
from environment import environment

from phash_jax import codes, hamming
from phash_jax.distortions import DISTORTIONS
from phash_jax.hashing import HASHES
from phash_jax.preprocess import PREPROCESS

# Number and size of the images: odd ones, and a batch large enough for an accelerator's own ways.
SHAPES = ((1, 32, 32, 3), (3, 33, 47, 3), (1000, 32, 32, 3), (8, 256, 256, 3))
SEVERITY = 3
NUM_CODES, RADIUS, NEAREST = 3_000, 20, 5
TRAININGS = {"original": 10, "phash": 10, "best_raw": 6, "best_phash": 6}
STEPS = 20
# Computed in float32, where sums may be rounded otherwise.
INEXACT_INPUTS = ("dct_hash",)
EXACT_DISTORTIONS = ("brightness", "defocus_blur", "glass_blur", "jpeg_compression", "pixelate")


def make_images(shapes: Iterable[tuple[int, ...]]) -> list[np.ndarray]:
    """Half noise, half slopes: pictures that compress in different ways."""
    rng = np.random.default_rng(0)
    made = []
    for number, height, width, channels in shapes:
        noise = rng.integers(0, 256, (number, height, width, channels))
        slope = np.linspace(0, 255, height * width).reshape(height, width, 1)
        share = rng.random((number, 1, 1, 1)).round()
        made.append((share * noise + (1 - share) * (0.8 * slope + 0.2 * noise)).astype(np.uint8))
    return made


def on(device: jax.Device, function: Callable, *arguments):
    """The function's result, compiled for a device and computed there, as NumPy arrays."""
    placed = jax.device_put(arguments, device)
    return jax.tree.map(np.asarray, jax.jit(function)(*placed))


def compared(
    functions: Mapping[str, Callable],
    images: Iterable[np.ndarray],
    devices: tuple[jax.Device, jax.Device],
    *,
    exact: Collection[str],
) -> dict[str, dict]:
    """For each function the share of values that differ between two devices, and by how much.

    Args:
        functions: by name, of a batch of images; one that returns a ``Decision`` is a hash.
        images: batches, uint8 ``[n, h, w, c]``.
        devices: the two.
        exact: names of those that must not differ.
    """
    rows = {}
    for name, function in functions.items():
        differing = values = left_out = 0
        most = 0.0
        for batch in images:
            ours, theirs = (on(device, function, batch) for device in devices)
            if hasattr(ours, "fragile"):
                decided = ~(ours.fragile | theirs.fragile)
                left_out += int((~decided).sum())
                ours, theirs = ours.bits[decided], theirs.bits[decided]
            away = np.abs(ours.astype(float) - theirs.astype(float))
            differing, values = differing + int((away > 0).sum()), values + away.size
            most = max(most, float(away.max(initial=0)))
        rows[name] = {
            "differing": differing,
            "values": values,
            "most": most,
            "fragile": left_out,
            "failed": name in exact and differing > 0,
        }
        print(line_of(name, rows[name]), flush=True)
    return rows


def line_of(name: str, row: dict) -> str:
    """A row of the table."""
    share = row["differing"] / max(1, row["values"])
    fragile = f", {row['fragile']} fragile left out" if row["fragile"] else ""
    failed = "  FAILED" if row["failed"] else ""
    return f"{name:28}{share:12.2e} differ, by at most {row['most']:g}{fragile}{failed}"


def searches(device: jax.Device) -> dict[str, bool]:
    """Whether each search finds what NumPy finds."""
    rng = np.random.default_rng(0)
    words = np.asarray(codes.pack(jnp.asarray(rng.random((NUM_CODES, 8, 8)) < 0.5)))
    bits = np.bitwise_count(words[:, None] ^ words[None]).sum(-1, dtype=np.int32)
    left, right = np.nonzero(np.triu(bits <= RADIUS, 1))
    listed = hamming.pairs_within(words, radius=RADIUS, max_pairs=len(left), devices=[device])
    nearest = hamming.k_nearest(words[:100], words, k=NEAREST, devices=[device])
    # Equally near codes come by index, as a stable sort leaves them.
    expected = np.argsort(bits[:100], axis=1, kind="stable")[:, :NEAREST]
    found = {
        "count_within": hamming.count_within(words, radius=RADIUS, devices=[device]) == len(left),
        "pairs_within": np.array_equal(np.stack(listed[:2]), np.stack([left, right])),
        "k_nearest": np.array_equal(nearest.index, expected),
    }
    for name, same in found.items():
        print(f"{name:28}{'as NumPy' if same else 'not as NumPy  FAILED'}", flush=True)
    return found


def trainings(device: jax.Device, names: Mapping[str, int], *, num_steps: int) -> dict[str, bool]:
    """Whether each config's training comes out byte for byte when it is done again."""
    import importlib

    from phash_jax.placement import SEED, place, split_groups
    from phash_jax.train import make_init_and_step, make_train_interval

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (512, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 2, 512).astype(np.int32)
    found = {}
    for name, num_seeds in names.items():
        config = importlib.import_module(f"configs.{name}").get_config()
        config.train.num_steps = num_steps
        placement = place(num_seeds=num_seeds, batch_size=config.train.batch_size, devices=[device])
        init, step = make_init_and_step(config, placement, image_shape=(32, 32, 3), num_classes=2)
        whole = jax.device_put((images, labels), placement.sharding())

        def train(init=init, step=step, placement=placement, num_seeds=num_seeds, whole=whole):
            state = jax.device_put(init(jnp.arange(num_seeds)), placement.sharding(SEED))
            interval = make_train_interval(step, placement)
            groups, _ = interval(split_groups(state, placement), lambda: whole, num_steps)
            return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(groups)]

        found[name] = train() == train()
        said = "byte for byte" if found[name] else "otherwise the second time  FAILED"
        print(f"training {name:19}{said}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    try:
        devices = (jax.devices()[0], jax.devices("cpu")[0])
    except RuntimeError as error:
        sys.exit(f"JAX must see the CPU too: unset JAX_PLATFORMS ({error})")
    if devices[0].platform == "cpu":
        sys.exit("JAX sees no accelerator, so there is nothing to compare")
    images = make_images(SHAPES)
    hashes = {name: lambda batch, of=of: of(batch, with_margin=True) for name, of in HASHES.items()}
    inputs = {name: jax.vmap(of) for name, of in PREPROCESS.items()}
    exact = set(inputs) - set(INEXACT_INPUTS)
    distorted = {
        name: lambda batch, of=of: jax.vmap(of, (0, 0, None))(
            jax.random.split(jax.random.key(0), len(batch)), batch, SEVERITY
        )
        for name, of in DISTORTIONS.items()
    }
    rows = {
        "hashes": compared(hashes, images, devices, exact=set(hashes)),
        "inputs": compared(inputs, images[:3], devices, exact=exact),
        "distortions": compared(distorted, images[:3], devices, exact=EXACT_DISTORTIONS),
    }
    found = searches(devices[0]) | trainings(devices[0], TRAININGS, num_steps=STEPS)
    failed = [name for of in rows.values() for name, row in of.items() if row["failed"]]
    failed += [name for name, held in found.items() if not held]
    if arguments.output:
        made = {
            "command": "python benchmarks/exactness.py",
            "device": devices[0].device_kind,
            **environment("jax", "jaxlib", "numpy"),
        }
        arguments.output.write_text(json.dumps(made | rows | {"same": found}, indent=2) + "\n")
    if failed:
        sys.exit(f"not as it must be: {', '.join(failed)}")


if __name__ == "__main__":
    main()
