"""The pixelation of CIFAR-10-C, bit for bit as Pillow does it.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key, UInt8

from phash_jax.distortions.severity import Severity, at_severity, unless_clean
from phash_jax.fusion import apart
from phash_jax.resampling import PILLOW_GENERATIONS

_SHARES = (0.95, 0.9, 0.85, 0.75, 0.65)
_FRACTION_BITS = 22
_SIZES_KEPT = 16


def pixelate(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Reduces the image to 95 to 65 % of its size by Pillow's BOX filter and enlarges it again.

    Enlarging by BOX repeats pixels, so both are done at once: every pixel is the mean of the few
    that went into its reduced one, rounded after each axis. A side shorter than 2 is not reduced.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    height, width, _ = image.shape
    taps = [[at_severity(table, severity) for table in _taps(size)] for size in (height, width)]
    tall, wide = (
        lambda values, axis=axis: _mean_along(values, *taps[axis], axis=axis) for axis in (0, 1)
    )
    values = image.astype(jnp.int32)
    # As in Pillow 13, the axis that shrinks most may go first: in very tall images at some
    # severities.
    rule = PILLOW_GENERATIONS["13.0"].vertical_first
    rows_first = np.array(
        [rule(height, width, _reduced(height, s), _reduced(width, s)) for s in _SHARES]
    )
    mixed = tall(wide(values))
    if rows_first.any():
        mixed = jnp.where(at_severity(rows_first, severity), wide(tall(values)), mixed)
    return unless_clean(severity, image, mixed.astype(jnp.uint8))


def _reduced(size: int, share: float) -> int:
    return max(1, int(size * share))


# Fused, sums along the second axis would compute each of their terms, a sum along the first, anew.
@functools.partial(apart, static_argnames="axis")
def _mean_along(
    values: Int32[Array, "h w c"],
    sources: Int32[Array, "taps n"],
    weights: Int32[Array, "taps n"],
    *,
    axis: int,
) -> Int32[Array, "h w c"]:
    """Weighted sums of the pixels named for each place along an axis."""
    total = 2 ** (_FRACTION_BITS - 1)
    for source, weight in zip(sources, weights, strict=True):
        # Along the axis only, for all rows or columns and channels.
        weight = weight[:, None, None] if axis == 0 else weight[:, None]
        total += jnp.take(values, source, axis=axis) * weight
    return total >> _FRACTION_BITS


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _taps(size: int) -> tuple[Int32[np.ndarray, "5 taps n"], Int32[np.ndarray, "5 taps n"]]:
    """Per severity and pixel the pixels it is the mean of, and their weights in 2^-22."""
    boxes = []
    for share in _SHARES:
        reduced = _reduced(size, share)
        scale = size / reduced
        starts_ends = []
        for place in range(reduced):
            centre = (place + 0.5) * scale
            inside = (np.arange(size) - centre + 0.5) / scale
            taken = np.flatnonzero((inside > -0.5) & (inside <= 0.5))
            starts_ends.append((taken[0], len(taken)))
        # Enlarging takes the reduced pixel over whose middle the pixel's own lies.
        nearest = ((np.arange(size) + 0.5) * (reduced / size)).astype(int)
        boxes.append(np.array(starts_ends)[np.minimum(nearest, reduced - 1)])
    most = max(of_severity[:, 1].max() for of_severity in boxes)
    sources = np.zeros((len(_SHARES), most, size), np.int32)
    weights = np.zeros_like(sources)
    for i, of_severity in enumerate(boxes):
        starts, counts = of_severity.T
        for tap in range(most):
            sources[i, tap] = np.minimum(starts + tap, size - 1)
            weights[i, tap] = np.where(tap < counts, (0.5 + 2**_FRACTION_BITS / counts), 0)
    return sources, weights
