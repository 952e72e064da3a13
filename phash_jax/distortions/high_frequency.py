"""High-frequency noise, of one of the study's distortions."""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float32, Key, UInt8

from phash_jax.distortions.random_keys import normal

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
    white = normal(key, shape)
    padded = jnp.pad(white, ((1, 1), (1, 1), (0, 0)), mode="wrap")
    total = lax.reduce_window(padded, 0.0, lax.add, (3, 3, 1), (1, 1, 1), "VALID")
    return (white - total / 9) / _DEVIATION


def add_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, amplitude: ArrayLike
) -> UInt8[Array, "h w c"]:
    """An image with ``amplitude`` gray levels of ``high_frequency_noise``, rounded and clipped."""
    noise = amplitude * high_frequency_noise(key, shape=image.shape)
    return jnp.clip(jnp.rint(image.astype(jnp.float32) + noise), 0, 255).astype(jnp.uint8)
