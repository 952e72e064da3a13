"""Hashes of decoded pictures of any mode and size, decided on the device in batches."""

import functools
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from phash_jax import catalog, pictures
from phash_jax.hashing import color_bits, make_hash_all, reduced_size
from phash_jax.resampling import PILLOW_GENERATIONS, PillowGeneration

# Pictures of a size that so many share, judged by a sample, are hashed whole on the device: one
# program is compiled per size, which takes seconds. The others are first reduced by Pillow.
_SAMPLED = 1_000
_COMMON_SHARE = 0.05
_COMMON_COUNT = 2_000
_MOST_COMMON_SIZES = 8
_COMMON_BYTES = 4 * 2**20
# At most in one call of a program.
_BATCH_BYTES = 8 * 2**20
_BATCH_IMAGES = 256
# Pillow makes these gray by way of RGB, so before 7.0 their gray was truncated.
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
        inputs: by names of hashes, the image that they are computed from.
        decided: hashes that had to be computed on the host, as bits.
    """

    height: int
    width: int
    inputs: dict[tuple[str, ...], UInt8[np.ndarray, "..."]]
    decided: dict[str, Bool[np.ndarray, "rows columns"]]


def _kind(image: Image.Image) -> Kind:
    return Kind("RGB" if image.mode == "RGB" else "L", image.height, image.width)


def common_kinds(
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
    return color_bits(np.array(counts), totals, binbits=_COLORHASH_BITS)


def _as_images(array: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Very narrow gray images as RGB: a batch of them would be taken for one with channels."""
    return np.repeat(array[..., None], 3, -1) if array.ndim == 2 and array.shape[1] < 5 else array


def prepare(
    image: Image.Image, *, hashes: Sequence[str], hash_size: int, pillow: str, whole: set[Kind]
) -> Prepared:
    """Decodes a picture and prepares what its hashes are computed from.

    A picture of a kind in ``whole`` goes to the device as it is, others gray and reduced, so that
    there are few sizes. RGB stays RGB; all other modes Pillow converts as ImageHash has it do.
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
        size = reduced_size(name, hash_size=hash_size, height=kind.height, width=kind.width)
        if size not in reduced:
            reduced[size] = _as_images(
                _reduced(gray, height=size[0], width=size[1], generation=generation)
            )
        inputs[(name,)] = reduced[size]
    return Prepared(kind.height, kind.width, inputs, decided)


_program = functools.lru_cache(maxsize=64)(make_hash_all)


class PictureBatches:
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
        """Queues an image for some hashes, which ``finish`` returns under the number of its row."""
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
        results = _program(key[0], hash_size=self._hash_size, pillow=self._pillow)(batch)
        self._running.append((rows, results))
        # The device works while files are decoded, but is never given much more than it can do.
        while len(self._running) > 2:
            self._collect()

    def _collect(self) -> None:
        rows, results = self._running.popleft()
        for name, decision in results.items():
            bits, fragile = (
                np.asarray(array)[: len(rows)] for array in (decision.bits, decision.fragile)
            )
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


def hash_part(
    read: Iterable[pictures.Picture],
    batches: PictureBatches,
    *,
    hashes: Sequence[str],
    hash_size: int,
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
    fragile = {name: np.zeros(len(kept), bool) for name in hashes}
    for name in hashes:
        bits = np.zeros((len(kept), *bits_shape(name, hash_size)), bool)
        for rows, some_bits, some_fragile in decided[name] + on_host[name]:
            bits[rows], fragile[name][rows] = some_bits, some_fragile
        columns |= catalog.hash_columns(name, bits)
    return kept, columns | catalog.fragile_column(fragile), problems, remarks
