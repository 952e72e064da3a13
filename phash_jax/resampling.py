"""Gray conversion and Lanczos reduction with the exact integer arithmetic of Pillow."""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, UInt8

_FRACTION_BITS = 22
_CENTRE = 128
_EXACT_IN_FLOAT32 = 2**24


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


# Each is named by its first version and lasts until the next. Measured on Pillow 11 to 13; the
# truncated gray of 6.0 is confirmed by the study's counts of 2017.
PILLOW_GENERATIONS: dict[str, PillowGeneration] = {
    "6.0": PillowGeneration(rounds_gray=False, vertical_first=_never),
    "7.0": PillowGeneration(rounds_gray=True, vertical_first=_never),
    "12.2": PillowGeneration(rounds_gray=True, vertical_first=_if_very_tall),
    "13.0": PillowGeneration(rounds_gray=True, vertical_first=_if_height_shrinks_more),
}


def gray(image: UInt8[Array, "h w 3"], *, rounded: bool) -> Float32[Array, "h w"]:
    """Pillow's ``convert("L")``: ``(19595 R + 38470 G + 7471 B) / 65536``, an integer 0 to 255.

    Every sum stays below 2**24, so float32 holds it exactly on every backend.

    Args:
        image: one RGB image, 0 to 255.
        rounded: to the nearest integer as since Pillow 7.0, else truncated.
    """
    red, green, blue = (image[..., channel].astype(jnp.float32) for channel in range(3))
    total = 19595 * red + 38470 * green + 7471 * blue + (32768 if rounded else 0)
    return jnp.floor(total * 2.0**-16)


@functools.lru_cache(maxsize=256)
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
    return weights


@functools.lru_cache(maxsize=256)
def _exact_parts(size: int, new_size: int) -> tuple[tuple[int, np.ndarray], ...]:
    """The weights as a sum of ``float32 part * 2**shift``.

    Each part is so small that its products with centred pixels add up exactly in float32,
    whatever the order of the additions.
    """
    rest, shift, parts = lanczos_weights(size, new_size), _FRACTION_BITS, []
    while np.any(rest):
        # The finest resolution whose sums float32 still holds.
        while shift > 0:
            finer = np.rint(rest / 2.0 ** (shift - 1))
            if np.abs(finer).sum(1).max() * _CENTRE >= _EXACT_IN_FLOAT32:
                break
            shift -= 1
        part = np.rint(rest / 2.0**shift)
        parts.append((shift, part.astype(np.float32)))
        rest = rest - (part * 2.0**shift).astype(np.int64)
    return tuple(parts)


def _resample_last_axis(values: Float32[Array, "... n"], new_size: int) -> Float32[Array, "... m"]:
    size = values.shape[-1]
    if size == new_size:
        return values
    parts = _exact_parts(size, new_size)
    stacked = np.concatenate([part for _, part in parts]).T
    sums = jnp.matmul(values - _CENTRE, stacked, precision=lax.Precision.HIGHEST)
    sums = sums.reshape(*sums.shape[:-1], len(parts), new_size).astype(jnp.int32)
    constant = lanczos_weights(size, new_size).sum(1) * _CENTRE + 2 ** (_FRACTION_BITS - 1)
    total = jnp.asarray(constant, jnp.int32)
    for index, (shift, _) in enumerate(parts):
        total = total + (sums[..., index, :] << shift)
    return jnp.clip(total >> _FRACTION_BITS, 0, 255).astype(jnp.float32)


def resize(
    values: Float32[Array, "h w"], *, height: int, width: int, generation: PillowGeneration
) -> Float32[Array, "{height} {width}"]:
    """Pillow's ``resize((width, height), LANCZOS)`` of one 8-bit gray image, bit for bit.

    Source: ``Resample.c`` of Pillow 13.0.0 and the versions before it, checked by running.

    Args:
        values: integers 0 to 255, held as float32 so that the passes are matrix products.
        height: new height, pixels.
        width: new width, pixels.
        generation: a value of ``PILLOW_GENERATIONS``.
    """

    def horizontal(values):
        return _resample_last_axis(values, width)

    def vertical(values):
        return _resample_last_axis(values.T, height).T

    if generation.vertical_first(*values.shape, height, width):
        return horizontal(vertical(values))
    return vertical(horizontal(values))
