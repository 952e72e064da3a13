"""Keeps compiled programs, so that not every run or start of the command compiles its own."""

import contextlib
import hashlib
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
from absl import logging
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from phash_jax import processor

# The programs of a job are some megabytes; those used longest ago are removed.
_MAX_BYTES = 1 << 30
# What compiles faster than this costs as much to load.
_MIN_SECONDS = 0.1


def programs_folder() -> Path:
    """Where this user's compiled programs are kept: in ``XDG_CACHE_HOME``, usually ``~/.cache``."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    # Programs for one kind of processor may not run on another.
    kind = f"{platform.machine()} {processor.features()}"
    kind = hashlib.sha256(kind.encode()).hexdigest()[:12]
    return Path(caches) / "phash_jax" / f"programs-{kind}"


@contextlib.contextmanager
def _writable_folder() -> Iterator[str]:
    folder = _kept_folder()
    # Outside the except block, so that what fails in the job is not linked to this failure.
    if folder is not None:
        yield str(folder)
        return
    with tempfile.TemporaryDirectory(prefix="phash_jax-", ignore_cleanup_errors=True) as temporary:
        yield temporary


def _kept_folder() -> Path | None:
    """The folder, made if it is not there; None where it cannot be written."""
    try:
        folder = programs_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        logging.warning("compiled programs are not kept for the next start: %s", error)
        return None


@contextlib.contextmanager
def kept_programs() -> Iterator[None]:
    """Within it, a program that was compiled before is loaded instead of compiled again.

    Runs of a sweep that differ in seeds, in data of the same shape or in how weights start have the
    same programs, and so does a resumed run. JAX's compilation cache identifies them by their
    content, XLA's version and the device. It lies in ``programs_folder()`` and is limited to 1 GiB;
    if that cannot be written, in a temporary folder for this start only. A folder that the user has
    named (``JAX_COMPILATION_CACHE_DIR``) is used as JAX would; ``JAX_ENABLE_COMPILATION_CACHE=0``
    turns all of it off.
    """
    if jax.config.jax_compilation_cache_dir:
        yield
        return
    with _writable_folder() as folder:
        chosen = {
            "jax_compilation_cache_dir": folder,
            "jax_compilation_cache_max_size": _MAX_BYTES,
            "jax_persistent_cache_min_compile_time_secs": _MIN_SECONDS,
        }
        before = {name: getattr(jax.config, name) for name in chosen}
        _configure(chosen)
        try:
            yield
        finally:
            _configure(before)


def _configure(options: dict) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    # JAX asks for the folder once, when it first compiles.
    reset_cache()
