"""A swirl around the centre, one of the study's distortions."""

import functools
import math

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, ArrayLike, Float, Float32, UInt8

from phash_jax.checks import check_image
from phash_jax.fusion import apart


def swirl(
    image: UInt8[Array, "h w c"], *, strength: Float[ArrayLike, ""], radius: float = 1.0
) -> UInt8[Array, "h w c"]:
    """Turns the picture around its centre, most in the middle and less and less outwards.

    A pixel at distance ``r`` from the centre shows what lay ``strength * exp(-5 r / (R ln 2))``
    radians further round, interpolated between four pixels and rounded; outside the image the
    nearest edge pixel counts. The angle falls as in ``skimage.transform.swirl`` (scikit-image
    0.25), to less than a thousandth at R.

    Args:
        image: one uint8 image, 0 to 255, any size.
        strength: angle at the centre, radians; 0 is the identity.
        radius: R, as a share of half the shorter side, above 0. Static.

    Raises:
        TypeError: the image is not uint8.
        ValueError: ``radius`` is not above 0, or it is not one image.
    """
    check_image(image, "swirl")
    if not radius > 0:
        raise ValueError(f"a swirl's radius must be above 0, got {radius}")
    height, width, _ = image.shape
    sources = _sources(strength, height=height, width=width, radius=radius)

    def of_channel(channel):
        return map_coordinates(channel.astype(jnp.float32), sources, order=1, mode="nearest")

    turned = jax.vmap(of_channel, in_axes=-1, out_axes=-1)(image)
    return jnp.clip(jnp.rint(turned), 0, 255).astype(jnp.uint8)


# Fused, they would be computed for each channel.
@functools.partial(apart, static_argnames=("height", "width", "radius"))
def _sources(
    strength: Float[ArrayLike, ""], *, height: int, width: int, radius: float
) -> list[Float32[Array, "{height} {width}"]]:
    """Coordinates y and x that each pixel takes its colour from."""
    y, x = jnp.meshgrid(
        jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2,
        jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2,
        indexing="ij",
    )
    distance = jnp.hypot(x, y)
    decay = 5 / (radius * min(height, width) / 2 * math.log(2))
    angle = strength * jnp.exp(-decay * distance)
    # Differences from the pixel's own place, so that strength 0 moves nothing by rounding.
    source_y = y + x * jnp.sin(angle) + y * (jnp.cos(angle) - 1) + (height - 1) / 2
    source_x = x + x * (jnp.cos(angle) - 1) - y * jnp.sin(angle) + (width - 1) / 2
    return [source_y, source_x]
