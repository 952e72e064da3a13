"""The job that hashes a folder of pictures, catalogs them and lists their near-duplicates."""

import functools
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import ml_collections
import numpy as np
from tqdm import tqdm

from phash_jax import catalog, pictures, processes, provenance
from phash_jax.checks import at_least, choose, names
from phash_jax.data.dataset import SPLITS
from phash_jax.hash_images_report import summarize
from phash_jax.hashing import check_hashes
from phash_jax.json_files import damaged, read_json, write_json
from phash_jax.picture_hashes import (
    Kind,
    PictureBatches,
    common_kinds,
    hash_part,
    prepare,
)
from phash_jax.placement import num_cpu_cores
from phash_jax.whole_files import write_rows
from phash_jax.workdir import WorkdirError, claim

_TROUBLES = "troubles"
_IN_A_NEW_WORKDIR = "hash the folder in a new --workdir"


def _labels(address: str, root_name: str) -> tuple[str, str]:
    """LabelName and Type: the folder a picture lies in, and the split that is on its path."""
    folders = (root_name, *PurePosixPath(address).parts[:-1])
    return folders[-1], next((name for name in reversed(folders) if name in SPLITS), "")


def _saved_files(workdir: Path, files: Sequence[pictures.PictureFile], root: str) -> dict | None:
    """What was noted when the run began, after a check that the pictures are still the same."""
    path = workdir / "pictures.json"
    if not path.exists():
        return None
    saved = read_json(path, dict, then=_IN_A_NEW_WORKDIR)
    if not all(isinstance(saved.get(field), list) for field in ("whole", "files")):
        raise damaged(path, "it lists no files", _IN_A_NEW_WORKDIR)
    of_kind = len(Kind._fields)
    if not (
        all(isinstance(line, str) and "\t" in line for line in saved["files"])
        and all(isinstance(kind, list) and len(kind) == of_kind for kind in saved["whole"])
    ):
        raise damaged(path, "an entry has the wrong form", _IN_A_NEW_WORKDIR)
    before = dict(line.split("\t", 1)[::-1] for line in saved["files"])
    now = dict(line.split("\t", 1)[::-1] for line in map(_as_line, files))
    differences = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
    }
    if any(differences.values()):
        raise WorkdirError(
            f"the pictures in {root} are not those that --workdir={workdir} was begun with: "
            + ", ".join(
                f"{len(some):,} {how} ({', '.join(some[:3])}{', ...' if len(some) > 3 else ''})"
                for how, some in differences.items()
                if some
            )
            + "; put them back to resume, or hash the folder as it is now in a new --workdir"
        )
    return saved


def _as_line(file: pictures.PictureFile) -> str:
    return f"{file.num_bytes} {file.modified}\t{file.address}"


