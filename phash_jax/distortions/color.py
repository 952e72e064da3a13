"""Brightness, contrast and saturation of CIFAR-10-C.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt8

from phash_jax.distortions.lookup import look_up
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean

_BRIGHTNESS = (0.05, 0.1, 0.15, 0.2, 0.3)
_CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)
_SATURATION = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))


def brightness(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Raises the value of HSV; hue and saturation stay.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    value = image.max(-1, keepdims=True).astype(jnp.int32)
    table = at_severity(np.arange(len(_BRIGHTNESS)), severity)
    brighter = look_up(_brighter(), (table * 256 + value) * 256 + image)
    return unless_clean(severity, image, brighter)


@functools.cache
def _brighter() -> UInt8[np.ndarray, " entries"]:
    """Per severity, largest channel and channel: the channel with the value raised, in doubles.

    With the same hue and saturation all three channels grow alike; black becomes gray. Results are
    whole numbers so often that single precision would cut many of them down to the next.
    """
    value, channel = np.arange(256)[:, None] / 255.0, np.arange(256) / 255.0
    saturation = np.where(value > 0, (value - channel) / np.where(value > 0, value, 1), 0)
    raised = [np.clip(value + by, 0, 1) * (1 - saturation) for by in _BRIGHTNESS]
    return (np.clip(raised, 0, 1) * 255).astype(np.uint8).ravel()


def contrast(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Moves every value towards the mean of its channel.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    unit = to_unit(image)
    mean = unit.mean((0, 1), keepdims=True)
    faint = (unit - mean) * at_severity(_CONTRAST, severity) + mean
    return unless_clean(severity, image, from_unit(faint))


def saturate(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Scales (and at the highest severities raises) the saturation of HSV.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5; 1 and 2 take colour away, 3 to 5 add some.
    """
    unit = to_unit(image)
    scale, offset = at_severity(_SATURATION, severity)
    value = unit.max(-1, keepdims=True)
    spread = value - unit.min(-1, keepdims=True)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    wanted = jnp.clip(saturation * scale + offset, 0, 1)
    # How far below the value each channel lies, as a share of the greatest distance there is.
    share = jnp.where(spread > 0, (value - unit) / jnp.where(spread > 0, spread, 1), _GRAY_IS_RED)
    return unless_clean(severity, image, from_unit(value * (1 - wanted * share) + _WHOLE))


# Results that are whole numbers except for rounding must stay whole.
_WHOLE = 1e-6
# A gray pixel has hue 0, so any saturation that it is given makes it red.
_GRAY_IS_RED = np.array([0, 1, 1], np.float32)
