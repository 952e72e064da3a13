"""Images distorted per second beside NumPy, SciPy, scikit-image, OpenCV and Pillow, in one run.

    pip install -e ".[dev]"
    python benchmarks/distortions.py

Ours distorts a batch, random draws included; the references in tests/references do what
CIFAR-10-C's own script does, one image after another, with NumPy's draws, and glass blur one pixel
after another as there. Frost has no reference: its photographs are not included. Rounds alternate,
and ratios are taken within each round. On a CPU everything is pinned to one core.
The floor, reading and writing every byte of the batch once (floors.py), is in the last column, as
a share of our time. --classify also measures how long a network takes for all of CIFAR-10-C, whose
images are made on the way.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  (after the paths)
from environment import backend, environment, seconds_of  # noqa: E402

SEVERITIES = (1, 2, 3, 4, 5)
CPU_BATCH, ACCELERATOR_BATCH = 256, 10_000
NUM_REFERENCE = 16
MIN_SECONDS = 0.05
# CIFAR-10's test set.
TEST_SIZE = 10_000


def make_references() -> dict[str, Callable]:
    """For each distortion with a reference, ``(generator, image, severity)`` to its image."""
    try:
        import cv2
        from references import blur, color, elastic, motion_blur, noise, pillow, spatter, weather
    except ImportError as error:
        print(f"{error.name} is not installed: no comparison")
        return {}
    cv2.setNumThreads(1)

    def shot_noise(rng, image, severity):
        photons = (500, 250, 100, 75, 50)[severity - 1]
        return blur.to_uint8(rng.poisson(image / 255.0 * photons) / photons)

    def glass_blur(rng, image, severity):
        moves = np.zeros(((1, 1, 1, 2, 2)[severity - 1], 2, *image.shape[:2]), int)
        for place in np.ndindex(len(moves), *image.shape[:2]):
            moves[place[0], :, place[1], place[2]] = rng.integers(0, 2, 2)
        return blur.glass_blur(image, severity, moves)

    def with_draws(reference, draw):
        return lambda rng, image, severity: reference(image, severity, *draw(rng, image.shape))

    def nothing(rng, shape):
        return ()

    def normal(rng, shape):
        return (rng.normal(size=shape),)

    return {
        "gaussian_noise": with_draws(noise.gaussian_noise, normal),
        "shot_noise": shot_noise,
        "impulse_noise": with_draws(noise.impulse_noise, lambda rng, shape: (rng.random(shape),)),
        "defocus_blur": with_draws(blur.defocus_blur, nothing),
        "glass_blur": glass_blur,
        "motion_blur": with_draws(
            motion_blur.motion_blur, lambda rng, shape: (rng.uniform(-45, 45),)
        ),
        "zoom_blur": with_draws(blur.zoom_blur, nothing),
        "snow": with_draws(
            weather.snow,
            lambda rng, shape: (rng.normal(size=shape[:2]), rng.uniform(-135, -45)),
        ),
        "fog": with_draws(weather.fog, lambda rng, shape: (rng.uniform(-1, 1, 1023),)),
        "brightness": with_draws(color.brightness, nothing),
        "contrast": with_draws(color.contrast, nothing),
        "elastic_transform": with_draws(
            elastic.elastic_transform,
            lambda rng, shape: (rng.uniform(-1, 1, (3, 2)), rng.uniform(-1, 1, (2, *shape[:2]))),
        ),
        "pixelate": with_draws(pillow.pixelate, nothing),
        "jpeg_compression": with_draws(pillow.jpeg_compression, nothing),
        "speckle_noise": with_draws(noise.speckle_noise, normal),
        "gaussian_blur": with_draws(blur.gaussian_blur, nothing),
        "spatter": with_draws(spatter.spatter, lambda rng, shape: (rng.normal(size=shape[:2]),)),
        "saturate": with_draws(color.saturate, nothing),
    }


def measure(rounds: int) -> dict:
    """Milliseconds per image, means over the severities, and ratios by round."""
    import floors
    import jax
    import jax.numpy as jnp

    from phash_jax.data import synthetic
    from phash_jax.distortions import DISTORTIONS

    on_cpu = jax.devices()[0].platform == "cpu"
    count = CPU_BATCH if on_cpu else ACCELERATOR_BATCH
    pictures, _ = synthetic.generate(
        seed=0, split="test", num_images=CPU_BATCH, image_size=32, class_names=("cat", "dog")
    )
    images = jax.device_put(np.resize(pictures, (count, 32, 32, 3)))
    keys = jax.random.split(jax.random.key(0), count)
    few, rng = pictures[:NUM_REFERENCE], np.random.default_rng(0)
    references = make_references()
    touch, _ = floors.touch(images)
    rows = []
    for name, distortion in DISTORTIONS.items():
        distort = jax.jit(jax.vmap(distortion, in_axes=(0, 0, None)))
        levels = [jnp.int32(severity) for severity in SEVERITIES]

        def ours(distort=distort, levels=levels):
            for level in levels:
                distort(keys, images, level).block_until_ready()

        def theirs(name=name):
            for severity in SEVERITIES:
                for image in few:
                    references[name](rng, image, severity)

        def floor():
            for _ in SEVERITIES:
                touch()

        ways = {"phash_jax": (ours, count), "floor": (floor, count)}
        if name in references:
            ways["reference"] = (theirs, len(few))
        times: dict[str, list[float]] = {way: [] for way in ways}
        repeats = {}
        for way, (function, _) in ways.items():
            function()  # compiles
            repeats[way] = 1 + int(MIN_SECONDS / seconds_of(function, 1))
        for _ in range(rounds):
            for way, (function, number) in ways.items():
                seconds = seconds_of(function, repeats[way]) / number / len(SEVERITIES)
                times[way].append(1e3 * seconds)
        row = {"distortion": name} | {way: float(np.median(t)) for way, t in times.items()}
        if "reference" in times:
            ratio = np.array(times["reference"]) / np.array(times["phash_jax"])
            row["ratio"] = [float(q) for q in (ratio.min(), np.median(ratio), ratio.max())]
        share = np.array(times["floor"]) / np.array(times["phash_jax"])
        row["share_of_floor"] = float(np.median(share))
        rows.append(row)
        print(line_of(row), flush=True)
    return {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rows": rows}


def line_of(row: dict) -> str:
    text = f"{row['distortion']:20}{row['phash_jax']:10.5f} ms"
    compared = ""
    if "ratio" in row:
        low, middle, high = row["ratio"]
        compared = f"{row['reference']:10.4f} ms {middle:8.1f} ({low:.1f}-{high:.1f}) times"
    return f"{text}{compared:44}{row['share_of_floor']:7.1%}"


def totals(rows: list[dict]) -> dict[str, float]:
    """Sums over all of CIFAR-10-C's distortions that have a reference."""
    compared = [row for row in rows if "ratio" in row]
    ours, theirs = (sum(row[way] for row in compared) for way in ("phash_jax", "reference"))
    return {
        "compared": len(compared),
        "phash_jax": ours,
        "reference": theirs,
        "ratio": theirs / ours,
    }


