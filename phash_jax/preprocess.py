"""From one uint8 image to the float32 input of the network, inside the compiled program."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

from phash_jax import binarize, bit_depth
from phash_jax.checks import check_image

Preprocess = Callable[[UInt8[Array, "h w c"]], Float32[Array, "..."]]


def raw(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """Values scaled from 0..255 to 0..1; TypeError if not uint8, ValueError if not one image."""
    check_image(image, "raw")
    return image.astype(jnp.float32) / 255


def raw_and_average_hash(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w 2*c"]:
    """The raw image and its average-hash image, as further channels."""
    return jnp.concatenate([raw(image), PREPROCESS["average_hash"](image)], -1)


def _bits_as_values(
    image: UInt8[Array, "h w c"], *, hash_image: Callable
) -> Float32[Array, "height width channels"]:
    return hash_image(image).astype(jnp.float32)


def _hashed(hash_image: Callable) -> Preprocess:
    """Bits as the values 0 and 1."""
    # A partial, unlike an inner function, can be pickled for the processes of a data loader.
    return partial(_bits_as_values, hash_image=hash_image)


PREPROCESS: dict[str, Preprocess] = {
    "raw": raw,
    "average_hash": _hashed(binarize.average_hash_image),
    "channel_average_hash": _hashed(binarize.channel_average_hash_image),
    "median_hash": _hashed(binarize.median_hash_image),
    "local_average_hash": _hashed(binarize.local_average_hash_image),
    "smooth_local_average_hash": _hashed(binarize.smooth_local_average_hash_image),
    "multiscale_hash": _hashed(binarize.multiscale_hash_image),
    "difference_hash": _hashed(binarize.difference_hash_image),
    "gradient_hash": _hashed(binarize.gradient_hash_image),
    "gray_average_hash": _hashed(binarize.gray_average_hash_image),
    "dct_hash": _hashed(binarize.dct_hash_image),
    "thermometer_2": _hashed(partial(bit_depth.thermometer, thresholds=2)),
    "thermometer_3": _hashed(partial(bit_depth.thermometer, thresholds=3)),
    "thermometer_4": _hashed(partial(bit_depth.thermometer, thresholds=4)),
    "bit_depth_1": partial(bit_depth.squeeze_bit_depth, bits=1),
    "bit_depth_2": partial(bit_depth.squeeze_bit_depth, bits=2),
    "bit_depth_4": partial(bit_depth.squeeze_bit_depth, bits=4),
    "raw_and_average_hash": raw_and_average_hash,
}

# Inputs whose values are not all 0 or 1.
SEVERAL_BITS_A_VALUE = ("bit_depth_2", "bit_depth_4", "raw", "raw_and_average_hash")

# Bits of the network's input per pixel of an RGB image.
BITS_PER_PIXEL: dict[str, float] = {
    "dct_hash": 0.75,
    "gray_average_hash": 1,
    "average_hash": 3,
    "channel_average_hash": 3,
    "median_hash": 3,
    "local_average_hash": 3,
    "smooth_local_average_hash": 3,
    "multiscale_hash": 3,
    "difference_hash": 3,
    "bit_depth_1": 3,
    "gradient_hash": 6,
    "thermometer_2": 6,
    "bit_depth_2": 6,
    "thermometer_3": 9,
    "thermometer_4": 12,
    "bit_depth_4": 12,
    "raw": 24,
    "raw_and_average_hash": 27,
}
