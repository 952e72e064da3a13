"""The job that writes a dataset's images as PNG files, and a catalog of them (Fig 3.1)."""

import contextlib
import io
import os
import re
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import ml_collections
import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from phash_jax import catalog, processes, provenance, tables
from phash_jax.checks import names
from phash_jax.data.dataset import SPLITS, Dataset, Split, fingerprint
from phash_jax.data.load import load_in_all
from phash_jax.errors import is_disk_full
from phash_jax.hashing import Decision, check_hashes, make_hash_all
from phash_jax.padding import in_batches
from phash_jax.published import FIG_3_1_LABELS
from phash_jax.workdir import claim, keep_images

_PART_SIZE = 2_000
# File systems allow 255, of which the row, the ending and that of an unfinished file need some.
_MOST_BYTES_OF_A_NAME = 220
# The file in catalog.image_dir that says which dataset the images are from.
_WHOSE = "dataset.txt"
# A fingerprint, or the fields of generated images.
_OUR_NOTE = re.compile(rb"[0-9a-f]{64}|\{'.*'.*\}")
# Of images that are hashed at once; hashing takes several times as much memory.
_BATCH_BYTES = 8 * 2**20


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Writes every image of ``config.data`` as a PNG file and the catalog; returns its first rows.

    Leaves ``catalog.parquet`` in the workdir, and in ``config.catalog.image_dir`` ``<id>.png`` and
    ``dataset.txt``, because of which the folder is refused to other datasets. Training images come
    first, each split in its own order. A run that was killed resumes with the part it was writing.
    Several processes share both folders, and each writes its own parts.

    Raises:
        ValueError: a field has an impossible value, a bucket cannot be reached or holds another
            dataset, or the images are not those that the run was begun with.
        OSError: a file cannot be written.
    """
    hashes = names(config.hash.names)
    check_hashes(hashes, hash_size=config.hash.size, pillow=config.hash.pillow)
    if config.data.train_repeats != 1 or config.data.scramble_train:
        raise ValueError(
            "a catalog holds every image once and unscrambled: data.train_repeats must be 1 and "
            "data.scramble_train False"
        )
    with processes.first_alone("claimed"):
        claim(workdir, config)
    if processes.is_first():
        provenance.record(workdir)
    if processes.as_first(not catalog.is_finished(workdir)):
        image_dir = _make_folder(config.catalog.image_dir or str(workdir / "images"))
        dataset = load_in_all(config.data)
        first = processes.is_first()
        source = config.data.name
        processes.in_all(
            lambda: keep_images(workdir, dataset, source=source) if first else None, "images"
        )
        # Generated images may be rounded differently on the machine that resumes.
        whose = repr(config.data.to_dict()) if source == "synthetic" else fingerprint(dataset)
        processes.in_all(lambda: _claim_folder(image_dir, whose) if first else None, "folder")
        _write(
            dataset,
            workdir,
            image_dir,
            hashes=hashes,
            hash_size=config.hash.size,
            pillow=config.hash.pillow,
        )
    if not processes.is_first():
        return ""
    # Left by a run that was killed right after its catalog was whole.
    catalog.clear_parts(workdir)
    return _fig_3_1(workdir, is_cifar10=config.data.name == "cifar10")


def _make_folder(address: str) -> epath.Path:
    try:
        folder = epath.Path(address).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except Exception as error:  # each kind of bucket has exceptions of its own
        raise ValueError(
            f"cannot write to catalog.image_dir {address} ({type(error).__name__}: {error}): name "
            "another folder, or install and set up what this kind of bucket needs"
        ) from error
    return folder


def _claim_folder(folder: epath.Path, whose: str) -> None:
    """Notes which dataset a folder is for; ValueError where it holds images or notes of others."""
    note = folder / _WHOSE
    found = note.read_bytes() if note.exists() else b""
    if found and not _OUR_NOTE.fullmatch(found):
        raise ValueError(f"{note} was not written by this job: name another catalog.image_dir")
    same = found == whose.encode()
    if not same and any(folder.glob("*.png")):
        theirs = f"the images of another dataset ({note})" if note.exists() else "PNG files"
        raise ValueError(
            f"catalog.image_dir {folder} holds {theirs}, which may have the same names as ours: "
            "name another folder"
        )
    if not same:
        _write_file(note, whose.encode())


def _write(
    dataset: Dataset,
    workdir: Path,
    image_dir: epath.Path,
    *,
    hashes: Sequence[str],
    hash_size: int,
    pillow: str,
) -> None:
    parts = [
        (name, split, slice(start, min(start + _PART_SIZE, len(split))))
        for name, split in zip(SPLITS, (dataset.train, dataset.test), strict=True)
        for start in range(0, len(split), _PART_SIZE)
    ]
    file_names = {name: _file_names(getattr(dataset, name)) for name in SPLITS}
    done = catalog.parts_done(workdir)
    share = range(processes.number(), len(parts), processes.count())
    sizes = [rows.stop - rows.start for _, _, rows in parts]
    hash_all = make_hash_all(hashes, hash_size=hash_size, pillow=pillow)
    with (
        ThreadPoolExecutor() as threads,
        tqdm(
            total=sum(sizes[index] for index in share),
            initial=sum(sizes[index] for index in share if index in done),
            unit="image",
            desc="catalog",
            dynamic_ncols=True,
            disable=None if processes.is_first() else True,
        ) as bar,
    ):
        for index in share:
            if index in done:
                continue
            name, split, rows = parts[index]
            images = split.images[rows]
            decisions = _hash_part(hash_all, images, most=max(sizes))
            paths = [image_dir / file_name for file_name in file_names[name][rows]]
            for _ in threads.map(_save_png, images, paths):
                bar.update()
            labels = [dataset.class_names[label] for label in split.labels[rows]]
            columns = {
                "ImageID": split.ids[rows].astype(object),
                "LabelName": np.array(labels, object),
                "Type": np.full(len(images), name, object),
                "ImageAddr": np.array([os.fspath(path) for path in paths], object),
                "Width": np.full(len(images), images.shape[2], np.int32),
                "Height": np.full(len(images), images.shape[1], np.int32),
            }
            for hash_name, decision in decisions.items():
                columns |= catalog.hash_columns(hash_name, decision.bits)
            fragile = {hash_name: decision.fragile for hash_name, decision in decisions.items()}
            catalog.write_part(workdir, index, columns | catalog.fragile_column(fragile))
    processes.wait("cataloged")
    if processes.is_first():
        catalog.finish(workdir)
    # Joining may take longer than the others would wait for the first process at their end.
    processes.wait("joined parts")


def _file_names(split: Split) -> list[str]:
    """``<id>.png``; what a file system or address may not allow becomes an underscore."""
    cleaned = [re.sub(r"[^\w.-]+", "_", identity) for identity in split.ids.tolist()]
    if max(len(name.encode()) for name in cleaned) > _MOST_BYTES_OF_A_NAME:
        cleaned = [
            name.encode()[:_MOST_BYTES_OF_A_NAME].decode(errors="ignore") for name in cleaned
        ]
    if len(set(cleaned)) < len(cleaned):
        cleaned = [f"{name}_{row}" for row, name in enumerate(cleaned)]
    return [f"{name}.png" for name in cleaned]


def _hash_part(hash_all, images: UInt8[np.ndarray, "n h w 3"], *, most: int) -> dict[str, Decision]:
    """The decisions of a part, on the host, in batches of one size that fit in memory."""
    size = max(1, min(most, _BATCH_BYTES // images[0].nbytes))
    decisions = in_batches(lambda batch, numbers: hash_all(batch), images, size=size)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *decisions)


def _save_png(image: UInt8[np.ndarray, "h w 3"], path: epath.Path) -> None:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "PNG")
    _write_file(path, encoded.getvalue())


def _write_file(path: epath.Path, content: bytes) -> None:
    # Complete or absent, even if the run is killed at this moment.
    temporary = path.with_name(path.name + ".partial")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if is_disk_full(error):
            # Not reported as the workdir's, which may be on another disk.
            raise ValueError(
                f"no disk space is left for {path.parent} (catalog.image_dir): free some and start "
                "the same command again; it resumes from what was saved"
            ) from None
        raise


def _fig_3_1(workdir: Path, *, is_cifar10: bool) -> str:
    """The catalog's first ten rows, beside the labels the study printed."""
    path = workdir / "catalog.parquet"
    columns = catalog.read_columns(path, ["ImageID", "LabelName", "Type", "ImageAddr"])
    rows = list(zip(*(values[:10] for values in columns.values()), strict=True))
    lines = [
        f"{len(columns['ImageID']):,} images in {path}; the first ten (Fig 3.1):",
        "",
        tables.plain([list(columns), *rows]),
    ]
    if is_cifar10:
        ours = tuple(columns["LabelName"][:10])
        lines += [
            "",
            f"ours:      {' '.join(ours)}",
            f"published: {' '.join(FIG_3_1_LABELS)}",
            "the same" if ours == FIG_3_1_LABELS else "they differ",
        ]
    lines += [
        "",
        f"next: python -m phash_jax.catalog {shlex.quote(str(workdir))} "
        '"SELECT LabelName, Type, count(*) FROM images GROUP BY ALL"',
    ]
    return "\n".join(lines)
