"""Memory of the command that hashes a folder of pictures, of mixed sizes.

    python benchmarks/memory.py

The folder is hashed once with a quarter of its pictures and once with all. Printed are the peak
memory of each (resident set size of the process) and the means over each fifth of its time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# This process would hold an accelerator, and several of those that it starts would share one.
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import psutil
from environment import environment
from PIL import Image

from phash_jax.data import synthetic
from phash_jax.placement import num_cpu_cores

ROOT = Path(__file__).parent.parent
_SECONDS_BETWEEN = 0.1
_SIDES = (24, 500)
_FIFTHS = 5


def write_pictures(folder: Path, number: int) -> None:
    """JPEG and PNG, colour and gray, each side a random number of pixels."""
    images, _ = synthetic.generate(seed=0, split="train", num_images=64, image_size=96)
    random = np.random.default_rng(0)
    for i in range(number):
        size = tuple(int(side) for side in random.integers(*_SIDES, 2))
        picture = Image.fromarray(images[i % len(images)]).resize(size)
        picture = picture.convert("L") if i % 7 == 0 else picture
        picture.save(folder / f"{i:06d}.{'png' if i % 3 == 0 else 'jpg'}")


def memory_of(arguments: list[str]) -> list[int]:
    """Runs a command and returns its resident bytes, measured several times a second."""
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
    )
    watched, resident = psutil.Process(process.pid), []
    while process.poll() is None:
        try:
            resident.append(watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(_SECONDS_BETWEEN)
    _, said = process.communicate()
    if process.returncode:
        sys.exit(said)
    # It is 0 for a process that has ended but was not waited for.
    return [size for size in resident if size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=20_000, help="number of pictures")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in (arguments.pictures // 4, arguments.pictures):
            pictures = folder / f"pictures_{number}"
            pictures.mkdir()
            write_pictures(pictures, number)
            resident = memory_of(
                [
                    sys.executable,
                    "main.py",
                    "--config=configs/hash_images.py",
                    f"--workdir={folder / f'run_{number}'}",
                    f"--config.pictures.path={pictures}",
                ]
            )
            fifths = [int(part.mean()) for part in np.array_split(np.array(resident), _FIFTHS)]
            found[f"{number} pictures"] = {"most_bytes": max(resident), "fifths_bytes": fifths}
            print(
                f"{number:,} pictures: at most {max(resident) / 2**20:,.0f} MiB; in fifths of the "
                f"time {', '.join(f'{fifth / 2**20:,.0f}' for fifth in fifths)}",
                flush=True,
            )
    few, many = (of["most_bytes"] for of in found.values())
    print(f"peak with all pictures, as a multiple of that with a quarter: {many / few:.2f}")
    if arguments.output:
        made = {
            "command": f"python benchmarks/memory.py --pictures {arguments.pictures}",
            "cores": num_cpu_cores(),
            **environment("jax", "numpy", "pillow"),
        }
        arguments.output.write_text(json.dumps(made | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