def classify() -> float:
    """Seconds in which a network of the study's size classifies 10,000 images in 19 x 5 forms."""
    import jax
    import jax.numpy as jnp

    from configs import default
    from phash_jax.data.dataset import Split
    from phash_jax.distortions import DISTORTIONS, GROUPS
    from phash_jax.distortions.draws import distortion_key
    from phash_jax.model import make_model
    from phash_jax.networks import Networks
    from phash_jax.robustness import ResidentBatches, make_count_correct

    images = np.random.default_rng(0).integers(0, 256, (TEST_SIZE, 32, 32, 3), np.uint8)
    split = Split(images, np.zeros(TEST_SIZE, np.int32), np.arange(TEST_SIZE).astype(str))
    model = make_model(
        default.get_config().model, num_classes=10, platform=jax.devices()[0].platform
    )
    variables = jax.vmap(lambda key: model.init(key, jnp.zeros((1, 32, 32, 3)), train=False))(
        jax.random.split(jax.random.key(0), 1)
    )
    network = Networks(
        name="net",
        folder=Path(),
        seeds=[0],
        step=0,
        preprocess="raw",
        data={},
        sha256="",
        model=model,
        variables=variables,
        test_flip=False,
        test_shift=0,
        image_shape=(32, 32, 3),
    )
    batches = ResidentBatches(split, batch_size=TEST_SIZE, devices=jax.devices())
    variables = [jax.device_put(network.variables, batches.replicated)]
    jobs = []
    for name in (*GROUPS["cifar10c"], *GROUPS["extra"]):
        count = make_count_correct([network], DISTORTIONS[name], batches)
        key = distortion_key(0, name, 0)
        jobs += [(count, key, jnp.int32(severity)) for severity in SEVERITIES]

    def run_all():
        counts = [
            count(variables, *batch, key, severity)
            for count, key, severity in jobs
            for batch in batches.batches
        ]
        jax.block_until_ready(counts)

    run_all()  # compiles
    return seconds_of(run_all, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classify", action="store_true")
    parser.add_argument("--classify-alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    if arguments.classify_alone:
        print(classify())
        return
    seconds = None
    if arguments.classify:
        # First and in a process of its own: with all cores, and all memory of an accelerator.
        command = [sys.executable, __file__, "--classify-alone"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = float(done.stdout.split()[-1])
        print(f"950,000 images made and classified in {seconds:.1f} s")
    if backend() == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    result = {
        "command": " ".join(["python", *sys.argv]),
        **environment(
            *("jax", "numpy", "scipy", "scikit-image", "pillow"),
            "opencv-contrib-python-headless",
        ),
        **measure(arguments.rounds),
    }
    if any("ratio" in row for row in result["rows"]):
        result["total"] = totals(result["rows"])
        print(
            "{compared} of CIFAR-10-C's 19 together: ours {phash_jax:.3f} ms an image, the "
            "references {reference:.2f} ms, {ratio:.1f} times".format(**result["total"])
        )
    if seconds is not None:
        result["classify_seconds"] = seconds
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
