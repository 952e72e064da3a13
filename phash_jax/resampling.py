"""Gray conversion and Lanczos reduction with the exact integer arithmetic of Pillow."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, UInt8

from phash_jax import processor
from phash_jax.fusion import apart

# Of a photograph the weights of one size are tens of megabytes.
_SIZES_KEPT = 16
_FRACTION_BITS = 22
_OUTPUTS_MULTIPLE = 32
_MANY_OUTPUTS = 32
# More would take longer to compile than they save.
_MAX_BANDS = 8


@dataclasses.dataclass(frozen=True)
class PillowGeneration:
    """What decides the pixels of ``convert("L").resize(...)`` and differs between versions.

    Attributes:
        rounds_gray: whether the gray value is rounded to the nearest integer, or truncated.
        vertical_first: from (height, width, new height, new width) to whether the rows are
            resampled before the columns; between the two passes values are rounded to uint8.
    """

    rounds_gray: bool
    vertical_first: Callable[[int, int, int, int], bool]


def _never(height: int, width: int, new_height: int, new_width: int) -> bool:
    return False


def _if_very_tall(height: int, width: int, new_height: int, new_width: int) -> bool:
    return height > 100 * width and new_height < height


def _if_height_shrinks_more(height: int, width: int, new_height: int, new_width: int) -> bool:
    return height > new_height and height - new_height > 2 * (width - new_width)


# Each is named by its first version and lasts until the next. Checked by running Pillow 9.2, 11.0,
# 12.0, 12.1.1, 12.2, 12.3 and 13.0; the truncated gray of 6.0 by the study's counts of 2017.
PILLOW_GENERATIONS: dict[str, PillowGeneration] = {
    "6.0": PillowGeneration(rounds_gray=False, vertical_first=_never),
    "7.0": PillowGeneration(rounds_gray=True, vertical_first=_never),
    "12.2": PillowGeneration(rounds_gray=True, vertical_first=_if_very_tall),
    "13.0": PillowGeneration(rounds_gray=True, vertical_first=_if_height_shrinks_more),
}


def gray(image: UInt8[Array, "h w 3"], *, rounded: bool) -> UInt8[Array, "h w"]:
    """Pillow's ``convert("L")``: ``(19595 R + 38470 G + 7471 B) / 65536``, 0 to 255.

    Args:
        image: one RGB image, 0 to 255.
        rounded: to the nearest integer as since Pillow 7.0, else truncated.
    """
    red, green, blue = (image[..., channel].astype(jnp.uint16) for channel in range(3))
    # The weights' upper and lower bytes apart: 16 bits hold every sum, and fill more vector lanes.
    upper = 76 * red + 150 * green + 29 * blue
    lower = 139 * red + 70 * green + 47 * blue
    return ((upper + (lower >> 8) + (128 if rounded else 0)) >> 8).astype(jnp.uint8)


@functools.lru_cache(maxsize=_SIZES_KEPT)
def lanczos_weights(size: int, new_size: int) -> np.ndarray:
    """Fixed-point weights of Pillow's LANCZOS resampling of one axis.

    Args:
        size: length of the axis, pixels.
        new_size: length it is resampled to, pixels.

    Returns:
        int64 ``[new_size, size]``; each row sums to about 2**22.
    """
    scale = size / new_size
    filter_scale = max(scale, 1.0)
    support = 3.0 * filter_scale
    weights = np.zeros((new_size, size), np.int64)
    for row in range(new_size):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(size, int(centre + support + 0.5))
        distance = (np.arange(first, last) - centre + 0.5) * (1.0 / filter_scale)
        window = np.where(
            (distance >= -3) & (distance < 3), np.sinc(distance) * np.sinc(distance / 3), 0.0
        )
        # Not np.sum, which adds in another order than Pillow.
        window = window / np.cumsum(window)[-1]
        weights[row, first:last] = np.trunc(
            window * 2.0**_FRACTION_BITS + np.where(window < 0, -0.5, 0.5)
        )
    # All callers share this array.
    weights.setflags(write=False)
    return weights


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _digits(size: int, new_size: int) -> np.ndarray:
    """The weights in signed digits of base 256, int8 ``[digits, new_size, size]``."""
    rest, digits = lanczos_weights(size, new_size), []
    while np.any(rest):
        digit = (rest + 128) % 256 - 128
        digits.append(digit.astype(np.int8))
        rest = (rest - digit) // 256
    return np.stack(digits)


@functools.cache
def _has_matrix_unit() -> bool:
    """Whether one product with many zeros in it is faster than several small ones without.

    On accelerators, and on CPUs with Intel's AMX; elsewhere the multiplications count.
    """
    return jax.default_backend() != "cpu" or "amx_int8" in processor.features().split()


def _multiplies_unsigned() -> bool:
    """Whether unsigned values are multiplied by signed weights faster than signed values are.

    AVX-512's VNNI multiplies such pairs. Without it, XLA:CPU has no vector instructions for them,
    and jaxlib 0.10.0 does not compile them at all.
    """
    return (
        jax.__version_info__ >= (0, 10, 1)
        and not _has_matrix_unit()
        and "avx512_vnni" in processor.features().split()
    )


def _bands(size: int, new_size: int) -> list[slice]:
    """Outputs that are computed together, from the inputs that any of them needs."""
    if _has_matrix_unit():
        return [slice(0, new_size)]
    # Measured: the multiplications are faster, not what a further band costs besides.
    return _cheapest_bands(size, new_size, of_one_more=3300 if _multiplies_unsigned() else 1500)


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _cheapest_bands(size: int, new_size: int, *, of_one_more: int) -> list[slice]:
    """The bands that take the least time.

    Counted in multiplications per row, those of the padding included. To cut out the inputs of one
    more band and to join its outputs takes the time of ``of_one_more``.
    """
    weights, num_digits = lanczos_weights(size, new_size), len(_digits(size, new_size))

    def cost(bands: list[slice]) -> int:
        return of_one_more * len(bands) + sum(
            -(-num_digits * (band.stop - band.start) // _OUTPUTS_MULTIPLE)
            * _OUTPUTS_MULTIPLE
            * int(np.count_nonzero(weights[band].any(0)))
            for band in bands
        )

    lengths = (-(-new_size // number) for number in range(1, _MAX_BANDS + 1))
    ways = (
        [slice(start, min(start + length, new_size)) for start in range(0, new_size, length)]
        for length in lengths
    )
    return min(ways, key=cost)


def _resample(
    values: UInt8[Array, "h w"], new_size: int, *, axis: int
) -> UInt8[Array, "height width"]:
    if values.shape[axis] == new_size:
        return values
    many, has_matrix_unit = new_size >= _MANY_OUTPUTS, _has_matrix_unit()
    # Measured without a matrix unit only: pHash of 64 to 256 pixels takes 0.69 to 0.84 of the time.
    in_parts = many and not has_matrix_unit
    # With few outputs, or on a CPU without a matrix unit, turning the values first is faster.
    if axis == 0 and not (many and has_matrix_unit):
        turned = _turned_apart(values) if in_parts else values.T
        return _resample(turned, new_size, axis=1).T
    outputs_of = functools.partial(
        _band_apart if in_parts else _band,
        values,
        new_size=new_size,
        axis=axis,
        unsigned=axis == 1 and _multiplies_unsigned(),
    )
    bands = _bands(values.shape[axis], new_size)
    outputs = [outputs_of(start=band.start, stop=band.stop) for band in bands]
    return jnp.concatenate(outputs, axis)


_turned_apart = apart(jnp.transpose)


def _band(
    values: UInt8[Array, "h w"],
    *,
    new_size: int,
    start: int,
    stop: int,
    axis: int,
    unsigned: bool,
) -> UInt8[Array, "height width"]:
    """Outputs from ``start`` to before ``stop``, of the ``new_size`` along an axis."""
    band = slice(start, stop)
    exact = lanczos_weights(values.shape[axis], new_size)[band]
    needed = np.flatnonzero(exact.any(0))
    inputs = slice(int(needed[0]), int(needed[-1]) + 1)
    exact, digits = exact[:, inputs], _digits(values.shape[axis], new_size)[:, band, inputs]
    num_digits, num_outputs, num_inputs = digits.shape
    weights = digits.reshape(-1, num_inputs)
    # XLA:CPU is some percent faster with outputs in full vectors (dhash at 32 pixels: 8 %).
    weights = np.pad(weights, ((0, -len(weights) % _OUTPUTS_MULTIPLE), (0, 0)))
    values = lax.slice_in_dim(values, inputs.start, inputs.stop, axis=axis)
    offset = 0
    if not unsigned:
        # Flipping the highest bit subtracts 128 from every value.
        values, offset = (values ^ 128).view(jnp.int8), 128
    # A product of 8-bit integers, summed in 32: exact, and what matrix units are fastest at. This
    # precision keeps JAX from widening uint8 and int8 to a common type.
    multiply = functools.partial(
        lax.dot_general,
        precision=lax.DotAlgorithmPreset.DEFAULT,
        preferred_element_type=jnp.int32,
    )
    if axis:
        sums = multiply(values, weights, (((1,), (1,)), ((), ())))
    else:
        sums = multiply(weights, values, (((1,), (0,)), ((), ())))
    # Fused with what follows, some shapes are more than XLA's GPU compiler can tile: an error.
    sums = lax.optimization_barrier(sums)
    constant = np.int32(offset * exact.sum(1) + 2 ** (_FRACTION_BITS - 1))
    total = jnp.asarray(constant if axis else constant[:, None])
    for place in range(num_digits):
        digit = lax.slice_in_dim(sums, place * num_outputs, (place + 1) * num_outputs, axis=axis)
        total = total + (digit << 8 * place)
    return jnp.clip(total >> _FRACTION_BITS, 0, 255).astype(jnp.uint8)


_band_apart = apart(_band, static_argnames=("new_size", "start", "stop", "axis", "unsigned"))


def resize(
    values: UInt8[Array, "h w"], *, height: int, width: int, generation: PillowGeneration
) -> UInt8[Array, "{height} {width}"]:
    """Pillow's ``resize((width, height), LANCZOS)`` of one 8-bit gray image, bit for bit.

    Source: ``Resample.c`` of Pillow 13.0.0 and the versions before it, checked by running.

    Args:
        values: one gray image, 0 to 255.
        height: new height, pixels.
        width: new width, pixels.
        generation: a value of ``PILLOW_GENERATIONS``.
    """
    if generation.vertical_first(*values.shape, height, width):
        return _resample(_resample(values, height, axis=0), width, axis=1)
    return _resample(_resample(values, width, axis=1), height, axis=0)
