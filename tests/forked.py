"""The command as a user runs it, in processes that find everything imported: they start at once."""

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SERVER = multiprocessing.get_context("forkserver")
# Imports only; no device is touched before the fork.
_SERVER.set_forkserver_preload(
    ["phash_jax.experiment", "phash_jax.hash_images", "matplotlib.pyplot", "grain"]
)


def _run(arguments: list[str], output: Path) -> None:
    with output.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(ROOT)
    os.environ.pop("NPROC", None)
    # What the tests' own devices are compiled with does not matter here, and small networks spend
    # most of their time in being compiled well.
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    import jax

    # All of them compile the same.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    sys.path.insert(0, str(ROOT))
    sys.argv = ["main.py", *arguments]
    runpy.run_path("main.py", run_name="__main__")


def start(arguments: list[str], output: Path) -> multiprocessing.Process:
    """Starts ``python main.py`` with arguments; what it prints is appended to a file."""
    process = _SERVER.Process(target=_run, args=(arguments, output))
    process.start()
    return process
