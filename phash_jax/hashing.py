"""Perceptual hash images: one bit per pixel value, decided exactly in integers."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, UInt8

_MAX_VALUES = (2**32 - 1) // 255


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
    if image.dtype != jnp.uint8:
        raise TypeError(f"average_hash_image takes uint8 values from 0 to 255, got {image.dtype}")
    if not 0 < image.size <= _MAX_VALUES:
        raise ValueError(f"an image must have 1 to {_MAX_VALUES} values, got shape {image.shape}")
    total = jnp.sum(image, dtype=jnp.uint32)
    return image > (total // jnp.uint32(image.size)).astype(jnp.uint8)
