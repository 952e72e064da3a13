"""The study's four distortions by severity. It used one strength of each; three it does not state.

Source: L. Han, "Exploratory Research of Object Recognition Based on Deep Learning and Image
Perceptual Hashing" (2017), Fig 4.1 and 5.6; the severities are ours.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Key, UInt8

from phash_jax.distortions import crystallize as crystals
from phash_jax.distortions import swirl as whirl
from phash_jax.distortions.contrast import contrast_table
from phash_jax.distortions.high_frequency import add_noise
from phash_jax.distortions.lookup import look_up
from phash_jax.distortions.severity import Severity, at_severity, unless_clean

# The study tested level 200.
_CONTRAST_LEVEL = (50, 100, 150, 200, 230)
# Radians at the centre.
_SWIRL = (1.0, 2.0, 3.0, 4.5, 6.0)
# Side of a crystal's square, as a share of 32 pixels.
_CRYSTAL = (2, 3, 4, 5, 6)
_CRYSTAL_OF = 32
# Contrast level, and standard deviation of the noise in gray levels.
_NOISE_LEVEL = (25, 50, 100, 150, 200)
_NOISE = (5.0, 10.0, 15.0, 20.0, 30.0)


def raised_contrast(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Contrast of level 50, 100, 150, 200 (the study's test set) and 230; see ``contrast_level``.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    return unless_clean(severity, image, _contrast(image, _CONTRAST_LEVEL, severity))


def swirl(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Turns the middle by 1, 2, 3, 4.5 and 6 radians; see ``swirl.swirl``.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    return unless_clean(severity, image, whirl.swirl(image, strength=at_severity(_SWIRL, severity)))


def crystallize(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Crystals with a side of 2 to 6 pixels in an image of 32, in others in proportion, up to 1500.

    One program for each severity: mapped over severities, an image is crystallized five times.

    Args:
        key: decides the crystals; see ``crystallize.crystallize``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    scale = min(image.shape[:2]) / _CRYSTAL_OF
    sizes = [min(max(1, round(cell * scale)), crystals.MAX_CELL_SIZE) for cell in _CRYSTAL]
    place = jnp.clip(jnp.asarray(severity) - 1, 0, len(sizes) - 1)
    return unless_clean(severity, image, _crystallized(key, image, place, sizes=tuple(sizes)))


# Jitted because a choice in eager code is compiled in every call.
@partial(jax.jit, static_argnames="sizes")
def _crystallized(key, image, place, *, sizes: tuple[int, ...]) -> UInt8[Array, "h w c"]:
    branches = [partial(crystals.crystallize, cell_size=size) for size in sizes]
    return lax.switch(place, branches, key, image)


def contrast_and_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Contrast of level 25 to 200 with high-frequency noise of 5 to 30 gray levels.

    Args:
        key: decides the noise; see ``high_frequency.high_frequency_noise``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    contrasted = _contrast(image, _NOISE_LEVEL, severity)
    noisy = add_noise(key, contrasted, amplitude=at_severity(_NOISE, severity))
    return unless_clean(severity, image, noisy)


def _contrast(image, levels: tuple[int, ...], severity: Severity) -> UInt8[Array, "h w c"]:
    table = at_severity([contrast_table(level) for level in levels], severity)
    return look_up(table, image)


STUDY = {
    "raised_contrast": raised_contrast,
    "swirl": swirl,
    "crystallize": crystallize,
    "contrast_and_noise": contrast_and_noise,
}
