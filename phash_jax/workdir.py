"""The folder of a run: claimed for one config, and refused to another."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from phash_jax.checks import names
from phash_jax.data.dataset import Dataset, fingerprint
from phash_jax.errors import UserError, listed
from phash_jax.fields import FREE_FIELDS, LATER_FIELDS, PATHS, is_read
from phash_jax.json_files import damaged, read_json, write_json

# What a run that failed before any work leaves, and the next one makes anew.
_BEFORE_WORK = {
    *("config.json", "provenance.json", "failure.json", "report.html", "report.md", "dataset.txt")
}
_OF_THE_CONFIG = {"examples.png", "images.json", "teacher.json"}
# What runs write after their config.json; without that, files of these names are somebody else's.
_WRITTEN_LATER = (
    *("checkpoints", "metrics.jsonl", "results.json", "report.html", "report.md", "mistakes.png"),
    *("grid.jsonl", "networks.json", "distortions.png", "unaggregated_results.csv"),
    *("pictures.json", "catalog.parquet", "unreadable.csv", "warnings.csv", "near_duplicates.csv"),
    *("near_duplicates.png", "arrays.npz", "hash_study.json", "hash_study.md"),
)


class WorkdirError(UserError):
    """The folder cannot be used for this config."""


def flatten(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields as one dict with dotted names; tuples as lists, as JSON has them."""
    flat = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes the folder if needed and keeps it from other processes that lock it too.

    The lock is the system's on the folder itself: nothing is left behind, however the process ends.
    Where there are no such locks (Windows, some network file systems) nothing is locked.

    Raises:
        WorkdirError: another process uses the folder, or it cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(workdir, error) from error
    try:
        import fcntl

        folder = os.open(workdir, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(folder)
        raise WorkdirError(
            f"another process is running in --workdir={workdir}: wait until it ends or choose "
            "another folder"
        ) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(folder)


def _cannot_write(workdir: Path, error: OSError) -> WorkdirError:
    return WorkdirError(
        f"cannot write to --workdir={workdir} ({error.strerror}): choose another folder"
    )


def stored_config(workdir: Path) -> dict[str, Any]:
    """The fields of ``config.json``, with those that were added after the run was made.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged.
    """
    path, then = workdir / "config.json", "choose another --workdir"
    fields = read_json(path, dict, then=then)
    for name, value in LATER_FIELDS.items():
        *sections, field = name.split(".")
        section = fields
        for key in sections:
            section = section.get(key, {})
            if not isinstance(section, dict):
                raise damaged(path, f"{key} is not a section", then)
        section.setdefault(field, value)
    return fields


def _is_unused(workdir: Path) -> bool:
    """Whether there is nothing but what is written before any work begins."""
    return all(
        # Also one that a kill has left unfinished.
        path.name.removesuffix(".partial") in _BEFORE_WORK | _OF_THE_CONFIG
        or path.parent.name == "figures"
        or path.is_dir()
        for path in workdir.rglob("*")
    )


def keep(
    workdir: Path, file: str, now: dict[str, Any], *, what: str, shown_in: Sequence[str] = ()
) -> None:
    """Notes in a file what a run is begun with, or checks that it is still the same.

    In a folder in which nothing has been made yet, it may be replaced.

    Args:
        workdir: of the run.
        file: name of a JSON file.
        now: has ``sha256``, which decides; the rest is for the reader.
        what: the things noted, in the plural and with the field that names them, for the message.
        shown_in: files that show them, removed where something else takes their place.

    Raises:
        ValueError: the run was begun with something else, or the file is damaged.
    """
    path = workdir / file
    if path.exists():
        begun = read_json(path, dict, then="choose another --workdir")
        if begun.get("sha256") == now["sha256"]:
            return
        if not _is_unused(workdir):
            raise ValueError(
                f"{what} are not those that this run was begun with ({path}): choose another "
                "--workdir, or restore them"
            )
        for name in shown_in:
            (workdir / name).unlink(missing_ok=True)
    write_json(path, now)


def keep_images(workdir: Path, dataset: Dataset, *, source: str) -> None:
    """As ``keep``, in ``images.json``: a run resumes only with the images that it was begun with.

    Args:
        workdir: of the run.
        dataset: its images.
        source: ``config.data.name``. Generated images are not checked: their fields decide them,
            and another machine may round them differently.
    """
    if source == "synthetic":
        return
    now = {
        "sha256": fingerprint(dataset),
        "train": list(dataset.train.images.shape),
        "test": list(dataset.test.images.shape),
        "class_names": list(dataset.class_names),
    }
    what = "the images of config.data, as they are read on this machine,"
    keep(workdir, "images.json", now, what=what, shown_in=["examples.png"])


def image_shape_of(workdir: Path) -> tuple[int, int, int] | None:
    """Height, width and channels of the images that a run was begun with, where that is known."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        height, width, channels = read_json(workdir / "images.json", dict, then="")["train"][1:]
        return height, width, channels
    return None


def _normal(field: str, value: Any) -> Any:
    """A field's value, with paths made absolute."""
    if field not in PATHS or not isinstance(value, str):
        return value
    return [os.path.abspath(Path(path).expanduser()) for path in names(value)]


def claim(workdir: Path, config: ml_collections.ConfigDict) -> None:
    """Makes the folder if needed and writes ``config.json``, or checks the one that is there.

    A folder in which nothing has been made yet, since the run failed early, takes another config.

    Raises:
        WorkdirError: the folder cannot be written, holds what no run has left there, or belongs to
            a config that differs in what the job reads; the message names the fields and both
            values.
    """
    path = workdir / "config.json"
    wanted = config.to_dict()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if others := [name for name in _WRITTEN_LATER if (workdir / name).exists()]:
                raise WorkdirError(
                    f"--workdir={workdir} holds {listed(others)}, but no config.json of a run that "
                    "made them: choose another folder, or restore config.json"
                )
            write_json(path, wanted)
            return
    except OSError as error:
        raise _cannot_write(workdir, error) from error
    try:
        stored = stored_config(workdir)
    except ValueError as error:
        raise WorkdirError(f"{error} (or this is not a workdir of main.py)") from error
    if not {"job", "runs"} <= stored.keys():
        raise WorkdirError(f"{path} is not the config of a run: choose another --workdir")
    found = flatten(stored)
    expected = flatten(wanted)
    missing = "(no such field)"
    differing = [
        f"{name}: {found.get(name, missing)!r} there, {expected.get(name, missing)!r} now"
        for name in sorted(found.keys() | expected.keys())
        if name not in FREE_FIELDS
        and is_read(name, job=config.job)
        and _normal(name, found.get(name, missing)) != _normal(name, expected.get(name, missing))
    ]
    if differing and _is_unused(workdir):
        # They may be of other images or another teacher.
        for name in _OF_THE_CONFIG:
            (workdir / name).unlink(missing_ok=True)
        write_json(path, wanted)
    elif differing:
        raise WorkdirError(
            f"--workdir={workdir} holds a run of another config; choose another folder or change "
            f"back: {'; '.join(differing)}"
        )
    elif found != expected:
        # Which runs were asked for last, for the report.
        write_json(path, wanted)
