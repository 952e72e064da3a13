"""The report on a folder of pictures once its catalog is whole: near-duplicates, a summary."""

import csv
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from phash_jax import catalog, near_duplicates, pictures
from phash_jax.picture_hashes import bits_shape
from phash_jax.workdir import WorkdirError


def summarize(
    files: Sequence[pictures.PictureFile],
    workdir: Path,
    took: str,
    *,
    hashes: Sequence[str],
    hash_size: int,
    near_hash: str,
    near_radius: int,
    near_max_pairs: int,
    max_pixels: int,
) -> str:
    """Finds and draws the near-duplicates; returns a summary of the whole run.

    Args:
        files: of the folder, those that cannot be read included.
        workdir: with ``catalog.parquet``, ``unreadable.csv`` and ``warnings.csv``.
        took: how long hashing took, as text.
        hashes: in the catalog.
        hash_size: side of the hashes, bits.
        near_hash: the hash that decides.
        near_radius: largest distance of near-duplicates, bits.
        near_max_pairs: pairs listed at most.
        max_pixels: of one picture.

    Raises:
        ValueError: the catalog is damaged.
        WorkdirError: a list of troubles is missing.
    """
    path = workdir / "catalog.parquet"
    near_columns = _column_names(near_hash, hash_size)
    columns = catalog.read_columns(path, ["ImageAddr", "fragile", *near_columns])
    addresses = columns["ImageAddr"].tolist()
    words = near_duplicates.codes({name: columns[name] for name in near_columns})
    pairs = near_duplicates.find(words, radius=near_radius, max_pairs=near_max_pairs)
    listed, sheet = workdir / "near_duplicates.csv", workdir / "near_duplicates.png"
    fragile_names = [set((names or "").split(",")) for names in columns["fragile"]]
    fragile_near = np.array([near_hash in names for names in fragile_names], bool)
    near_duplicates.write_csv(pairs, addresses, fragile_near, listed)
    lines = [f"{len(addresses):,} of {len(files):,} files hashed {took}: {path}"]
    for name, what in (
        ("unreadable", "files that cannot be read"),
        ("warnings", "warnings by Pillow about pictures that can be read"),
    ):
        reasons = _count_rows(workdir / f"{name}.csv")
        if reasons:
            most = "; ".join(f"{count:,} x {why}" for why, count in reasons.most_common(3))
            more = f"; {len(reasons) - 3:,} more reasons" if len(reasons) > 3 else ""
            lines.append(f"{what}: {reasons.total():,} ({most}{more}), in {workdir / name}.csv")
    fragile = Counter(name for some in columns["fragile"] if some for name in some.split(","))
    if fragile:
        lines.append(
            "hashes decided by a tie or by rounding, where ImageHash may give other bits: "
            + ", ".join(f"{fragile[name]:,} of {name}" for name in hashes if fragile[name])
            + " (column fragile)"
        )
    within = f"within {near_radius} bits of {near_hash}"
    if not pairs.total:
        sheet.unlink(missing_ok=True)
        lines.append(
            f"no near-duplicates {within}; a larger --config.pictures.near_radius finds pictures "
            "that differ more"
        )
        return "\n".join(lines)
    _draw(files, addresses, pairs, words, fragile_near, sheet, max_pixels=max_pixels)
    num_groups = pairs.group.max() + 1
    groups = f"{num_groups:,} groups" if num_groups > 1 else "one group"
    lines.append(f"pairs {within}: {pairs.total:,}, in {groups}: {listed}")
    if pairs.total > len(pairs.left):
        complete = (
            f"all up to distance {pairs.complete_to}"
            if pairs.complete_to >= 0
            else "not even all of distance 0"
        )
        lines[-1] += (
            f"; only the {len(pairs.left):,} closest are listed and grouped, {complete}: raise "
            "--config.pictures.near_max_pairs for more"
        )
    if by_noise := int(near_duplicates.rests_on_noise(pairs, fragile_near).sum()):
        lines[-1] += (
            f"; {by_noise:,} of those listed rest on a hash decided by a tie or by rounding, as "
            "in a picture of one colour, and may not look alike (column Fragile)"
        )
    lines += [
        f"next: look at {sheet}, and query the catalog, such as",
        f"  python -m phash_jax.catalog {shlex.quote(str(workdir))} "
        '"SELECT ImageAddr FROM images LIMIT 10"',
    ]
    return "\n".join(lines)


def _count_rows(path: Path) -> Counter:
    """How often each reason is given, whatever stands in brackets, such as a number of bytes."""
    if not path.exists():
        raise WorkdirError(
            f"{path} is missing: remove {path.parent / 'catalog.parquet'} too and start the same "
            "command again, which then hashes the pictures anew"
        )
    with path.open(newline="", encoding="utf-8") as file:
        reasons = [row[1] for row in itertools.islice(csv.reader(file), 1, None)]
    return Counter(re.sub(r" \([^()]*\)", "", reason) for reason in reasons)


def _column_names(name: str, hash_size: int) -> list[str]:
    return list(catalog.hash_columns(name, np.zeros((1, *bits_shape(name, hash_size)), bool)))


def _draw(
    files: Sequence[pictures.PictureFile],
    addresses: Sequence[str],
    pairs: near_duplicates.NearDuplicates,
    words: np.ndarray,
    fragile: np.ndarray,
    path: Path,
    *,
    max_pixels: int,
) -> None:
    by_address: Mapping[str, pictures.PictureFile] = {file.address: file for file in files}

    def thumbnail(number: int) -> Image.Image | None:
        file = [by_address[addresses[number]]]
        options = {"threads": 1, "max_pixels": max_pixels}
        with pictures.reading(file, near_duplicates.small, **options) as read:
            return next(read).value

    near_duplicates.draw(pairs, words, fragile, lambda number: addresses[number], thumbnail, path)
