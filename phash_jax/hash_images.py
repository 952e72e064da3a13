"""The job that hashes a folder of pictures, catalogs them and lists their near-duplicates."""

import csv
import functools
import itertools
import json
import os
import re
import shutil
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from tqdm import tqdm

from phash_jax import catalog, near_duplicates, pictures
from phash_jax.choices import choose, names
from phash_jax.hashing import HASHES
from phash_jax.metrics import write_json
from phash_jax.placement import num_cpu_cores
from phash_jax.resampling import PILLOW_GENERATIONS, PillowGeneration
from phash_jax.workdir import WorkdirError, claim

# Pictures of a size that so many share, measured on this many, are hashed on the device whole: one
# program is compiled per size, which takes seconds. The others are first reduced by Pillow.
_SAMPLED = 1_000
_COMMON_SHARE = 0.05
_COMMON_COUNT = 2_000
_MOST_COMMON_SIZES = 8
_COMMON_BYTES = 4 * 2**20
# What one call of a program takes.
_BATCH_BYTES = 8 * 2**20
_BATCH_IMAGES = 256
_SPLITS = ("train", "test")
# Pillow makes these gray by way of RGB, and so truncated before 7.0.
_GRAY_VIA_RGB = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "HSV")
_COLORHASH_BITS = 3


class Kind(NamedTuple):
    """What pictures must share to be hashed whole in one batch: mode ("RGB" or "L") and pixels."""

    mode: str
    height: int
    width: int


class Prepared(NamedTuple):
    """One picture on its way to the device.

    Attributes:
        height: of the picture, pixels.
        width: of the picture, pixels.
        inputs: for names of hashes, the image they are taken of.
        decided: hashes that the host had to decide, as bits.
    """

    height: int
    width: int
    inputs: dict[tuple[str, ...], UInt8[np.ndarray, "..."]]
    decided: dict[str, Bool[np.ndarray, "rows columns"]]


def _kind(image: Image.Image) -> Kind:
    return Kind("RGB" if image.mode == "RGB" else "L", image.height, image.width)


def _common_kinds(
    files: Sequence[pictures.PictureFile], *, threads: int, max_pixels: int
) -> list[Kind]:
    """The kinds that many pictures have, judged by the headers of files spread over all."""
    step = -(-len(files) // _SAMPLED)
    sample = files[::step]
    with pictures.reading(sample, _kind, threads=threads, max_pixels=max_pixels) as headers:
        counts = Counter(picture.value for picture in headers if not picture.problem)
    return [
        kind
        for kind, count in counts.most_common(_MOST_COMMON_SIZES)
        if count >= _COMMON_SHARE * len(sample)
        and count * step >= _COMMON_COUNT
        and kind.height * kind.width * len(kind.mode) <= _COMMON_BYTES
    ]


def _gray(image: Image.Image, *, generation: PillowGeneration) -> Image.Image:
    """ImageHash's ``convert("L")`` under the Pillow of ``generation``."""
    if generation.rounds_gray or image.mode not in _GRAY_VIA_RGB:
        return image.convert("L")
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.uint32), -1, 0)
    return Image.fromarray((19595 * red + 38470 * green + 7471 * blue >> 16).astype(np.uint8))


def _reduced(
    gray: Image.Image, *, height: int, width: int, generation: PillowGeneration
) -> UInt8[np.ndarray, "height width"]:
    """``resize((width, height), LANCZOS)`` with the pass order of any Pillow, whichever runs."""
    if generation.vertical_first(gray.height, gray.width, height, width):
        halfway = gray.resize((gray.width, height), Image.Resampling.LANCZOS)
    else:
        halfway = gray.resize((width, gray.height), Image.Resampling.LANCZOS)
    return np.asarray(halfway.resize((width, height), Image.Resampling.LANCZOS))


