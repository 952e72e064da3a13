"""How training and hashing scale with devices and processes: the commands, on generated pictures.

    python benchmarks/scaling.py

Each line of a table is the same work, a few seconds of it, done by one process with 1, 2, ...
virtual devices, or by 2, 4, ... processes of one device each. Printed are ratios to the first line.
On a machine with fewer cores than devices they show what sharing out costs.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# This process would hold an accelerator, and several of those that it starts would share one.
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
from environment import environment
from PIL import Image

from phash_jax.data import synthetic
from phash_jax.placement import num_cpu_cores

ROOT = Path(__file__).parent.parent
DEVICES, PROCESSES = (1, 2, 8), (2, 4)
_BATCH = 128


def command(config: str, workdir: Path, **fields) -> list[str]:
    return [
        sys.executable,
        "main.py",
        f"--config=configs/{config}.py",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]


def run_together(arguments: list[str], num_processes: int) -> None:
    """Runs a command in so many processes and waits for all."""
    joined: list[list[str]] = [[]]
    if num_processes > 1:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        joined = [
            [
                "--distributed",
                f"--coordinator=localhost:{port}",
                f"--num_processes={num_processes}",
                f"--process_id={number}",
            ]
            for number in range(num_processes)
        ]
    started = [
        subprocess.Popen(
            arguments + extra,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Else only the first row would compile, and the others would load what it kept.
            env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
        )
        for extra in joined
    ]
    said = [process.communicate()[1] for process in started]
    if any(process.returncode for process in started):
        sys.exit("\n".join(said))


def training_rate(folder: Path, *, num_seeds: int, devices: int, processes: int) -> float:
    """Images per second, all seeds, between the first and the last log line."""
    workdir = folder / f"train_{num_seeds}_{devices}_{processes}"
    fields = {
        "data.train_size": 2_000,
        "data.test_size": 200,
        "train.num_seeds": num_seeds,
        "train.batch_size": _BATCH,
        "train.num_steps": 15,
        "train.log_every": 5,
        "train.checkpoint_every": 15,
        "train.cpu_devices": devices,
    }
    run_together(command("original", workdir, **fields), processes)
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    seconds = records[-1]["seconds"] - records[0]["seconds"]
    return (records[-1]["step"] - records[0]["step"]) * _BATCH * num_seeds / seconds


def hashing_rate(folder: Path, pictures: Path, number: int, processes: int) -> float:
    """Pictures per second, start included."""
    workdir = folder / f"hash_{processes}"
    fields = {"pictures.path": pictures, "pictures.threads": 1, "pictures.part_size": 200}
    began = time.monotonic()
    run_together(command("hash_images", workdir, **fields), processes)
    return number / (time.monotonic() - began)


def write_pictures(folder: Path, number: int) -> None:
    images, _ = synthetic.generate(seed=0, split="train", num_images=64, image_size=96)
    large = [Image.fromarray(image).resize((640, 480)) for image in images]
    grain = np.random.default_rng(0)
    for i in range(number):
        pixels = np.asarray(large[i % len(large)]).copy()
        pixels[grain.integers(480), grain.integers(640)] ^= 255
        Image.fromarray(pixels).save(folder / f"{i:05d}.jpg")


def table(title: str, rates: dict[str, float]) -> None:
    print(f"\n{title}\n", flush=True)
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:34s} {rate / first:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=4_000, help="number of 640x480 JPEGs")
    parser.add_argument("--output", type=Path, help="a JSON file for the rates")
    arguments = parser.parse_args()
    kept: dict[str, dict[str, float]] = {}
    print(f"images per second, relative to the first line; {num_cpu_cores()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for num_seeds in (1, 4):
            rates = {
                f"1 process, devices: {devices}": training_rate(
                    folder, num_seeds=num_seeds, devices=devices, processes=1
                )
                for devices in DEVICES
            } | {
                f"{processes} processes of 1 device": training_rate(
                    folder, num_seeds=num_seeds, devices=1, processes=processes
                )
                for processes in PROCESSES
            }
            kept[f"training, seeds: {num_seeds}"] = rates
            table(f"training, seeds: {num_seeds}", rates)
        pictures = folder / "pictures"
        pictures.mkdir()
        write_pictures(pictures, arguments.pictures)
        title = "hashing a folder, 1 thread each"
        kept[title] = {
            f"processes: {processes}": hashing_rate(folder, pictures, arguments.pictures, processes)
            for processes in (1, *PROCESSES)
        }
        table(title, kept[title])
    if arguments.output:
        made = {
            "command": f"python benchmarks/scaling.py --pictures {arguments.pictures}",
            "cores": num_cpu_cores(),
            **environment("jax", "numpy"),
        }
        arguments.output.write_text(json.dumps(made | kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
