"""From one uint8 image to the float32 input of the network, inside the compiled program."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

from phash_jax.hashing import average_hash_image

Preprocess = Callable[[UInt8[Array, "h w c"]], Float32[Array, "h w c"]]


def raw(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """Values scaled from 0..255 to 0..1."""
    return image.astype(jnp.float32) / 255


def average_hash(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """1 where a value is above the mean of all the image's values, else 0."""
    return average_hash_image(image).astype(jnp.float32)


PREPROCESS: dict[str, Preprocess] = {"raw": raw, "average_hash": average_hash}
