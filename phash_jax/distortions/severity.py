"""What all distortions by severity share: parameters, severity 0, values from 0 to 1."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, UInt8

from phash_jax.distortions.lookup import look_up

MAX_SEVERITY = 5

Severity = Int32[Array, ""] | int


def at_severity(per_severity: Sequence | np.ndarray, severity: Severity) -> Array:
    """The parameter of a severity from those of 1 to 5, by one lookup in a constant table.

    Args:
        per_severity: five numbers or arrays of one shape.
        severity: 0 to 5; at 0 the result is that of 1, since it is not used.
    """
    table = np.asarray(per_severity)
    if len(table) != MAX_SEVERITY:
        raise ValueError(f"parameters of {MAX_SEVERITY} severities are needed, got {len(table)}")
    if table.dtype == np.float64:
        table = table.astype(np.float32)
    return look_up(table, jnp.clip(severity, 1, MAX_SEVERITY) - 1)


def unless_clean(
    severity: Severity, image: UInt8[Array, "h w c"], distorted: UInt8[Array, "h w c"]
) -> UInt8[Array, "h w c"]:
    """The image as it is at severity 0, else the distorted one."""
    return jnp.where(severity == 0, image, distorted)


def to_unit(image: UInt8[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """0..255 as 0..1."""
    return image.astype(jnp.float32) / 255


def from_unit(values: Float32[Array, "h w c"]) -> UInt8[Array, "h w c"]:
    """0..1 as 0..255: clipped, and cut down to an integer as the original's last cast does."""
    return (jnp.clip(values, 0, 1) * 255).astype(jnp.uint8)
