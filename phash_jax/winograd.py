"""Winograd's minimal filtering: a convolution with few multiplications, as matrix products.

Toom and Cook multiply two polynomials by evaluating both at a few points, multiplying the values
and interpolating. Transposed, that is a correlation: four neighbouring outputs under a kernel of
five pixels cost 8 multiplications instead of 20, and 4x4 outputs under 5x5 cost 64 instead of 400.
S. Winograd, "Arithmetic Complexity of Computations", 1980; for convolutional networks: A. Lavin and
S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308).
"""

import functools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# Outputs along a side of a tile.
TILE = 4
# Small numbers whose powers stay near 1, so that float32 loses little. The last point is infinity.
_POINTS = [Fraction(point) for point in ("0", "1", "-1", "2", "-2", "1/2", "-1/2")]
KERNEL_SIZES = range(2, len(_POINTS) + 3 - TILE)
# A tile becomes 64 values per channel: 256 tiles of 64 channels are 4 MB, and more fell out of the
# cache. More chunks would take longer to compile than they save.
_TILES_PER_CHUNK = 256
_MAX_CHUNKS = 8


@functools.cache
def matrices(kernel_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three matrices of one dimension: ``outputs = c @ ((b @ inputs) * (g @ kernel))``.

    Args:
        kernel_size: one of ``KERNEL_SIZES``; a tile then has ``n = TILE + kernel_size - 1`` inputs.

    Returns:
        ``b`` ``[n, n]``, ``g`` ``[n, kernel_size]`` and ``c`` ``[TILE, n]``, float64, rounded from
        exact fractions.
    """
    size = TILE + kernel_size - 1

    def evaluate(length: int) -> np.ndarray:
        rows = [[point**power for power in range(length)] for point in _POINTS[: size - 1]]
        return np.array([*rows, [Fraction(0)] * (length - 1) + [Fraction(1)]])

    b = _inverse(evaluate(size)).T.astype(np.float64)
    g = evaluate(kernel_size).astype(np.float64)
    # Powers of two are exact, and bring the two factors to the same size.
    scale = 2.0 ** np.round(np.log2(np.abs(g).sum(1) / np.abs(b).max(1)) / 2)[:, None]
    return b * scale, g / scale, evaluate(TILE).T.astype(np.float64)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a square matrix of fractions, exactly."""
    size = len(matrix)
    unit = [[Fraction(int(row == column)) for column in range(size)] for row in range(size)]
    work = np.concatenate([matrix, np.array(unit)], axis=1)
    for column in range(size):
        pivot = next(row for row in range(column, size) if work[row, column])
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = work[column] / work[column, column]
        for row in range(size):
            if row != column:
                work[row] = work[row] - work[row, column] * work[column]
    return work[:, size:]


def _banded(length: int, kernel_size: int) -> np.ndarray:
    """``b`` of every tile along a side of ``length`` zero-padded pixels, as one matrix."""
    b, _, _ = matrices(kernel_size)
    tiles = -(-length // TILE)
    before = (kernel_size - 1) // 2
    banded = np.zeros((len(b), tiles, tiles * TILE + kernel_size - 1))
    for tile in range(tiles):
        banded[:, tile, tile * TILE : tile * TILE + len(b)] = b
    return banded[:, :, before : before + length].reshape(-1, length)


def conv(x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw c f"]) -> Float[Array, "n h w f"]:
    """``lax.conv_general_dilated`` with stride 1 and padding "SAME", NHWC and HWIO.

    Differentiable; its gradients are computed the same way. Rounding errors are some ten times
    those of the direct convolution: 4e-5 at the most on outputs of unit size, 64 channels and 5x5.

    Args:
        x: float32 images.
        kernel: float32 square kernels, their side one of ``KERNEL_SIZES``.

    Raises:
        ValueError: a kernel of another size.
    """
    if kernel.shape[0] != kernel.shape[1] or kernel.shape[0] not in KERNEL_SIZES:
        raise ValueError(
            f"kernels must be square and of {KERNEL_SIZES[0]} to {KERNEL_SIZES[-1]} pixels a side, "
            f"got {kernel.shape[0]}x{kernel.shape[1]}"
        )
    tiles_per_image = -(-x.shape[1] // TILE) * -(-x.shape[2] // TILE)
    chunk = max(1, _TILES_PER_CHUNK // tiles_per_image, -(-len(x) // _MAX_CHUNKS))
    # One chunk even without any images.
    starts = range(0, max(1, len(x)), chunk)
    return jnp.concatenate([_conv(x[start : start + chunk], kernel) for start in starts])


def _conv(x, kernel):
    n, height, width, channels = x.shape
    side, features = kernel.shape[0], kernel.shape[-1]
    b, g, c = matrices(side)
    points = len(b)
    rows, columns = -(-height // TILE), -(-width // TILE)

    def constant(matrix):
        return jnp.asarray(matrix, x.dtype)

    # One matrix product per dimension; the order of axes between is the one that lets the product
    # over channels start from what the second leaves, without another transposition.
    x = constant(_banded(height, side)) @ x.transpose(1, 0, 2, 3).reshape(height, -1)
    x = x.reshape(points, rows, n, width, channels).transpose(0, 3, 1, 2, 4)
    along_width = constant(np.broadcast_to(_banded(width, side), (points, points * columns, width)))
    x = lax.batch_matmul(along_width, x.reshape(points, width, -1))
    kernel = constant(np.kron(g, g)) @ kernel.reshape(side * side, -1)
    y = lax.batch_matmul(
        x.reshape(points**2, -1, channels), kernel.reshape(points**2, channels, features)
    )
    y = constant(np.kron(c, c)) @ y.reshape(points**2, -1)
    y = y.reshape(TILE, TILE, columns, rows, n, features).transpose(4, 3, 0, 2, 1, 5)
    return y.reshape(n, rows * TILE, columns * TILE, features)[:, :height, :width]
