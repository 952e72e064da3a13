"""Raised contrast with high-frequency noise, one of the study's distortions."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float32, Key, UInt8

from phash_jax.distortions.contrast import contrast_level

# Standard deviation of white noise of deviation 1 from its mean over 3x3: sqrt(8 / 9).
_DEVIATION = (8 / 9) ** 0.5


def high_frequency_noise(
    key: Key[Array, ""], *, shape: tuple[int, int, int]
) -> Float32[Array, "h w c"]:
    """White Gaussian noise minus its mean over 3x3 pixels, standard deviation 1 per value.

    So nothing in it changes slowly; every channel has its own noise. Opposite edges are joined, so
    that the borders are as noisy as the middle.

    Args:
        key: decides the noise.
        shape: height, width and channels.
    """
    white = jax.random.normal(key, shape, jnp.float32)
    padded = jnp.pad(white, ((1, 1), (1, 1), (0, 0)), mode="wrap")
    total = lax.reduce_window(padded, 0.0, lax.add, (3, 3, 1), (1, 1, 1), "VALID")
    return (white - total / 9) / _DEVIATION


def add_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, amplitude: ArrayLike
) -> UInt8[Array, "h w c"]:
    """An image with ``amplitude`` gray levels of ``high_frequency_noise``, rounded and clipped."""
    noise = amplitude * high_frequency_noise(key, shape=image.shape)
    return jnp.clip(jnp.rint(image.astype(jnp.float32) + noise), 0, 255).astype(jnp.uint8)


def contrast_and_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, level: int, amplitude: float
) -> UInt8[Array, "h w c"]:
    """Raises the contrast, then adds high-frequency noise; rounded and clipped to 0..255.

    Args:
        key: decides the noise.
        image: one uint8 image, 0 to 255, any size.
        level: see ``contrast_level``; 0 leaves the contrast as it is.
        amplitude: standard deviation of the noise, gray levels; 0 adds none.
    """
    return add_noise(key, contrast_level(image, level=level), amplitude=amplitude)
