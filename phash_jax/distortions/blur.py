"""The blurs of CIFAR-10-C: Gaussian, out of focus, through frosted glass.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).

Blurs along rows and columns are products with constant matrices, whose elements also account for
what lies beyond the edges.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float32, Float64, Int, Int32, Key, UInt8, UInt32

from phash_jax.distortions.random_keys import unrolled
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean
from phash_jax.fusion import apart

_GAUSSIAN = (0.4, 0.6, 0.7, 0.8, 1.0)
# Radius of the disk and standard deviation of its antialiasing, pixels.
_DEFOCUS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))
# Standard deviation in pixels, and how often neighbours are swapped.
_GLASS_SIGMA = (0.05, 0.25, 0.4, 0.25, 0.4)
_GLASS_TIMES = (1, 1, 1, 2, 2)
# Tables of large pictures are tens of megabytes.
_SIZES_KEPT = 16


def apply_matrices(
    rows: Float32[ArrayLike, "h_out h"],
    values: Float32[Array, "h w c"],
    columns: Float32[ArrayLike, "w_out w"],
) -> Float32[Array, "h_out w_out c"]:
    """Multiplies every column of a picture with ``rows`` and every row with ``columns``."""
    # Else accelerators multiply in half precision or little more.
    precision = lax.Precision.HIGHEST
    # Transposed within a product, three channels are more than XLA's GPU compiler can tile.
    values = lax.optimization_barrier(jnp.moveaxis(values, 2, 0))
    values = jnp.einsum("ih,chw->ciw", rows, values, precision=precision)
    values = jnp.einsum("jw,ciw->cij", columns, values, precision=precision)
    return jnp.moveaxis(lax.optimization_barrier(values), 0, 2)


@functools.lru_cache(maxsize=_SIZES_KEPT)
def gaussian_matrices(
    sigmas: tuple[float, ...], size: int, *, truncate: float, edge: str
) -> Float32[np.ndarray, "sigmas {size} {size}"]:
    """A matrix per standard deviation that blurs a vector of ``size`` values.

    As ``scipy.ndimage.gaussian_filter1d``: weights up to ``truncate`` deviations, normalised.

    Args:
        sigmas: standard deviations, pixels; 0 is the identity.
        size: values in the vector.
        truncate: where the kernel ends, deviations.
        edge: "nearest" or "reflect" (with the edge value twice), what lies beyond.
    """
    matrices = np.zeros((len(sigmas), size, size))
    for matrix, sigma in zip(matrices, sigmas, strict=True):
        radius = int(truncate * sigma + 0.5)
        offsets = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (offsets / sigma) ** 2) if sigma else np.ones(1)
        weights /= weights.sum()
        sources = _EDGES[edge](np.arange(size)[:, None] + offsets, size)
        np.add.at(matrix, (np.arange(size)[:, None], sources), weights)
    return matrices.astype(np.float32)


def _nearest(place: Int[np.ndarray, "..."], size: int) -> Int[np.ndarray, "..."]:
    return np.clip(place, 0, size - 1)


def _reflect(place: Int[np.ndarray, "..."], size: int) -> Int[np.ndarray, "..."]:
    place = place % (2 * size)
    return np.minimum(place, 2 * size - 1 - place)


def reflect_101(place: Int[np.ndarray, "..."], size: int) -> Int[np.ndarray, "..."]:
    """Mirrors places beyond the edge about the edge pixel, which is not repeated."""
    if size == 1:
        return np.zeros_like(place)
    place = place % (2 * size - 2)
    return np.minimum(place, 2 * size - 2 - place)


_EDGES = {"nearest": _nearest, "reflect": _reflect, "reflect_101": reflect_101}


def gaussian_blur(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Blurs with a Gaussian of 0.4 to 1 pixel; beyond the edges lies the nearest pixel.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    rows, columns = (
        at_severity(gaussian_matrices(_GAUSSIAN, size, truncate=4, edge="nearest"), severity)
        for size in image.shape[:2]
    )
    return unless_clean(severity, image, from_unit(apply_matrices(rows, to_unit(image), columns)))


def defocus_blur(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Blurs with an antialiased disk; the image is mirrored at its edge pixels.

    The means of few pixels are often whole numbers, and the 30th bit decides whether the last cast
    keeps them or cuts them by one: so they are summed in integers, as exactly as the original's
    doubles.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    whole, _, _ = _sum_exactly(image, _disk_limbs(), severity, edge="reflect_101")
    blurred = jnp.minimum(whole, 255).astype(jnp.uint8).reshape(image.shape)
    return unless_clean(severity, image, blurred)


def _sum_exactly(
    image: UInt8[Array, "h w c"],
    limbs: tuple[Int32[np.ndarray, "5 5 5"], Int32[np.ndarray, "5 5 5"]],
    severity: Severity,
    *,
    edge: str,
) -> tuple[Int32[Array, "h w*c"], Int32[Array, "h w*c"], Int32[Array, "h w*c"]]:
    """A symmetric 5x5 convolution in integers: its whole part, and 36 bits of its fraction.

    Columns and channels are one axis: over three channels at a time there would be no vectors.
    """
    high, low = (at_severity(limb, severity) for limb in limbs)
    height, width, channels = image.shape
    padded = _padded(image, edge=edge).astype(jnp.int32)
    # Pixels equally far away have the same weight, so they are added up first.
    rings: dict[tuple[int, int], Array] = {}
    for y, x in np.ndindex(5, 5):
        ring = tuple(sorted((abs(y - 2), abs(x - 2))))
        columns = slice(channels * x, channels * (x + width))
        rings[ring] = rings.get(ring, 0) + padded[y : y + height, columns]
    sum_high = sum(high[2 + y, 2 + x] * ring for (y, x), ring in rings.items())
    sum_low = sum(low[2 + y, 2 + x] * ring for (y, x), ring in rings.items())
    sum_high += sum_low >> _LIMB_BITS
    mask = 2**_LIMB_BITS - 1
    return sum_high >> _LIMB_BITS, sum_high & mask, sum_low & mask


@functools.partial(apart, static_argnames="edge")
def _padded(image: UInt8[Array, "h w c"], *, edge: str) -> UInt8[Array, "rows columns"]:
    """With two more pixels on every side, and columns and channels as one axis."""
    for axis, size in enumerate(image.shape[:2]):
        image = jnp.take(image, _EDGES[edge](np.arange(-2, size + 2), size), axis=axis)
    return image.reshape(len(image), -1)


# Two of them hold a weight to 2^-36; 25 pixels of 255 at 2^18 stay below 2^31.
_LIMB_BITS = 18


def _limbs(kernels) -> tuple[Int32[np.ndarray, "n 5 5"], Int32[np.ndarray, "n 5 5"]]:
    """High and low bits of kernels of doubles, 5x5."""
    fixed = np.rint(np.array(kernels) * 4.0**_LIMB_BITS).astype(np.int64)
    return (fixed >> _LIMB_BITS).astype(np.int32), (fixed & (2**_LIMB_BITS - 1)).astype(np.int32)


@functools.cache
def _disk_limbs():
    return _limbs([_disk(*sizes) for sizes in _DEFOCUS])


def _disk(radius: float, sigma: float) -> Float64[np.ndarray, "5 5"]:
    """A disk of a radius in pixels, blurred 3x3, in the single precision of the original."""
    offsets = np.arange(-2, 3)
    disk = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.float32)
    disk /= disk.sum(dtype=np.float32)
    weights = np.exp(-0.5 * (np.arange(-1, 2) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    padded = np.pad(disk, 1)
    wide = sum(w * padded[:, i : i + 5] for i, w in enumerate(weights))
    both = sum(w * wide[i : i + 5] for i, w in enumerate(weights))
    return both.astype(np.float64)


def glass_blur(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Blurs, lets pixels take over a neighbour's colour, once or twice, and blurs again.

    A pixel from the third row and column on takes the colour of itself or of one to the left,
    above, or left above, with the same probability; the others stay. (The original means to swap
    the two, but copies.)

    Args:
        key: decides the neighbours, ``jax.random.bits(key, (h, w), jnp.uint32)``: the two lowest
            bits say whether one row up and one column to the left at the first time, the next two
            at the second.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    bits = jax.random.bits(unrolled(key), image.shape[:2], jnp.uint32)
    return unless_clean(severity, image, _glass(bits, image, severity))


def _glass(
    bits: UInt32[Array, "h w"], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    height, width, channels = image.shape
    inner = (jnp.arange(height) >= 2)[:, None] & (jnp.arange(width) >= 2)
    times = at_severity(_GLASS_TIMES, severity)
    # Where each pixel's colour comes from, followed back through both times; then one gather.
    source = here = jnp.arange(height * width).reshape(height, width)
    for time in reversed(range(max(_GLASS_TIMES))):
        steps = (bits >> 2 * time & 1) * width + (bits >> 2 * time + 1 & 1)
        before = here - jnp.where(inner & (time < times), steps.astype(jnp.int32), 0)
        source = before.ravel()[source]
    # One axis at a time: a reshape of sharded images may split or join no more.
    seen = _glass_gaussian(image, severity).reshape(image.shape)
    seen = seen.reshape(height * width, channels)[source]
    return _glass_gaussian(seen, severity).reshape(image.shape)


@apart
def _glass_gaussian(image: UInt8[Array, "h w c"], severity: Severity) -> UInt8[Array, "h w*c"]:
    """A Gaussian so narrow that the result is a whole number for many pixels.

    Cutting off decimals, the original loses 1 where its doubles happen to lie just below the whole
    number. They do so for some values of a flat picture, and are assumed to for the same values
    elsewhere.
    """
    limbs, losing = _glass_tables()
    whole, high, low = _sum_exactly(image, limbs, severity, edge="nearest")
    mask = 2**_LIMB_BITS - 1
    just_above = (high == 0) & (low < _TIE)
    just_below = (high == mask) & (low > mask - _TIE)
    nearest = whole + just_below
    # Bits of eight words: with a table of 256 values XLA's compiler for TPU ran out of memory.
    words = list(at_severity(losing, severity))
    for bit in (7, 6, 5):
        lower, upper = words[: len(words) // 2], words[len(words) // 2 :]
        is_upper = nearest >> bit & 1 == 1
        # jnp.where of two constants is unsharded to jax 0.11, even if the condition is sharded.
        words = [w ^ (w ^ u) * is_upper for w, u in zip(lower, upper, strict=True)]
    is_losing = (words[0] >> (nearest & 31).astype(jnp.uint32) & 1).astype(jnp.int32)
    kept = nearest - is_losing
    return jnp.where(just_above | just_below, kept, whole).astype(jnp.uint8)


# In 2^-36: above the error of the weights, below the square of the smallest of them.
_TIE = 2**11


@functools.cache
def _glass_tables():
    """Kernels as limbs; and which values of a flat picture lose 1, as bits of eight words.

    The latter by summing in doubles as SciPy does, in its order.
    """
    kernels, losing = [], []
    for sigma in _GLASS_SIGMA:
        radius = int(4 * sigma + 0.5)
        weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
        weights /= weights.sum()
        kernel = np.pad(np.outer(weights, weights), 2 - radius)
        # Rounded weights must sum up to 1, or a flat picture would not be a whole number.
        kernel[2, 2] += 1 - (np.rint(kernel * 4.0**_LIMB_BITS) / 4.0**_LIMB_BITS).sum()
        kernels.append(kernel)
        values = np.arange(256) / 255.0
        for _ in range(2):
            total = values * weights[radius]
            for weight in weights[:radius]:
                total = total + (values + values) * weight
            values = total
        is_losing = (np.clip(values, 0, 1) * 255).astype(np.uint8) != np.arange(256)
        losing.append(np.packbits(is_losing, bitorder="little").view("<u4").astype(np.uint32))
    return _limbs(kernels), np.array(losing)
