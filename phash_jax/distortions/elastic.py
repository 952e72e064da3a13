"""The elastic transform of CIFAR-10-C.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Key, UInt8

from phash_jax.distortions.blur import gaussian_matrices
from phash_jax.distortions.random_keys import unrolled
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean
from phash_jax.fusion import apart

# As shares of 32 pixels: how far pixels move, how smoothly, and how far the three points do.
_AMPLITUDE = (0.0, 0.05, 0.08, 0.1, 0.1)
_SIGMA = (0.0, 0.2, 0.06, 0.04, 0.03)
_AFFINE = (0.08, 0.07, 0.06, 0.05, 0.03)
_SIZE = 32
_TRUNCATE = 3
# OpenCV (up to 4.x) interpolates at 32nds of a pixel, found in 1024ths.
_FRACTION_BITS, _PLACE_BITS = 5, 10


def elastic_transform(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Shears and stretches the image by moving three points, and then moves every pixel a little.

    Severity 1 has no second part. Beyond the edges the image is mirrored.

    Args:
        key: decides the moves; split in two, ``jax.random.uniform(first, (3, 2), minval=-1,
            maxval=1)`` for the points and ``uniform(second, (2, h, w), minval=-1, maxval=1)`` for
            the pixels (x, then y).
        image: one uint8 image, 0 to 255, 3 pixels or more on either side.
        severity: 0 (the identity) to 5.

    Raises:
        ValueError: the image is so small that the three points coincide.
    """
    if min(image.shape[:2]) < 3:
        raise ValueError(
            f"elastic_transform needs images of 3x3 pixels or more, got {image.shape[:2]}"
        )
    point_key, pixel_key = jax.random.split(key)
    points = jax.random.uniform(point_key, (3, 2), jnp.float32, -1, 1)
    pixels = jax.random.uniform(unrolled(pixel_key), (2, *image.shape[:2]), jnp.float32, -1, 1)
    return unless_clean(severity, image, _elastic(points, pixels, image, severity))


def _elastic(
    points: Float32[Array, "3 2"],
    pixels: Float32[Array, "2 h w"],
    image: UInt8[Array, "h w c"],
    severity: Severity,
) -> UInt8[Array, "h w c"]:
    height, width, _ = image.shape
    matrix = _inverse_affine(points * at_severity(_AFFINE, severity) * _SIZE, (height, width))
    sheared = _warp(to_unit(image), matrix)
    sigmas = tuple(sigma * _SIZE for sigma in _SIGMA)
    rows, columns = (
        at_severity(gaussian_matrices(sigmas, size, truncate=_TRUNCATE, edge="reflect"), severity)
        for size in (height, width)
    )
    precision = jax.lax.Precision.HIGHEST
    smooth = jnp.einsum("ih,khw->kiw", rows, pixels, precision=precision)
    smooth = jnp.einsum("jw,kiw->kij", columns, smooth, precision=precision)
    away_x, away_y = smooth * at_severity(_AMPLITUDE, severity) * _SIZE
    y = _reflected(jnp.arange(height)[:, None] + away_y, height)
    x = _reflected(jnp.arange(width) + away_x, width)
    top, left = jnp.floor(y).astype(jnp.int32), jnp.floor(x).astype(jnp.int32)
    moved = _between(
        sheared,
        (top, jnp.minimum(top + 1, height - 1)),
        (left, jnp.minimum(left + 1, width - 1)),
        y - top,
        x - left,
    )
    return from_unit(moved)


def _inverse_affine(moves: Float32[Array, "3 2"], shape: tuple[int, int]) -> Float32[Array, "2 3"]:
    """From places in the result to places in the image: the map takes the moved points back.

    The points lie a third of the shorter side around the centre; the original takes rows for x.
    """
    centre, reach = np.array(shape) // 2, min(shape) // 3
    corners = np.array([[1, 1], [1, -1], [-1, -1]]) * reach + centre
    # With differences from the first point, sides of the right angle are 2 reach long.
    moved = corners + moves
    to_second, to_third = moved[1] - moved[0], moved[2] - moved[0]
    # d/dy is minus the first side, d/dx minus what the third adds to it, both over 2 reach.
    d_y = -to_second / (2 * reach)
    d_x = (to_second - to_third) / (2 * reach)
    determinant = d_x[0] * d_y[1] - d_x[1] * d_y[0]
    inverse = jnp.array([[d_y[1], -d_y[0]], [-d_x[1], d_x[0]]]) / determinant
    # It moves the whole image: less precision than float32's would show.
    offset = corners[0] - jnp.matmul(inverse, moved[0], precision=jax.lax.Precision.HIGHEST)
    return jnp.concatenate([inverse, offset[:, None]], 1)


def _warp(
    values: Float32[Array, "h w c"], matrix: Float32[Array, "2 3"]
) -> Float32[Array, "h w c"]:
    """Takes each pixel from where ``matrix`` says, rounding places as OpenCV's ``warpAffine``."""
    height, width, _ = values.shape
    scaled = matrix * 2**_PLACE_BITS
    half = 2 ** (_PLACE_BITS - _FRACTION_BITS - 1)

    def places(row: int) -> Int32[Array, "h w"]:
        along_x = jnp.rint(scaled[row, 0] * jnp.arange(width)).astype(jnp.int32)
        along_y = jnp.rint(scaled[row, 1] * jnp.arange(height) + scaled[row, 2]).astype(jnp.int32)
        return (along_y[:, None] + half + along_x) >> (_PLACE_BITS - _FRACTION_BITS)

    x, y = places(0), places(1)
    left, top = x >> _FRACTION_BITS, y >> _FRACTION_BITS
    part = 2**_FRACTION_BITS
    return _between(
        values,
        tuple(_mirrored(top + i, height) for i in (0, 1)),
        tuple(_mirrored(left + i, width) for i in (0, 1)),
        (y % part) / part,
        (x % part) / part,
    )


# Fused, what decides the places would be computed for each channel.
@apart
def _between(values, rows, columns, part_y, part_x) -> Float32[Array, "h w c"]:
    """Interpolates linearly between two rows and two columns."""
    height, width, channels = values.shape
    flat = values.reshape(height * width, channels)
    part_y, part_x = part_y[..., None], part_x[..., None]
    upper, lower = (
        flat[row * width + columns[0]] * (1 - part_x) + flat[row * width + columns[1]] * part_x
        for row in rows
    )
    return upper * (1 - part_y) + lower * part_y


def _mirrored(place: Int32[Array, "h w"], size: int) -> Int32[Array, "h w"]:
    """Places mirrored about the edge pixels."""
    place = place % (2 * size - 2)
    return jnp.minimum(place, 2 * size - 2 - place)


def _reflected(place: Float32[Array, "h w"], size: int) -> Float32[Array, "h w"]:
    """Places mirrored about the outer border of the edge pixels, as SciPy's mode "reflect"."""
    place = (place + 0.5) % (2 * size)
    place = jnp.minimum(place, 2 * size - place) - 0.5
    return jnp.clip(place, 0, size - 1)
