"""Distortions of uint8 images, and the named test sets made with them."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Array, UInt8

from phash_jax.distortions.contrast import contrast_level


def clean(image: UInt8[Array, "h w c"]) -> UInt8[Array, "h w c"]:
    """The image as it is."""
    return image


TEST_SETS: dict[str, Callable[[UInt8[Array, "h w c"]], UInt8[Array, "h w c"]]] = {
    "clean": clean,
    "contrast_200": partial(contrast_level, level=200),
    "contrast_300": partial(contrast_level, level=300),
}
