"""What an array must be to be taken for an image."""

from typing import Any

import jax.numpy as jnp


def check_uint8(image: Any, what: str) -> None:
    """TypeError, with a message that begins with ``what``, if the values are not uint8."""
    if getattr(image, "dtype", None) != jnp.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"{what} takes uint8 values from 0 to 255, got {kind}")