def _reduced_size(name: str, *, hash_size: int, height: int, width: int) -> tuple[int, int]:
    """Height and width to which a hash reduces a picture before it decides."""
    if name == "average_hash":
        return hash_size, hash_size
    if name == "dhash":
        return hash_size, hash_size + 1
    if name == "dhash_vertical":
        return hash_size + 1, hash_size
    if name == "whash":
        side = max(hash_size, 2 ** (min(height, width).bit_length() - 1))
        return side, side
    return 4 * hash_size, 4 * hash_size


def _colorhash(image: Image.Image, gray: Image.Image) -> Bool[np.ndarray, "14 bits"]:
    """ImageHash's colorhash of an image of any mode or size, decided in integers."""
    hue, saturation, _ = (np.asarray(band).ravel() for band in image.convert("HSV").split())
    black = np.asarray(gray).ravel() < 256 // 8
    colored = ~black & (saturation >= 85)
    counts = [black.sum(), (~black & ~colored).sum()]
    hue_bin = np.minimum(hue.astype(np.int32) * 2 // 85, 5)
    for strength in (saturation < 170, saturation > 170):
        counts += np.bincount(hue_bin[colored & strength], minlength=6).tolist()
    totals = np.array([black.size] * 2 + [max(1, colored.sum())] * 12)
    levels, shifts = 2**_COLORHASH_BITS, np.arange(_COLORHASH_BITS)
    values = np.minimum(levels - 1, levels * np.array(counts) // totals)[:, None]
    return values // 2 ** (_COLORHASH_BITS - shifts - 1) % 2 ** (_COLORHASH_BITS - shifts) > 0


def _as_images(array: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Gray of width 3 would be taken for RGB, so it is made that."""
    return np.repeat(array[..., None], 3, -1) if array.ndim == 2 and array.shape[1] == 3 else array


def prepare(
    image: Image.Image, *, hashes: Sequence[str], hash_size: int, pillow: str, whole: set[Kind]
) -> Prepared:
    """Decodes a picture and makes of it what the hashes are decided on.

    A picture of a kind in ``whole`` goes to the device as it is, others gray and reduced, so that
    the sizes there are few. RGB stays RGB; of all other modes Pillow makes what ImageHash has it
    make.
    """
    image.load()
    generation = PILLOW_GENERATIONS[pillow]
    kind, inputs, decided = _kind(image), {}, {}
    if kind in whole and kind.mode == "RGB":
        inputs[tuple(hashes)] = np.asarray(image)
        return Prepared(kind.height, kind.width, inputs, decided)
    gray = _gray(image, generation=generation)
    if "colorhash" in hashes:
        decided["colorhash"] = _colorhash(image, gray)
    gray_hashes = tuple(name for name in hashes if name != "colorhash")
    if kind in whole:
        inputs[gray_hashes] = _as_images(np.asarray(gray))
        return Prepared(kind.height, kind.width, inputs, decided)
    reduced = {}
    for name in gray_hashes:
        size = _reduced_size(name, hash_size=hash_size, height=kind.height, width=kind.width)
        if size not in reduced:
            reduced[size] = _as_images(
                _reduced(gray, height=size[0], width=size[1], generation=generation)
            )
        inputs[(name,)] = reduced[size]
    return Prepared(kind.height, kind.width, inputs, decided)


@functools.lru_cache(maxsize=64)
def _program(hashes: tuple[str, ...], hash_size: int, pillow: str):
    @jax.jit
    def decide(images):
        decisions = {
            name: HASHES[name](images, hash_size=hash_size, pillow=pillow, with_margin=True)
            for name in hashes
        }
        return {name: (decision.bits, decision.fragile) for name, decision in decisions.items()}

    return decide


class _Batches:
    """Collects images for the device until a batch of one shape is full.

    Batches have a fixed length, and begin anew with each part: so each shape is compiled once, and
    a part's hashes do not depend on what was hashed before it.
    """

    def __init__(self, *, hash_size: int, pillow: str):
        self._hash_size, self._pillow = hash_size, pillow
        self._filling: dict[tuple, tuple[np.ndarray, list[int]]] = {}
        self._running: deque = deque()
        self._decided: dict[str, list] = defaultdict(list)

    def add(self, row: int, hashes: tuple[str, ...], image: UInt8[np.ndarray, "..."]) -> None:
        if not hashes:
            return
        key = (hashes, image.shape)
        length = max(1, min(_BATCH_IMAGES, _BATCH_BYTES // image.nbytes))
        if key not in self._filling:
            self._filling[key] = np.zeros((length, *image.shape), np.uint8), []
        batch, rows = self._filling[key]
        batch[len(rows)] = image
        rows.append(row)
        if len(rows) == length:
            self._start(key)

    def _start(self, key: tuple) -> None:
        batch, rows = self._filling.pop(key)
        results = _program(key[0], self._hash_size, self._pillow)(batch)
        self._running.append((rows, results))
        # The device works while files are decoded, but is not given more than it gets done.
        while len(self._running) > 2:
            self._collect()

    def _collect(self) -> None:
        rows, results = self._running.popleft()
        for name, arrays in results.items():
            bits, fragile = (np.asarray(array)[: len(rows)] for array in arrays)
            self._decided[name].append((np.array(rows), bits, fragile))

    def finish(self) -> dict[str, list]:
        """Per hash the rows, bits and fragility of each batch."""
        for key in list(self._filling):
            self._start(key)
        while self._running:
            self._collect()
        decided, self._decided = self._decided, defaultdict(list)
        return decided


def bits_shape(name: str, hash_size: int) -> tuple[int, int]:
    """Rows and columns of a hash."""
    return (14, _COLORHASH_BITS) if name == "colorhash" else (hash_size, hash_size)


def _hash_part(
    read: Iterable[pictures.Picture], batches: _Batches, *, hashes: Sequence[str], hash_size: int
) -> tuple[list[int], dict[str, np.ndarray], dict[int, str], dict[int, tuple[str, ...]]]:
    """Hashes the pictures of one part.

    Returns:
        Numbers of the pictures hashed; their columns; problems and warnings by number.
    """
    kept, sizes, problems, remarks = [], [], {}, {}
    on_host = defaultdict(list)
    for number, picture in enumerate(read):
        if picture.problem:
            problems[number] = picture.problem
            continue
        if picture.warnings:
            remarks[number] = picture.warnings
        row, prepared = len(kept), picture.value
        kept.append(number)
        sizes.append((prepared.height, prepared.width))
        for chosen, image in prepared.inputs.items():
            batches.add(row, chosen, image)
        for name, bits in prepared.decided.items():
            on_host[name].append((np.array([row]), bits[None], np.zeros(1, bool)))
    decided = batches.finish()
    heights, widths = np.array(sizes, np.int32).reshape(-1, 2).T
    columns = {"Width": widths.copy(), "Height": heights.copy()}
    fragile_names = [[] for _ in kept]
    for name in hashes:
        bits = np.zeros((len(kept), *bits_shape(name, hash_size)), bool)
        for rows, some_bits, fragile in decided[name] + on_host[name]:
            bits[rows] = some_bits
            for row in rows[fragile]:
                fragile_names[row].append(name)
        columns |= catalog.hash_columns(name, bits)
    columns["fragile"] = np.array([",".join(some) for some in fragile_names], dtype=object)
    return kept, columns, problems, remarks


def _labels(address: str, root_name: str) -> tuple[str, str]:
    """LabelName and Type: the folder a picture lies in, and the split that is on its path."""
    folders = (root_name, *PurePosixPath(address).parts[:-1])
    return folders[-1], next((name for name in reversed(folders) if name in _SPLITS), "")


def _saved_files(workdir: Path, files: Sequence[pictures.PictureFile], root: str) -> dict | None:
    """What was noted when the run began, after a check that the pictures are still those."""
    path = workdir / "pictures.json"
    if not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
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
            + "; put them back to go on, or hash the folder as it is now in a new --workdir"
        )
    return saved


def _as_line(file: pictures.PictureFile) -> str:
    return f"{file.num_bytes} {file.modified}\t{file.address}"


def _check(config: ml_collections.ConfigDict) -> list[str]:
    """The hashes to take, after a check of every field that does not need the pictures."""
    hashes, settings = names(config.hash.names), config.pictures
    catalog.check_hashes(hashes, hash_size=config.hash.size, pillow=config.hash.pillow)
    choose(dict.fromkeys(hashes), settings.near_hash, "pictures.near_hash (of hash.names)")
    for name, least in (
        ("near_radius", 0),
        ("near_max_pairs", 1),
        ("threads", 0),
        ("part_size", 1),
        ("max_pixels", 1),
    ):
        if settings[name] < least:
            raise ValueError(f"pictures.{name} must be {least} or more, got {settings[name]}")
    return hashes


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Hashes the pictures of ``config.pictures.path`` into ``workdir``; returns a summary.

    Leaves ``catalog.parquet`` (ImageID, LabelName, Type, ImageAddr, Width, Height, the hashes,
    fragile), ``near_duplicates.csv`` and ``.png``, and ``unreadable.csv`` and ``warnings.csv`` with
    what was wrong with which file. The hashes of a file equal ImageHash's of
    ``PIL.Image.open(file)``. A run that was killed is continued where it was.

    Raises:
        FileNotFoundError, ValueError: no pictures, or a field that cannot be.
        WorkdirError: the workdir belongs to another config, or to other pictures.
    """
    hashes = _check(config)
    settings = config.pictures
    files = pictures.find(settings.path, leave_out=workdir)
    claim(workdir, config)
    began, took = time.monotonic(), "earlier"
    saved = _saved_files(workdir, files, settings.path)
    if not (workdir / "catalog.parquet").exists():
        threads = settings.threads or num_cpu_cores()
        if saved is None:
            kinds = _common_kinds(files, threads=threads, max_pixels=settings.max_pixels)
            saved = {"whole": kinds, "files": [_as_line(file) for file in files]}
            write_json(workdir / "pictures.json", saved)
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
            root_name=Path(settings.path).expanduser().resolve().name,
        )
        took = f"in {time.monotonic() - began:.0f} s"
    return _summary(config, hashes, files, workdir, took)


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
    """Hashes all parts that are not done yet and joins them to the catalog."""
    troubles = workdir / "troubles"
    troubles.mkdir(exist_ok=True)
    parts = [range(i, min(i + part_size, len(files))) for i in range(0, len(files), part_size)]
    done = catalog.parts_done(workdir)
    missing = [index for index in range(len(parts)) if index not in done]
    batches = _Batches(hash_size=hash_size, pillow=pillow)
    prepare_one = functools.partial(
        prepare, hashes=hashes, hash_size=hash_size, pillow=pillow, whole=whole
    )
    # All parts are one stream, so that no thread waits where one ends and the next begins.
    to_read = [files[number] for index in missing for number in parts[index]]
    digits = len(str(len(files) - 1))
    with (
        pictures.reading(to_read, prepare_one, threads=threads, max_pixels=max_pixels) as read,
        tqdm(
            total=len(files),
            initial=len(files) - len(to_read),
            desc="hash",
            unit="picture",
            disable=None,
        ) as bar,
    ):
        for index in missing:
            part = parts[index]
            some = _counted(itertools.islice(read, len(part)), bar)
            kept, columns, problems, remarks = _hash_part(
                some, batches, hashes=hashes, hash_size=hash_size
            )
            addresses = [files[part[number]].address for number in kept]
            labels = [_labels(address, root_name) for address in addresses]
            # Before the part, which says that both are there.
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
    _join_troubles(troubles, workdir, len(parts), len(files))
    catalog.finish(workdir)
    shutil.rmtree(troubles)


def _strings(texts: Iterable[str]) -> np.ndarray:
    return np.array(list(texts), dtype=object)


def _counted(read: Iterator[pictures.Picture], bar: tqdm) -> Iterator[pictures.Picture]:
    for picture in read:
        yield picture
        bar.update()


def _join_troubles(troubles: Path, workdir: Path, num_parts: int, num_files: int) -> None:
    """Writes unreadable.csv and warnings.csv, or refuses a folder in which nothing can be read."""
    parts = [
        json.loads((troubles / f"part-{index:06d}.json").read_text(encoding="utf-8"))
        for index in range(num_parts)
    ]
    for name, header in (("unreadable", "Reason"), ("warnings", "Warning")):
        path = workdir / f"{name}.csv"
        temporary = path.with_name(path.name + ".partial")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ImageAddr", header])
            writer.writerows(row for part in parts for row in part[name])
        os.replace(temporary, path)
    unreadable = [row for part in parts for row in part["unreadable"]]
    if len(unreadable) == num_files:
        raise ValueError(
            f"none of the {num_files:,} files can be read ({': '.join(unreadable[0])}; all in "
            f"{workdir / 'unreadable.csv'}): name a folder with pictures, and a new --workdir"
        )


def _count_rows(path: Path) -> Counter:
    """How often each reason is given; what stands in brackets, such as a number of bytes, apart."""
    with path.open(newline="", encoding="utf-8") as file:
        reasons = [row[1] for row in itertools.islice(csv.reader(file), 1, None)]
    return Counter(re.sub(r" \([^()]*\)", "", reason) for reason in reasons)


def _summary(
    config: ml_collections.ConfigDict,
    hashes: Sequence[str],
    files: Sequence[pictures.PictureFile],
    workdir: Path,
    took: str,
) -> str:
    """Finds and draws the near-duplicates; returns what is to be told of the whole run."""
    settings = config.pictures
    path = workdir / "catalog.parquet"
    near_columns = _column_names(settings.near_hash, config.hash.size)
    columns = catalog.read_columns(path, ["ImageAddr", "fragile", *near_columns])
    addresses = columns["ImageAddr"].tolist()
    words = near_duplicates.codes({name: columns[name] for name in near_columns})
    pairs = near_duplicates.find(
        words, radius=settings.near_radius, max_pairs=settings.near_max_pairs
    )
    listed, sheet = workdir / "near_duplicates.csv", workdir / "near_duplicates.png"
    near_duplicates.write_csv(pairs, addresses, listed)
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
    within = f"within {settings.near_radius} bits of {settings.near_hash}"
    if not pairs.total:
        sheet.unlink(missing_ok=True)
        lines.append(
            f"no near-duplicates {within}; a larger --config.pictures.near_radius finds pictures "
            "that differ more"
        )
        return "\n".join(lines)
    _draw(files, addresses, pairs, words, sheet, max_pixels=settings.max_pixels)
    lines.append(f"pairs {within}: {pairs.total:,}, in {pairs.group.max() + 1:,} groups: {listed}")
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
    lines += [
        f"next: look at {sheet}, and query the catalog, such as",
        f'  python -m phash_jax.catalog {workdir} "SELECT ImageAddr FROM images LIMIT 10"',
    ]
    return "\n".join(lines)


def _column_names(name: str, hash_size: int) -> list[str]:
    return list(catalog.hash_columns(name, np.zeros((1, *bits_shape(name, hash_size)), bool)))


def _draw(
    files: Sequence[pictures.PictureFile],
    addresses: Sequence[str],
    pairs: near_duplicates.NearDuplicates,
    words: np.ndarray,
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

    near_duplicates.draw(pairs, words, lambda number: addresses[number], thumbnail, path)
