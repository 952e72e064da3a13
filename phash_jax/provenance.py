"""provenance.json: with which command, code, libraries and machine a workdir was made."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax

from phash_jax import processes, processor
from phash_jax.json_files import damaged, read_json, write_json
from phash_jax.placement import num_cpu_cores

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow")
_SOURCE = Path(__file__).parent


def record(workdir: Path) -> None:
    """Adds this start of the program to the workdir's ``provenance.json``.

    A workdir that is resumed by another command, commit or machine keeps every one of them.
    """
    starts = read(workdir)
    entry = {
        "command": shlex.join(["python", *sys.argv]),
        "commit": _commit(),
        "hardware": _hardware(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    # Starting the same thing again adds nothing new.
    if not starts or {**starts[-1], "started": None} != {**entry, "started": None}:
        entry["started"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
        write_json(workdir / "provenance.json", [*starts, entry])


def read(workdir: Path) -> list[dict[str, Any]]:
    """All starts recorded in a workdir, oldest first; none where there is no such file.

    Raises:
        ValueError: the file is damaged.
    """
    path = workdir / "provenance.json"
    if not path.exists():
        return []
    then = "delete it to have it made anew"
    starts = read_json(path, list, then=then)
    if not all(
        isinstance(start, dict)
        and all(isinstance(start.get(field), str) for field in ("command", "commit"))
        and isinstance(start.get("versions", {}), dict)
        for start in starts
    ):
        raise damaged(path, "it holds something other than starts", then)
    return starts


def _commit() -> str:
    """The commit of the code, with a plus when files differ from it; empty outside git."""
    try:
        # Installed within a folder that is somebody else's repository, it is not of that one.
        _git("ls-files", "--error-unmatch", ".")
        return _git("describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_SOURCE, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _hardware() -> str:
    devices = jax.devices()
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {devices[0].device_kind}"
    cores = num_cpu_cores()
    together = f"{processes.count()} processes of " if processes.count() > 1 else ""
    return f"{together}{cores} core{'s' * (cores > 1)} of {processor.name()}"
