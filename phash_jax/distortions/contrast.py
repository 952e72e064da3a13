"""Raised contrast, the study's distortion of the test set."""

import numpy as np
from jaxtyping import Array, UInt8

from phash_jax.checks import check_uint8, whole_number
from phash_jax.distortions.lookup import look_up


def contrast_level(image: UInt8[Array, "h w c"], *, level: int) -> UInt8[Array, "h w c"]:
    """Moves every value away from 128 (towards it below level 0), clipped to 0..255.

    ``factor = 259 (level + 255) / (255 (259 - level))``; ``value = 128 + factor (value - 128)``,
    rounded to the nearest integer. Level 0 is the identity, 200 gives factor 7.83; above 259 the
    factor is negative and the picture inverted (the study's code ran 300, its text says 200).

    Args:
        image: one uint8 image, 0 to 255, any size.
        level: contrast level, a whole number, -255 or more, not 259.

    Raises:
        TypeError: ``level`` is not whole, or the image not uint8.
        ValueError: ``level`` is 259, where the factor is infinite, or below -255.
    """
    check_uint8(image, "contrast_level")
    return look_up(contrast_table(level), image)


def contrast_table(level: int) -> UInt8[np.ndarray, " 256"]:
    """What every value from 0 to 255 becomes; see ``contrast_level``."""
    level = whole_number(level, "a contrast level", least=-255)
    if level == 259:
        raise ValueError("a contrast level must not be 259, where the factor is infinite")
    factor = 259 * (level + 255) / (255 * (259 - level))
    return np.clip(np.rint(128 + factor * (np.arange(256) - 128)), 0, 255).astype(np.uint8)
