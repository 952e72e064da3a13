"""What a figure is measured with: versions for the JSON files in results/, devices, a clock."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from phash_jax import processor


def environment(*packages: str) -> dict[str, object]:
    """Processor and versions: Python's and those of packages, None where one is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"processor": processor.name(), "versions": versions}


def backend() -> str:
    """What JAX would compute on: cpu, gpu or tpu.

    A process of its own asks, since JAX must not start in one that is to be bound to its cores.
    """
    ask = "import jax; print(jax.default_backend())"
    asked = subprocess.run(
        [sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, check=True
    )
    return asked.stdout.split()[-1]


def seconds_of(function: Callable, repeats: int) -> float:
    """Mean time of one call."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats
