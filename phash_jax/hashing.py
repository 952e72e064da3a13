"""Perceptual hashes, bit for bit those of ImageHash 4.3.2.

A hash is a few bits that stay alike for pictures that look alike. Decisions are made in integers
(in int32, or in float32 where the sums are exact), so that all backends agree; where ImageHash
itself decides by floating-point noise, the hash is reported as fragile.

Every hash takes the same arguments (except colorhash, which has ``binbits`` and no ``hash_size``):
    images: uint8 ``[..., H, W, 3]`` (RGB) or gray ``[..., H, W]``, 0 to 255, any H and W from 1;
        the last axis is colour if its size is 3 and at least two axes precede it. A last axis of 1,
        2 or 4 after at least two others gives a warning: the array is taken for many narrow gray
        pictures, not for one with that many channels.
    hash_size: side of the hash, 2 or more, a power of 2 for whash; static, like those below.
    pillow: key of ``phash_jax.resampling.PILLOW_GENERATIONS``: the Pillow version whose gray
        conversion and resampling are followed, "13.0" or an earlier one.
    with_margin: return a ``Decision`` instead of the bits alone.
Every hash returns bool ``[..., rows, columns]``, the array ``ImageHash.hash``. It raises TypeError
if images are not uint8 or the hash size is not a whole number, and ValueError for any other invalid
shape, hash size or generation, and where a sum would overflow int32. All can be used inside
``jit``, ``vmap`` and ``shard_map``; each is compiled once for each shape of its images. Outside of
them, on CPU, many images are hashed some megabytes at a time.
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float32, Int32, UInt8

from phash_jax.checks import check_uint8, choose, whole_number
from phash_jax.resampling import PILLOW_GENERATIONS, PillowGeneration, gray, resize

_LOW_FREQUENCY_FACTOR = 4
_MOST_VALUES_COMPARED = 256
_TAIL = 2**12
# Of images that are hashed together on CPU. What is computed from more than the caches hold goes to
# memory that the system hands out anew every time.
_BYTES_AT_ONCE = 3 * 2**20
# Gray, gray with transparency, and RGB with transparency, as Pillow's pictures become arrays.
_CHANNELS_OF_OTHERS = (1, 2, 4)


class Decision(NamedTuple):
    """A hash, and how close it was.

    Attributes:
        bits: bool ``[..., rows, columns]``.
        margin: float32 ``[...]``, the smallest distance of a value to the threshold that made it a
            bit, in the unit of the hash's function.
        fragile: bool ``[...]``, whether rounding in ImageHash's or our floating-point arithmetic
            may have decided a bit.
    """

    bits: Bool[Array, "*batch rows columns"]
    margin: Float32[Array, "*batch"]
    fragile: Bool[Array, "*batch"]


def reduced_size(name: str, *, hash_size: int, height: int, width: int) -> tuple[int, int]:
    """Height and width to which a hash reduces a picture before it decides.

    Args:
        name: a key of ``HASHES`` except colorhash, which reduces nothing.
        hash_size: side of the hash, bits.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Raises:
        ValueError: another name, or a picture so large that its sums are more than int32 holds.
    """
    if name == "average_hash":
        return hash_size, hash_size
    if name == "dhash":
        return hash_size, hash_size + 1
    if name == "dhash_vertical":
        return hash_size + 1, hash_size
    if name == "whash":
        side = max(hash_size, 2 ** (min(height, width).bit_length() - 1))
        block = side // hash_size
        if 255 * block**2 >= 2**31:
            raise ValueError(
                f"whash of size {hash_size} adds up blocks of {block}x{block} pixels, more than "
                "int32 holds: choose a larger hash_size, or make the picture smaller"
            )
        return side, side
    if name not in ("phash", "phash_simple"):
        raise ValueError(f"{name} does not reduce a picture")
    return _LOW_FREQUENCY_FACTOR * hash_size, _LOW_FREQUENCY_FACTOR * hash_size


def _gray_reduced(
    name: str, image: UInt8[Array, "..."], *, hash_size: int, generation: PillowGeneration
) -> Int32[Array, "h w"]:
    height, width = reduced_size(
        name, hash_size=hash_size, height=image.shape[0], width=image.shape[1]
    )
    values = gray(image, rounded=generation.rounds_gray) if image.ndim == 3 else image
    resized = resize(values, height=height, width=width, generation=generation)
    return resized.astype(jnp.int32)


def _above_median(values: Array) -> tuple[Bool[Array, "h w"], Float32[Array, ""]]:
    """Which values are above their median, and the distance that keeps this decision.

    A value is above the median exactly if at least half of the values are smaller: no sorting, and
    no rounding of a mean of two. The distance is that between the two middle values, or, where one
    value is in the middle, from it to the nearest other.
    """
    flat = values.ravel()
    half = -(-flat.size // 2)
    if flat.size <= _MOST_VALUES_COMPARED:
        # Written out, XLA:CPU makes vector instructions of it, 30 times faster than its sort.
        smaller = sum((flat[i] < flat).astype(jnp.int32) for i in range(flat.size))
        above = smaller >= half
    else:
        above = flat > jnp.sort(flat)[half - 1]
    lower_middle = jnp.max(jnp.where(above, flat.min(), flat))
    distances = jnp.abs(flat - lower_middle).astype(jnp.float32)
    if flat.size % 2:
        distances = jnp.where(flat == lower_middle, jnp.inf, distances)
        decided = jnp.sum(flat == lower_middle) == 1
    else:
        distances = jnp.where(above, distances, jnp.inf)
        decided = jnp.sum(above) == flat.size // 2
    return above.reshape(values.shape), jnp.where(decided, distances.min(), 0.0)


@functools.lru_cache(maxsize=64)
def dct_matrix(size: int, num_rows: int) -> np.ndarray:
    """First rows of the unnormalised DCT-II, ``2 cos(pi k (2 i + 1) / (2 size))``, float64."""
    frequency, position = np.arange(num_rows)[:, None], np.arange(size)
    matrix = 2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * size))
    # Every later caller gets it too.
    matrix.setflags(write=False)
    return matrix


def _check_sum(name: str, hash_size: int, *, side: int, highest: int = 255) -> None:
    """ValueError if ``side * side`` values of up to ``highest`` may be more than int32 holds."""
    if highest * side**2 >= 2**31:
        raise ValueError(
            f"{name} of size {hash_size} adds up more values than int32 holds: choose a smaller "
            "hash_size"
        )


def _average(image, *, hash_size, generation):
    _check_sum("average_hash", hash_size, side=hash_size)
    values = _gray_reduced("average_hash", image, hash_size=hash_size, generation=generation)
    excess = values * values.size - values.sum()
    return Decision(excess > 0, jnp.abs(excess).min() / values.size, jnp.array(False))


def _difference(image, *, hash_size, generation, name="dhash", axis=1):
    values = _gray_reduced(name, image, hash_size=hash_size, generation=generation)
    difference = jnp.diff(values, axis=axis)
    return Decision(difference > 0, jnp.abs(difference).min().astype(jnp.float32), jnp.array(False))


_vertical_difference = functools.partial(_difference, name="dhash_vertical", axis=0)


def _dct_median(image, *, hash_size, generation):
    _check_sum("phash", hash_size, side=_LOW_FREQUENCY_FACTOR * hash_size)
    values = _gray_reduced("phash", image, hash_size=hash_size, generation=generation)
    size = len(values)
    # Only the coefficient of frequencies 0, 0 sees the mean; without it the sums round less.
    total = values.sum()
    values = (values - total // values.size).astype(jnp.float32)
    multiply = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    # Multiples of a power of 2, whose products add up exactly in float32, plus a small rest.
    matrix = dct_matrix(size, hash_size)
    scale = 2.0 ** int(np.log2(2**24 / (size * 255 * 2)))
    whole = np.rint(matrix * scale) / scale
    parts = np.concatenate([whole, matrix - whole]).astype(np.float32)
    rows = multiply("yx,kx->yk", values, parts)
    rows = rows[:, :hash_size] + rows[:, hash_size:]
    # Sums of sums round less than one long sum, which XLA would otherwise make of them.
    cut = matrix.astype(np.float32).reshape(hash_size, _LOW_FREQUENCY_FACTOR, hash_size)
    sums = multiply("lcy,cyk->clk", cut, rows.reshape(_LOW_FREQUENCY_FACTOR, hash_size, hash_size))
    coefficients = lax.optimization_barrier(sums).sum(0)
    constant = np.arange(hash_size**2).reshape(hash_size, hash_size) == 0
    coefficients = jnp.where(constant, 4 * total.astype(jnp.float32), coefficients)
    # Else XLA would compute the coefficients again for every one of the comparisons.
    bits, gap = _above_median(lax.optimization_barrier(coefficients))
    # Roundings on the way to a coefficient, each by at most 2**-24 of the sum of all magnitudes: of
    # the terms of a sum, the sums, the matrix and the rows, and ``size`` times of the small rest.
    roundings = hash_size + _LOW_FREQUENCY_FACTOR + 4 + size / (4 * scale)
    error = roundings * 2.0**-24 * 4 * jnp.abs(values).sum()
    # The median is in the middle of the gap, or at its lower end where it is a value itself.
    margin = gap / 2 if bits.size % 2 == 0 else gap
    return Decision(bits, margin, gap <= 2 * error)


def _dct_mean(image, *, hash_size, generation):
    _check_sum("phash_simple", hash_size, side=hash_size, highest=2 * _TAIL)
    values = _gray_reduced("phash_simple", image, hash_size=hash_size, generation=generation)
    size = len(values)
    # Coefficients above 0 do not see a constant; without it flat rows give exact zeros.
    values = (values - values[:, :1]).astype(jnp.float32)
    # The even coefficients see the symmetric part of a row, the odd ones the antisymmetric part.
    # Whole numbers plus a small rest: the whole part adds up exactly in float32.
    half = size // 2
    left, right = values[:, :half], values[:, half:][:, ::-1]
    bits_of_fraction = int(np.log2(2**24 / (half * 510 * 2)))
    matrix = dct_matrix(size, hash_size + 1)[1:, :half] * 2.0**bits_of_fraction
    whole, rest = np.rint(matrix), matrix - np.rint(matrix)
    parts = np.stack([whole, rest]).astype(np.float32)
    multiply = functools.partial(jnp.einsum, "phi,ri->prh", precision=lax.Precision.HIGHEST)
    odd = multiply(parts[:, 0::2], left - right)
    even = multiply(parts[:, 1::2], left + right)
    order = np.argsort([*range(0, hash_size, 2), *range(1, hash_size, 2)])
    coefficients = jnp.concatenate([odd, even], -1)[:, :hash_size, order]
    whole, rest = coefficients[0].astype(jnp.int32), coefficients[1]
    # The sum itself may be more than int32 holds: of its upper and its lower binary digits.
    upper, lower = (whole // _TAIL).sum(), (whole % _TAIL).sum()
    rest_of_sum = _TAIL * (upper % whole.size) + lower
    quotient = _TAIL * (upper // whole.size) + rest_of_sum // whole.size
    remainder = rest_of_sum % whole.size / whole.size
    excess = (whole - quotient).astype(jnp.float32) + (rest - rest.mean() - remainder)
    margin = jnp.abs(excess).min() / 2.0**bits_of_fraction
    return Decision(excess > 0, margin, margin < 1e-4)


def _wavelet(image, *, hash_size, generation):
    if hash_size & (hash_size - 1):
        raise ValueError(f"whash takes a hash_size that is a power of 2, got {hash_size}")
    values = _gray_reduced("whash", image, hash_size=hash_size, generation=generation)
    block = len(values) // hash_size
    # The approximation coefficients of a Haar transform are block sums, up to a factor.
    sums = values.reshape(hash_size, block, -1).sum(1).reshape(hash_size, -1, block).sum(2)
    bits, gap = _above_median(lax.optimization_barrier(sums))
    # There is an even number of blocks: the median is in the middle of the gap.
    return Decision(bits, gap / (2 * block**2), gap == 0)


# Of 14 colours each; the distance to each of their thresholds is looked at.
_MOST_COLOR_BITS = 16
# Pillow stores hue and saturation as integers 0 to 255; the first integers of the hue bins 1 to 5.
_HUE_BINS = (43, 85, 128, 170, 213)


def _hue_bin(red, green, blue, largest, spread) -> Int32[Array, "h w"]:
    """0 to 5: the hue, ``int(255 / 6 * sixths)``, in six bins, decided in integers.

    The hue in sixths of a turn is ``numerator / spread``.
    """
    numerator = jnp.where(
        red == largest,
        green - blue,
        jnp.where(green == largest, 2 * spread + blue - red, 4 * spread + red - green),
    )
    numerator = jnp.where(numerator < 0, numerator + 6 * spread, numerator)
    return sum((255 * numerator >= 6 * start * spread).astype(jnp.int32) for start in _HUE_BINS)


def _saturation_classes(largest, spread) -> tuple[Bool[Array, "h w"], ...]:
    """Whether the saturation, ``int(255 spread / largest)``, is over 84, 85 to 169, over 170."""
    colored = 3 * spread >= largest
    return colored, colored & (3 * spread < 2 * largest), 255 * spread >= 171 * largest


def color_bits(counts, totals, *, binbits: int):
    """The bits of a colour hash, bool ``[14, binbits]``, from the pixels of each of its 14 colours.

    Not binary digits: ImageHash sets bit i if the value modulo a growing power of 2 is above 0.

    Args:
        counts: pixels of each colour, integers ``[14]``, of NumPy or JAX.
        totals: pixels each is a share of, likewise.
        binbits: bits of each colour.
    """
    # 2**binbits * counts // totals, digit by digit, since that product may overflow.
    values = counts // totals
    rest = counts - values * totals
    for _ in range(binbits):
        digit = 2 * rest >= totals
        values, rest = 2 * values + digit, 2 * rest - digit * totals
    values = values.clip(max=2**binbits - 1)[:, None]
    shifts = np.arange(binbits)
    return values // 2 ** (binbits - shifts - 1) % 2 ** (binbits - shifts) > 0


def _color(image, *, binbits, generation):
    height, width = image.shape[:2]
    # Twice the count of pixels is the most that is added up.
    if 2 * height * width >= 2**31:
        raise ValueError(
            f"colorhash of {height}x{width} pixels adds up more than int32 holds: make the picture "
            "smaller"
        )
    if image.ndim == 2:
        image = jnp.stack([image] * 3, -1)
    black = gray(image, rounded=generation.rounds_gray) < 256 // 8
    red, green, blue = (image[..., channel].astype(jnp.int32) for channel in range(3))
    largest = jnp.maximum(jnp.maximum(red, green), blue)
    spread = largest - jnp.minimum(jnp.minimum(red, green), blue)
    colored, faint, bright = _saturation_classes(largest, spread)
    colored, faint, bright = ~black & colored, ~black & faint, ~black & bright
    hue = _hue_bin(red, green, blue, largest, spread)
    pixels, num_colored = black.size, jnp.maximum(1, colored.sum())
    counts = [black.sum(), (~black & ~colored).sum()]
    counts += [(chosen & (hue == bin)).sum() for chosen in (faint, bright) for bin in range(6)]
    counts = jnp.stack(counts)
    # Sharded as the others are: a constant would not be.
    totals = jnp.stack([0 * num_colored + pixels] * 2 + [num_colored] * 12)
    bits, levels = color_bits(counts, totals, binbits=binbits), 2**binbits
    thresholds = jnp.arange(1, levels)[:, None] / levels
    margin = jnp.abs(counts / totals - thresholds).min()
    return Decision(bits, margin, jnp.array(False))


# Without it JAX would compile every operation by itself, for each new size of pictures.
@functools.partial(jax.jit, static_argnames=("of_one", "static", "with_margin"))
def _decide(
    images, *, of_one: Callable, static: tuple[tuple[str, Any], ...], with_margin: bool
) -> Bool[Array, "number rows columns"] | Decision:
    decision = jax.vmap(functools.partial(of_one, **dict(static)))(images)
    # Also where the user has enabled float64.
    decision = decision._replace(margin=decision.margin.astype(jnp.float32))
    # Within the program, so that none computes a margin that nobody asked for.
    return decision if with_margin else decision.bits


def _in_pieces(images: np.ndarray | jax.Array) -> bool:
    """Whether they are many, and values in the memory of a CPU, of no particular device."""
    if isinstance(images, jax.core.Tracer) or images.nbytes <= _BYTES_AT_ONCE:
        return False
    if isinstance(lax.iota(np.uint8, 1), jax.core.Tracer):
        # A constant of a program that is being traced.
        return False
    if isinstance(images, np.ndarray):
        return jax.default_backend() == "cpu"
    return not images.committed and all(device.platform == "cpu" for device in images.devices())


def _decide_in_pieces(decide: Callable, images: np.ndarray) -> Array | Decision:
    """``decide`` of some images at a time: ``_BYTES_AT_ONCE``, or one image that has more."""
    number, at_once = len(images), max(1, _BYTES_AT_ONCE // images[0].nbytes)
    # Of one length, so that one program does: the last one may begin with images decided before.
    length = -(-number // -(-number // at_once))
    starts = [min(start, number - length) for start in range(0, number, length)]
    decided_before = length * len(starts) - number
    # Nothing leaves the CPU's memory: no transfer that its user may have forbidden.
    with jax.transfer_guard("allow"):
        pieces = [jax.tree.map(np.asarray, decide(images[s : s + length])) for s in starts]
        pieces[-1] = jax.tree.map(lambda leaf: leaf[decided_before:], pieces[-1])
        return jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)), *pieces)


def _hash(of_one: Callable, images: ArrayLike, *, pillow: str, with_margin: bool, **static):
    """``of_one`` over all leading axes of ``images``, bits only unless the margin is asked for."""
    if "hash_size" in static:
        static["hash_size"] = whole_number(static["hash_size"], "hash_size", least=2)
    # Looked at before it is converted, which may change its type.
    images = images if isinstance(images, jax.Array) else np.asarray(images)
    check_uint8(images, "a hash")
    trailing = 3 if images.ndim >= 3 and images.shape[-1] == 3 else 2
    if images.ndim < trailing or 0 in images.shape[images.ndim - trailing :]:
        raise ValueError(
            f"images must be [..., H, W, 3] or gray [..., H, W] with H, W >= 1, got {images.shape}"
        )
    if trailing == 2 and images.ndim > 2 and images.shape[-1] in _CHANNELS_OF_OTHERS:
        warnings.warn(
            f"{images.shape} is taken for gray pictures {images.shape[-1]} pixels wide: if its "
            "last axis holds channels, give RGB (Pillow: image.convert('RGB')), or gray "
            "without that axis",
            stacklevel=3,
        )
    generation = choose(PILLOW_GENERATIONS, pillow, "pillow")
    batch = images.shape[: images.ndim - trailing]
    static = tuple(sorted((static | {"generation": generation}).items()))
    decide = functools.partial(_decide, of_one=of_one, static=static, with_margin=with_margin)
    flat = (-1, *images.shape[images.ndim - trailing :])
    if _in_pieces(images):
        decided = _decide_in_pieces(decide, np.asarray(images).reshape(flat))
    else:
        decided = decide(jnp.asarray(images).reshape(flat))
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), decided)


def average_hash(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """Average hash: 1 where a pixel of the reduced gray picture is above their mean.

    The picture is reduced to ``hash_size x hash_size``. Margins are in gray levels.

    Equal to ``imagehash.average_hash`` of ImageHash 4.3.2.
    """
    return _hash(_average, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin)


def dhash(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """Difference hash: 1 where a pixel is brighter than its left neighbour.

    The picture is reduced to ``hash_size`` rows of ``hash_size + 1``. Margins are in gray levels.

    Equal to ``imagehash.dhash`` of ImageHash 4.3.2.
    """
    return _hash(_difference, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin)


def dhash_vertical(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """Vertical difference hash: 1 where a pixel is brighter than the one above it.

    The picture is reduced to ``hash_size + 1`` rows of ``hash_size``. Margins are in gray levels.

    Equal to ``imagehash.dhash_vertical`` of ImageHash 4.3.2.
    """
    return _hash(
        _vertical_difference, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin
    )


def phash(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """DCT hash: 1 where a low-frequency coefficient is above the median of them all.

    The picture is reduced to ``4 hash_size`` squared; the coefficients are the first
    ``hash_size x hash_size`` of its unnormalised DCT-II, the constant one included. Margins are in
    units of these coefficients. ImageHash computes them in float64 and lets noise decide ties, as
    on flat and on mirror-symmetric pictures; these, and those our float32 cannot tell apart, are
    fragile.

    Equal to ``imagehash.phash`` of ImageHash 4.3.2.
    """
    return _hash(_dct_median, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin)


def phash_simple(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """Row DCT hash: 1 where a coefficient is above their mean.

    The picture is reduced to ``4 hash_size`` squared; the coefficients are frequencies 1 to
    ``hash_size`` of the DCT-II of its first ``hash_size`` rows. Margins are in units of these
    coefficients.

    Equal to ``imagehash.phash_simple`` of ImageHash 4.3.2.
    """
    return _hash(_dct_mean, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin)


def whash(
    images: ArrayLike, *, hash_size: int = 8, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch {hash_size} {hash_size}"] | Decision:
    """Haar wavelet hash: 1 where a block of the picture is above the median of the blocks.

    The picture is reduced to the largest power of 2 that its shorter side holds, at least
    ``hash_size``, and cut into ``hash_size x hash_size`` blocks. Margins are in gray
    levels. Where two blocks tie at the median ImageHash lets floating-point noise decide;
    such a hash is fragile, and 0 in the tied places here.

    Equal to ``imagehash.whash`` of ImageHash 4.3.2.
    """
    return _hash(_wavelet, images, hash_size=hash_size, pillow=pillow, with_margin=with_margin)


def colorhash(
    images: ArrayLike, *, binbits: int = 3, pillow: str = "13.0", with_margin: bool = False
) -> Bool[Array, "*batch 14 {binbits}"] | Decision:
    """Colour hash: the shares of black, of gray, and of six hues, faint and bright, as digits.

    The first two shares are of all pixels, the others of the coloured ones; each is cut to
    ``2**binbits`` levels. Margins are in shares.

    Equal to ``imagehash.colorhash`` of ImageHash 4.3.2.
    """
    binbits = whole_number(binbits, "binbits", least=1, most=_MOST_COLOR_BITS)
    return _hash(_color, images, binbits=binbits, pillow=pillow, with_margin=with_margin)


def _colorhash_of_any_size(images: ArrayLike, *, hash_size: int = 8, **options):
    """``colorhash``, called as the others are, whose size it has no use for."""
    return colorhash(images, **options)


HASHES: dict[str, Callable] = {
    "average_hash": average_hash,
    "dhash": dhash,
    "dhash_vertical": dhash_vertical,
    "phash": phash,
    "phash_simple": phash_simple,
    "whash": whash,
    "colorhash": _colorhash_of_any_size,
}


def make_hash_all(hashes: Sequence[str], *, hash_size: int, pillow: str) -> Callable:
    """Returns a jitted ``images -> {name: Decision}``: several hashes in one program.

    Args:
        hashes: names, keys of ``HASHES``.
        hash_size: side of the hashes, bits.
        pillow: key of ``PILLOW_GENERATIONS``.
    """

    @jax.jit
    def hash_all(images: UInt8[Array, "..."]) -> dict[str, Decision]:
        return {
            name: HASHES[name](images, hash_size=hash_size, pillow=pillow, with_margin=True)
            for name in hashes
        }

    return hash_all


def check_hashes(hashes: Sequence[str], *, hash_size: int, pillow: str) -> None:
    """Refuses hashes that cannot be taken, before any work begins.

    Args:
        hashes: names, keys of ``HASHES``.
        hash_size: side of the hashes, bits.
        pillow: key of ``PILLOW_GENERATIONS``.

    Raises:
        ValueError: there is no hash, one is unknown or named twice, or the generation or the size
            is not valid for one of them.
    """
    if not hashes:
        raise ValueError(f"hash.names is empty: name one or more of {', '.join(HASHES)}")
    for name in hashes:
        choose(HASHES, name, "hash.names")
    if len(set(hashes)) < len(hashes):
        raise ValueError(f"hash.names has a hash twice: {','.join(hashes)}")
    choose(PILLOW_GENERATIONS, pillow, "hash.pillow")
    if hash_size < 2:
        raise ValueError(f"hash.size must be 2 or more, got {hash_size}")
    if "whash" in hashes and hash_size & (hash_size - 1):
        raise ValueError(f"hash.size must be a power of 2 for whash, got {hash_size}")
    # Some add up no more values than int32 holds.
    image = jax.ShapeDtypeStruct((hash_size, hash_size), jnp.uint8)
    for name in hashes:
        jax.eval_shape(functools.partial(HASHES[name], hash_size=hash_size, pillow=pillow), image)
