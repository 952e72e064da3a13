"""Hash images: full-resolution images with one bit per value, above a threshold or not.

Every function takes one uint8 image ``[H, W, C]``, 0 to 255, and returns bool. Functions that
decide in integers give the same bits on all backends. Another type raises a TypeError; a batch (use
``jax.vmap``), an empty image, or one so large that a sum would overflow, raises a ValueError.
"""

from typing import SupportsIndex

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, UInt8

from phash_jax.checks import check_image, whole_number
from phash_jax.hashing import dct_matrix
from phash_jax.resampling import gray

# Sums in uint32, and where negative numbers are needed in int32.
_MAX_VALUES = (2**32 - 1) // 255
_MAX_VALUES_OF_WINDOW = (2**31 - 1) // 255


def average_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h w c"]:
    """The study's average-hash image: True where a value is above the mean of all values.

    ``v > sum / n`` is decided as ``v > sum // n``, the same for integers, so no rounding enters
    and every backend agrees. Source: L. Han, "Exploratory Research of Object Recognition Based on
    Deep Learning and Image Perceptual Hashing" (2017).

    Args:
        image: one uint8 image, 0 to 255, any size; the mean runs over all ``h * w * c`` values.

    Raises:
        TypeError: the image is not uint8.
        ValueError: the image has no value, or more than 16,843,009, where the sum would overflow.
    """
    return _above_mean(checked_image(image), axes=(0, 1, 2))


def channel_average_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h w c"]:
    """True where a value is above the mean of its own channel. As ``average_hash_image``."""
    return _above_mean(checked_image(image), axes=(0, 1))


