"""Time until main.py answers, and until the quickstart has made its first training step.

    python benchmarks/startup.py

Each in a process of its own, as a user starts it, round after round: `--help`, which loads nothing
that it does not need; and the quickstart's first network, told to log its first step, from the
command to the line in metrics.jsonl, once with nothing compiled before and once with the programs
that the start before has kept. The floor of the latter is the time to import the libraries they
use, that of `--help` the start of Python itself.
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
from environment import environment

from phash_jax.placement import num_cpu_cores

ROOT = Path(__file__).parent.parent
FLOORS = {
    "python": "pass",
    "imports": "import jax, flax.linen, optax, orbax.checkpoint; jax.numpy.zeros(1) + 1",
}
FIRST_STEP = ("only=original", "train.num_steps=50", "train.log_every=1", "train.num_seeds=2")
# Seconds aimed at.
AIMS = {"--help": 2, "first step, nothing compiled before": 15}


def until_ended(arguments: list[str]) -> float:
    start = time.perf_counter()
    # absl exits with 1 after --help.
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True)
    return time.perf_counter() - start


def until_first_step(folder: Path, cache: Path) -> float:
    """Seconds from the command to the first line of metrics.jsonl."""
    fields = [f"--config.{field}" for field in FIRST_STEP]
    command = ["main.py", "--config=configs/quickstart.py", f"--workdir={folder}", *fields]
    metrics = folder / "original" / "metrics.jsonl"
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not (metrics.exists() and metrics.stat().st_size):
            if process.poll() is not None:
                raise SystemExit(f"no first step:\n{process.stderr.read().decode()}")
            time.sleep(0.01)
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.communicate()


def measure(rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            found = {label: until_ended(["-c", code]) for label, code in FLOORS.items()}
            found["--help"] = until_ended(["main.py", "--help"])
            for kind in ("nothing compiled before", "compiled before"):
                found[f"first step, {kind}"] = until_first_step(folder / kind, folder / "cache")
        for label, seconds in found.items():
            times.setdefault(label, []).append(seconds)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    times = measure(arguments.rounds)
    print(f"{'':36}{'seconds':>9}{'lowest':>9}{'highest':>9}{'aim':>6}")
    for label, seconds in times.items():
        print(
            f"{label:36}{np.median(seconds):9.2f}{min(seconds):9.2f}{max(seconds):9.2f}"
            f"{AIMS.get(label, ''):>6}"
        )
    if arguments.output:
        record = {
            "command": "python benchmarks/startup.py",
            **environment("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"),
            "cores": num_cpu_cores(),
            "seconds": times,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
