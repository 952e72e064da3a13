"""The command as a user runs it, in processes that find everything imported: they start at once."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SERVER = multiprocessing.get_context("forkserver")
# Imports only; no device is touched before the fork.
_SERVER.set_forkserver_preload(
    ["phash_jax.experiment", "phash_jax.hash_images", "matplotlib.pyplot", "grain"]
)


def _run(arguments: list[str], output: Path, errors: Path) -> None:
    _prepare(output, errors)
    sys.argv = ["main.py", *arguments]
    runpy.run_path("main.py", run_name="__main__")


def _run_code(code: str, arguments: list[str], output: Path) -> None:
    _prepare(output, output)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "-c", "exec"), {"__name__": "__main__"})


def _prepare(output: Path, errors: Path) -> None:
    for stream, path in ((1, output), (2, errors)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), stream)
    os.chdir(ROOT)
    # Nor is this a job of the cluster that the tests may run on.
    for name in list(os.environ):
        if name == "NPROC" or name.startswith(("SLURM_", "OMPI_", "KUBERNETES_")):
            del os.environ[name]
    # What the tests' own devices are compiled with does not matter here, and small networks spend
    # most of their time in being compiled well.
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    import jax

    from phash_jax import processes

    # All of them compile the same.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    # One that waits for a lost process keeps a core busy.
    processes._HEARTBEAT_SECONDS = 15
    sys.path.insert(0, str(ROOT))


def start(
    arguments: list[str], output: Path, errors: Path | None = None
) -> multiprocessing.Process:
    """Starts ``python main.py`` with arguments; what it prints is appended to files, or to one."""
    # One that a failed test leaves behind ends with the tests.
    process = _SERVER.Process(target=_run, args=(arguments, output, errors or output), daemon=True)
    process.start()
    return process


def start_code(code: str, arguments: list[str], output: Path) -> multiprocessing.Process:
    """As ``start``, of ``python -c`` with some code."""
    process = _SERVER.Process(target=_run_code, args=(code, arguments, output), daemon=True)
    process.start()
    return process


def run(arguments: list[str], timeout: float = 240) -> subprocess.CompletedProcess:
    """Runs ``python main.py`` with arguments to its end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output.txt", Path(folder) / "errors.txt"
        process = start(arguments, output, errors)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
        return subprocess.CompletedProcess(
            arguments, process.exitcode, output.read_text(), errors.read_text()
        )