def median_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h w c"]:
    """True where a value is above the median of all values. As ``average_hash_image``."""
    image = checked_image(image)
    # The lower of two middle values: none lies between them.
    return image > ordered_value(image, -(-image.size // 2))


def ordered_value(image: UInt8[Array, "..."], rank: int) -> UInt8[Array, ""]:
    """The value at place ``rank``, counted from 1, of all values in ascending order; no sorting."""
    # From its highest bit to its lowest: the largest value that fewer than ``rank`` are below.
    found = jnp.array(0, jnp.int32)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        is_high = jnp.sum(image < found + bit, dtype=jnp.int32) < rank
        # Not jnp.where of two constants, which jax 0.11 takes for unsharded.
        found = found + bit * is_high
    return found.astype(jnp.uint8)


def local_average_hash_image(
    image: UInt8[Array, "h w c"], *, radius: int = 4
) -> Bool[Array, "h w c"]:
    """True where a value is above the mean of the window around it, all channels together.

    As ``average_hash_image``, which it equals once the window covers the image.

    Args:
        image: one uint8 image, 0 to 255, any size.
        radius: the window reaches this many pixels up, down, left and right, 0 or more; what lies
            outside the image does not count.
    """
    image = checked_image(image, most_values=_MAX_VALUES_OF_WINDOW)
    whole, _ = _local_mean(image, radius=radius)
    return image > whole.astype(jnp.uint8)[..., None]


def smooth_local_average_hash_image(
    image: UInt8[Array, "h w c"], *, radius: int = 4
) -> Bool[Array, "h w c"]:
    """True where a value, smoothed, is above the mean of the window around it.

    As ``local_average_hash_image``, but each channel is first averaged over 3x3 pixels with the
    weights 1-2-1 in both directions, border pixels repeated; the window's mean is of the image
    itself. Three eighths of a pixel's noise remain, so fewer bits flip. Marr and Hildreth, "Theory
    of edge detection" (1980), find edges by the sign of such a difference of two blurs.
    """
    image = checked_image(image, most_values=_MAX_VALUES_OF_WINDOW)
    wide = jnp.pad(image.astype(jnp.int32), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    sixteenfold = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    whole, sixteenths = _local_mean(image, radius=radius)
    return sixteenfold > (16 * whole + sixteenths)[..., None]


def difference_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h w c"]:
    """True where a value is above its left neighbour; False in the first column.

    As ``average_hash_image``; the sign of the horizontal gradient, as in ``dhash``.
    """
    image = checked_image(image)
    return jnp.pad(image[:, 1:] > image[:, :-1], ((0, 0), (1, 0), (0, 0)))


def gradient_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h w 2*c"]:
    """Signs of both gradients: above the left neighbour, then above the upper one, per channel.

    As ``difference_hash_image``, with twice its bits; False in the first column and the first row.
    """
    image = checked_image(image)
    vertical = difference_hash_image(image.swapaxes(0, 1)).swapaxes(0, 1)
    return jnp.concatenate([difference_hash_image(image), vertical], -1)


def gray_average_hash_image(image: UInt8[Array, "h w 3"]) -> Bool[Array, "h w 1"]:
    """``average_hash_image`` of the gray image (Pillow 7.0 and later): one bit per pixel."""
    return average_hash_image(_checked_gray(image))


def multiscale_hash_image(image: UInt8[Array, "h w 3"]) -> Bool[Array, "h w 3"]:
    """The gray image above its mean at three scales: of 3x3 pixels, of 9x9 pixels, of all.

    As ``local_average_hash_image``, of the gray image (as Pillow 7.0 and later make it). Colour is
    given up for bits that show fine edges, larger parts, and light against dark.
    """
    of_gray = _checked_gray(image)
    scales = [local_average_hash_image(of_gray, radius=radius) for radius in (1, 4)]
    return jnp.concatenate([*scales, average_hash_image(of_gray)], -1)


def dct_hash_image(image: UInt8[Array, "h w c"]) -> Bool[Array, "h//2 w//2 c"]:
    """Signs of the low coefficients of each channel's DCT-II, as ``phash`` sees a picture.

    True where a coefficient is above 0, of the lower half of the frequencies in each direction.
    Decided in float32: a coefficient that is 0 within rounding may go either way.

    Raises:
        TypeError: the image is not uint8.
        ValueError: the image has a side of less than 2 pixels, or too many values.
    """
    image = checked_image(image)
    if min(image.shape[:2]) < 2:
        raise ValueError(f"a DCT hash image needs 2 pixels a side or more, got {image.shape[:2]}")
    rows, columns = (dct_matrix(n, n // 2).astype(np.float32) for n in image.shape[:2])
    coefficients = jnp.einsum(
        "yh,xw,hwc->yxc",
        rows,
        columns,
        image.astype(jnp.float32),
        precision=lax.Precision.HIGHEST,
    )
    return coefficients > 0


def checked_image(image: Array, *, most_values: int = _MAX_VALUES) -> UInt8[Array, "h w c"]:
    """The image, if it is one.

    Raises:
        TypeError: it is not uint8.
        ValueError: it has not three axes, no value, or more than ``most_values``.
    """
    check_image(image, "a hash image")
    if not 0 < image.size <= most_values:
        raise ValueError(f"an image must have 1 to {most_values} values, got shape {image.shape}")
    return image


def _checked_gray(image: Array) -> UInt8[Array, "h w 1"]:
    if checked_image(image).shape[-1] != 3:
        raise ValueError(f"only three channels can be made gray, the image has {image.shape[-1]}")
    return gray(image, rounded=True)[..., None]


def _above_mean(image: UInt8[Array, "h w c"], *, axes: tuple[int, ...]) -> Bool[Array, "h w c"]:
    total = jnp.sum(image, axis=axes, dtype=jnp.uint32, keepdims=True)
    count = jnp.uint32(image.size // total.size)
    return image > (total // count).astype(jnp.uint8)


def _local_mean(
    image: UInt8[Array, "h w c"], *, radius: SupportsIndex
) -> tuple[Int32[Array, "h w"], Int32[Array, "h w"]]:
    """The mean of the window around each pixel, rounded down: whole, and sixteenths above that."""
    # A larger window than that of the largest radius covers no more.
    radius = min(whole_number(radius, "radius", least=0), max(image.shape[:2]) - 1)
    size = 2 * radius + 1

    def window_sum(values):
        for window in ((size, 1), (1, size)):
            values = lax.reduce_window(values, jnp.int32(0), lax.add, window, (1, 1), "SAME")
        return values

    total = window_sum(image.sum(-1, dtype=jnp.int32))
    count = window_sum(jnp.full(image.shape[:2], image.shape[2], jnp.int32))
    whole = total // count
    # Not of 16 times the total, which may overflow.
    return whole, 16 * (total - whole * count) // count
