"""From one uint8 image to the float32 input of the network, inside the compiled program."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

from phash_jax import hashing

Preprocess = Callable[[UInt8[Array, "h w c"]], Float32[Array, "h w c"]]


def raw(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """Values scaled from 0..255 to 0..1."""
    return image.astype(jnp.float32) / 255


def _hashed(hash_image: Callable) -> Preprocess:
    """A hash image as the values 0 and 1."""

    def preprocess(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
        return hash_image(image).astype(jnp.float32)

    return preprocess


PREPROCESS: dict[str, Preprocess] = {
    "raw": raw,
    "average_hash": _hashed(hashing.average_hash_image),
    "channel_average_hash": _hashed(hashing.channel_average_hash_image),
    "median_hash": _hashed(hashing.median_hash_image),
    "local_average_hash": _hashed(hashing.local_average_hash_image),
    "difference_hash": _hashed(hashing.difference_hash_image),
}
