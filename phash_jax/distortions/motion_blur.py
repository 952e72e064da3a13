"""The motion blur of CIFAR-10-C.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py). The original
calls ImageMagick; this is the arithmetic of its ``MotionBlurImage``: whole-pixel shifts along one
direction, weighted by one side of a Gaussian, rounded to the nearest integer.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Key, UInt8

from phash_jax.distortions.severity import Severity, at_severity, unless_clean

# Radius and standard deviation, pixels.
_MOTION = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))


def motion_blur(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Smears the image along a line at most 45 degrees from the horizontal.

    Args:
        key: decides the direction, ``jax.random.uniform(key, (), minval=-45, maxval=45)`` degrees.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    angle = jax.random.uniform(key, (), jnp.float32, -45, 45)
    weights = at_severity(shift_weights(_MOTION), severity)
    smeared = smear(image.astype(jnp.float32), angle, weights)
    return unless_clean(severity, image, jnp.clip(jnp.rint(smeared), 0, 255).astype(jnp.uint8))


def shift_weights(sizes: tuple[tuple[int, float], ...]) -> Float32[np.ndarray, "n shifts"]:
    """Weights of shifts by 0, 1, ... pixels: one side of a Gaussian, normalised.

    Args:
        sizes: radius (shifts go up to twice as far) and standard deviation, pixels, of each kernel.
    """
    shifts = np.arange(2 * max(radius for radius, _ in sizes) + 1)
    weights = [
        np.where(shifts <= 2 * radius, np.exp(-0.5 * (shifts / sigma) ** 2), 0)
        for radius, sigma in sizes
    ]
    weights = np.array([row / row.sum() for row in weights])
    # What weighs less than a thousandth of a gray level is left out.
    used = (weights > 4e-6).any(0)
    return weights[:, : used.nonzero()[0][-1] + 1].astype(np.float32)


def smear(
    values: Float32[Array, "h w *c"], angle: Float[Array, ""], weights: Float32[Array, " shifts"]
) -> Float32[Array, "h w *c"]:
    """Sums shifted copies of a picture; beyond the edges lies the nearest pixel.

    Args:
        values: the picture.
        angle: direction in degrees, any; at 0 it is smeared to the left.
        weights: of shifts by 0, 1, ... pixels, which are rounded to whole pixels in both axes.
    """
    reach = len(weights) - 1
    channels = values.ndim - 2
    padded = jnp.pad(values, ((reach, reach), (reach, reach)) + ((0, 0),) * channels, mode="edge")
    radians = jnp.deg2rad(angle)
    steps = jnp.arange(len(weights))
    # A half is rounded down.
    down = jnp.ceil(steps * jnp.sin(radians) - 0.5).astype(jnp.int32)
    right = jnp.ceil(steps * jnp.cos(radians) - 0.5).astype(jnp.int32)
    total = jnp.zeros_like(values)
    for step, weight in enumerate(weights):
        start = (reach + down[step], reach + right[step], *(jnp.int32(0),) * channels)
        total += weight * lax.dynamic_slice(padded, start, values.shape)
    return total