def _check(config: ml_collections.ConfigDict) -> list[str]:
    """The hashes to compute, after a check of every field that does not need the pictures."""
    hashes, settings = names(config.hash.names), config.pictures
    check_hashes(hashes, hash_size=config.hash.size, pillow=config.hash.pillow)
    choose(dict.fromkeys(hashes), settings.near_hash, "pictures.near_hash (of hash.names)")
    for name, least in (
        ("near_radius", 0),
        ("near_max_pairs", 1),
        ("threads", 0),
        ("part_size", 1),
        ("max_pixels", 1),
    ):
        at_least(least, settings[name], f"pictures.{name}")
    return hashes


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Hashes the pictures of ``config.pictures.path`` into ``workdir``; returns a summary.

    Leaves ``catalog.parquet`` (ImageID, LabelName, Type, ImageAddr, Width, Height, the hashes,
    fragile), ``near_duplicates.csv`` and ``.png``, and ``unreadable.csv`` and ``warnings.csv`` with
    what was wrong with which file. The hashes of a file equal ImageHash's of
    ``PIL.Image.open(file)``. A run that was killed resumes where it stopped.

    Raises:
        FileNotFoundError, ValueError: no pictures, or a field with an impossible value.
        WorkdirError: the workdir belongs to another config, or to other pictures.
    """
    hashes = _check(config)
    settings = config.pictures
    if Path(settings.path).expanduser().resolve() == workdir.resolve():
        raise ValueError(
            f"pictures.path {settings.path} is the --workdir too, whose files would be taken for "
            "pictures: choose another --workdir, such as a folder within it"
        )
    files = pictures.find(settings.path, leave_out=workdir)
    threads = settings.threads or num_cpu_cores()
    began, took = time.monotonic(), "earlier"
    with processes.first_alone("claimed"):
        claim(workdir, config)
        saved = _saved_files(workdir, files, settings.path)
        unfinished = not catalog.is_finished(workdir)
        if saved is None and (catalog.parts_done(workdir) or not unfinished):
            raise WorkdirError(
                f"{workdir / 'pictures.json'} is missing, which says what pictures were hashed: "
                f"restore it, or {_IN_A_NEW_WORKDIR}"
            )
        if unfinished and saved is None:
            kinds = common_kinds(files, threads=threads, max_pixels=settings.max_pixels)
            saved = {"whole": kinds, "files": [_as_line(file) for file in files]}
            write_json(workdir / "pictures.json", saved)
    if processes.is_first():
        provenance.record(workdir)
    if processes.as_first(unfinished):
        _hash_all(
            files,
            workdir,
            hashes=hashes,
            hash_size=config.hash.size,
            pillow=config.hash.pillow,
            whole={Kind(*kind) for kind in saved["whole"]},
            threads=threads,
            part_size=settings.part_size,
            max_pixels=settings.max_pixels,
            root_name=pictures.readable(Path(settings.path).expanduser().resolve().name),
        )
        took = f"in {time.monotonic() - began:.0f} s"
    summary = ""
    if processes.is_first():
        # Left by a run that was killed right after its catalog was whole.
        catalog.clear_parts(workdir)
        catalog.remove_parts(workdir / _TROUBLES)
        summary = summarize(
            files,
            workdir,
            took,
            hashes=hashes,
            hash_size=config.hash.size,
            near_hash=settings.near_hash,
            near_radius=settings.near_radius,
            near_max_pairs=settings.near_max_pairs,
            max_pixels=settings.max_pixels,
        )
    processes.wait("listed")
    return summary


def _hash_all(
    files: Sequence[pictures.PictureFile],
    workdir: Path,
    *,
    hashes: Sequence[str],
    hash_size: int,
    pillow: str,
    whole: set[Kind],
    threads: int,
    part_size: int,
    max_pixels: int,
    root_name: str,
) -> None:
    """Hashes all parts that are not done yet and joins them to the catalog.

    Each of several processes has its own parts, and the first joins them.
    """
    troubles = workdir / _TROUBLES
    troubles.mkdir(exist_ok=True)
    parts = [range(i, min(i + part_size, len(files))) for i in range(0, len(files), part_size)]
    done = catalog.parts_done(workdir)
    share = range(processes.number(), len(parts), processes.count())
    missing = [index for index in share if index not in done]
    batches = PictureBatches(hash_size=hash_size, pillow=pillow)
    prepare_one = functools.partial(
        prepare, hashes=hashes, hash_size=hash_size, pillow=pillow, whole=whole
    )
    # All parts are one stream, so that no thread waits where one ends and the next begins.
    to_read = [files[number] for index in missing for number in parts[index]]
    digits = len(str(len(files) - 1))
    with (
        pictures.reading(to_read, prepare_one, threads=threads, max_pixels=max_pixels) as read,
        tqdm(
            total=sum(len(parts[index]) for index in share),
            initial=sum(len(parts[index]) for index in share if index in done),
            desc="hash",
            unit="picture",
            disable=None if processes.is_first() else True,
        ) as bar,
    ):
        for index in missing:
            part = parts[index]
            some = _counted(itertools.islice(read, len(part)), bar)
            kept, columns, problems, remarks = hash_part(
                some, batches, hashes=hashes, hash_size=hash_size
            )
            addresses = [files[part[number]].address for number in kept]
            labels = [_labels(address, root_name) for address in addresses]
            # Before the part, whose presence says that both are there.
            write_json(
                troubles / f"part-{index:06d}.json",
                {
                    "unreadable": [(files[part[n]].address, why) for n, why in problems.items()],
                    "warnings": [
                        (files[part[n]].address, text)
                        for n, texts in remarks.items()
                        for text in texts
                    ],
                },
            )
            catalog.write_part(
                workdir,
                index,
                {
                    "ImageID": _strings(f"{part[number]:0{digits}d}" for number in kept),
                    "LabelName": _strings(label for label, _ in labels),
                    "Type": _strings(split for _, split in labels),
                    "ImageAddr": _strings(addresses),
                    **columns,
                },
            )
    processes.wait("hashed")
    if processes.is_first():
        _join_troubles(troubles, workdir, len(parts), len(files))
        catalog.finish(workdir)


def _strings(texts: Iterable[str]) -> np.ndarray:
    return np.array(list(texts), dtype=object)


def _counted(read: Iterator[pictures.Picture], bar: tqdm) -> Iterator[pictures.Picture]:
    for picture in read:
        yield picture
        bar.update()


def _join_troubles(troubles: Path, workdir: Path, num_parts: int, num_files: int) -> None:
    """Writes unreadable.csv and warnings.csv, or refuses a folder in which nothing can be read."""
    parts = []
    for index in range(num_parts):
        path = troubles / f"part-{index:06d}.json"
        parts.append(read_json(path, dict, then=_IN_A_NEW_WORKDIR))
        if not all(isinstance(parts[-1].get(kind), list) for kind in ("unreadable", "warnings")):
            raise damaged(path, "it lists no troubles", _IN_A_NEW_WORKDIR)
    for name, header in (("unreadable", "Reason"), ("warnings", "Warning")):
        rows = [row for part in parts for row in part[name]]
        write_rows(workdir / f"{name}.csv", [["ImageAddr", header], *rows])
    unreadable = [row for part in parts for row in part["unreadable"]]
    if len(unreadable) == num_files:
        raise ValueError(
            f"none of the {num_files:,} files can be read ({': '.join(unreadable[0])}; for all see "
            f"{workdir / 'unreadable.csv'}): name a folder with pictures, and a new --workdir"
        )
