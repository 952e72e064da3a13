"""Images in a few bits per value, between a hash image's one and a raw image's eight."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, UInt8

from phash_jax.binarize import checked_image, ordered_value
from phash_jax.checks import whole_number


def thermometer(
    image: UInt8[Array, "h w c"], *, thresholds: int
) -> Bool[Array, "h w {thresholds}*c"]:
    """Thermometer code: each value above the first threshold, above the second, and so on.

    The thresholds cut the image's values into equal shares, so that, as with a hash image, changing
    brightness or contrast changes nothing; one threshold makes ``median_hash_image``. The code is
    that of Buckman et al., "Thermometer Encoding: One Hot Way To Resist Adversarial Examples"
    (2018), whose thresholds are fixed.

    Args:
        image: one uint8 image, 0 to 255, any size.
        thresholds: 1 or more, bits for each value; the first ``c`` channels are the lowest one's.

    Raises:
        TypeError: the image is not uint8, or the number of thresholds not whole.
        ValueError: it is not a single image, or there is no threshold.
    """
    image = checked_image(image)
    thresholds = whole_number(thresholds, "thresholds", least=1)
    ranks = [-(-image.size * i // (thresholds + 1)) for i in range(1, thresholds + 1)]
    return jnp.concatenate([image > ordered_value(image, rank) for rank in ranks], -1)


def squeeze_bit_depth(image: UInt8[Array, "h w c"], *, bits: int) -> Float32[Array, "h w c"]:
    """Rounds values to ``2**bits`` levels from 0 to 1.

    Source: Xu et al., "Feature Squeezing" (2018), decided in integers.

    Args:
        image: one uint8 image, 0 to 255, any size.
        bits: 1 to 8.

    Raises:
        TypeError: the image is not uint8, or the number of bits not whole.
        ValueError: it is not a single image, or ``bits`` is out of range.
    """
    image = checked_image(image)
    bits = whole_number(bits, "bits", least=1, most=8)
    highest = 2**bits - 1
    # Never in the middle between two levels, since 255 is odd.
    level = (image.astype(jnp.int32) * highest + 127) // 255
    return level.astype(jnp.float32) / highest
