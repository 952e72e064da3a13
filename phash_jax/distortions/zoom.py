"""The zoom blur of CIFAR-10-C, and the enlargement that it and the snow are made with.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Float64, Int32, Int64, Key, UInt8

from phash_jax.distortions.severity import (
    MAX_SEVERITY,
    Severity,
    at_severity,
    from_unit,
    to_unit,
    unless_clean,
)

_ZOOM_STOPS = (1.06, 1.11, 1.16, 1.21, 1.26)
_ZOOM_STEP = 0.01
# Largest size, pixels, for the table below, which grows with the fourth power of it.
_MOST_AT_ONCE = 40
_SIZES_KEPT = 16


def zoom_blur(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """The mean of the image and ever larger enlargements about its middle, up to 5 to 25 %.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    unit = to_unit(image)
    total = (
        _zoomed_at_once(unit, severity)
        if max(image.shape[:2]) <= _MOST_AT_ONCE
        else _zoomed_by_taps(unit, severity)
    )
    number = at_severity([len(_zoom_factors(stop)) for stop in _ZOOM_STOPS], severity)
    return unless_clean(severity, image, from_unit((unit + total) / (number + 1)))


def _zoomed_at_once(unit: Float32[Array, "h w c"], severity: Severity) -> Float32[Array, "h w c"]:
    """Sum of the enlarged images: each row by one matrix from the rows near it.

    On CPU ten times faster than one enlargement after another. Where each image has a severity of
    its own, each gets a copy of the matrices, a megabyte for 32 pixels.
    """
    height, width, _ = unit.shape
    first, table = _zoom_table(height, width)
    near = table.shape[2]
    padded = jnp.pad(unit, ((-first, near - 1 + first), (0, 0), (0, 0)))
    rows = jnp.stack([padded[place : place + height] for place in range(near)], 1)
    # Else accelerators multiply in half precision or little more.
    return jnp.einsum(
        "ynvc,ynvx->yxc", rows, at_severity(table, severity), precision=lax.Precision.HIGHEST
    )


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _zoom_table(height: int, width: int) -> tuple[int, Float32[np.ndarray, "5 {height} n w w"]]:
    """Offset of the first row near each, and per severity and row the matrix from those near it."""
    by_rows, by_columns = (_zoom_matrices(size) for size in (height, width))
    row, source = np.nonzero(by_rows.any((0, 1)))
    first, last = (source - row).min(), (source - row).max()
    table = np.zeros((MAX_SEVERITY, height, last - first + 1, width, width))
    for y, v in zip(row, source, strict=True):
        table[:, y, v - y - first] = np.einsum(
            "sz,szxv->svx", by_rows[:, :, y, v], by_columns, dtype=np.float64
        )
    return int(first), table.astype(np.float32)


def _zoomed_by_taps(unit: Float32[Array, "h w c"], severity: Severity) -> Float32[Array, "h w c"]:
    """Sum of the enlarged images, one enlargement after another: two rows, two columns."""
    return _sum_enlarged(
        unit,
        *(at_severity(table, severity) for size in unit.shape[:2] for table in _zoom_taps(size)),
    )


# Jitted because a loop in eager code is compiled in every call.
@jax.jit
def _sum_enlarged(unit, row, row_weight, column, column_weight):
    def add(total, taps):
        row, row_weight, column, column_weight = taps
        rows = unit[row[0]] * row_weight[0, :, None, None]
        rows = rows + unit[row[1]] * row_weight[1, :, None, None]
        of_left = rows[:, column[0]] * column_weight[0, :, None]
        return total + of_left + rows[:, column[1]] * column_weight[1, :, None], None

    # Varies over the devices of a user's shard_map only if the image does.
    total, _ = lax.scan(add, 0 * unit, (row, row_weight, column, column_weight))
    return total


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _zoom_taps(
    size: int,
) -> tuple[Int32[np.ndarray, "5 zooms 2 {size}"], Float32[np.ndarray, "5 zooms 2 {size}"]]:
    """``zoom_taps`` per severity and factor; weights of 0 beyond the last factor."""
    most = max(len(_zoom_factors(stop)) for stop in _ZOOM_STOPS)
    places = np.zeros((MAX_SEVERITY, most, 2, size), np.int32)
    weights = np.zeros((MAX_SEVERITY, most, 2, size), np.float32)
    for severity, stop in enumerate(_ZOOM_STOPS):
        for zoom, factor in enumerate(_zoom_factors(stop)):
            places[severity, zoom], weights[severity, zoom] = zoom_taps(size, factor)
    return places, weights


def _zoom_factors(stop: float) -> Float64[np.ndarray, " zooms"]:
    # One more than the decimals promise: 1.06 itself is among the factors up to 1.06, and so on.
    return np.arange(1, stop, _ZOOM_STEP)


def _zoom_matrices(size: int) -> Float32[np.ndarray, "5 zooms {size} {size}"]:
    """``zoom_matrix`` per severity and factor; 0 beyond the last."""
    most = max(len(_zoom_factors(stop)) for stop in _ZOOM_STOPS)
    matrices = np.zeros((MAX_SEVERITY, most, size, size), np.float32)
    for of_severity, stop in zip(matrices, _ZOOM_STOPS, strict=True):
        for matrix, factor in zip(of_severity, _zoom_factors(stop), strict=False):
            matrix[:] = zoom_matrix(size, factor)
    return matrices


def zoom_matrix(size: int, factor: float) -> Float64[np.ndarray, "{size} {size}"]:
    """``zoom_taps`` as a matrix."""
    matrix = np.zeros((size, size))
    for places, weights in zip(*zoom_taps(size, factor), strict=True):
        matrix[np.arange(size), places] += weights
    return matrix


def zoom_taps(
    size: int, factor: float
) -> tuple[Int64[np.ndarray, "2 {size}"], Float64[np.ndarray, "2 {size}"]]:
    """Enlarges the middle of a vector to its whole size, interpolating linearly.

    The middle is cut out, enlarged as ``scipy.ndimage.zoom`` does (first and last value stay first
    and last), and the excess is cut off on both sides.

    Args:
        size: values in the vector.
        factor: 1 or more.

    Returns:
        For each value the places of the two that it lies between, and their weights.
    """
    cut = int(np.ceil(size / factor))
    start = (size - cut) // 2
    enlarged = round(cut * factor)
    step = (cut - 1) / (enlarged - 1) if enlarged > 1 else 0.0
    places = (np.arange(size) + (enlarged - size) // 2) * step
    whole = np.minimum(places.astype(int), max(0, cut - 2))
    part = places - whole
    return start + np.stack([whole, np.minimum(whole + 1, cut - 1)]), np.stack([1 - part, part])
