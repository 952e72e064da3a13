"""Snow, frost and fog of CIFAR-10-C.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Key, UInt8

from phash_jax.distortions.blur import apply_matrices
from phash_jax.distortions.motion_blur import shift_weights, smear
from phash_jax.distortions.random_keys import normal, unrolled
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean
from phash_jax.distortions.zoom import zoom_matrix
from phash_jax.fusion import apart

# Mean and deviation of flakes, the level from which they count, and the share of the image kept.
_FLAKES = (
    (0.1, 0.2, 0.6, 0.95),
    (0.1, 0.2, 0.5, 0.9),
    (0.15, 0.3, 0.55, 0.9),
    (0.25, 0.3, 0.6, 0.85),
    (0.3, 0.3, 0.65, 0.8),
)
_FLAKE_ZOOM = (1.0, 1.0, 1.75, 2.25, 1.25)
_FLAKE_MOTION = ((8, 3.0), (10, 4.0), (10, 4.0), (12, 6.0), (14, 12.0))
# Shares of the image and of the frost.
_FROST = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
# Share of the fog, and how much smaller its details are from scale to scale.
_FOG = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))
_GRAY = (0.299, 0.587, 0.114)
# Tables of large pictures are tens of megabytes.
_SIZES_KEPT = 16


def snow(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Whitens the image and lets flakes fall over it, smeared along a steep line, from both ends.

    Args:
        key: split in two for the flakes, ``jax.random.normal(first, (h, w))``, and their direction,
            ``jax.random.uniform(second, (), minval=-135, maxval=-45)`` degrees.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    flake_key, angle_key = jax.random.split(key)
    flakes = normal(flake_key, image.shape[:2])
    angle = jax.random.uniform(angle_key, (), jnp.float32, -135, -45)
    return unless_clean(severity, image, _snow(flakes, angle, image, severity))


def _snow(
    flakes: Float32[Array, "h w"],
    angle: Float[Array, ""],
    image: UInt8[Array, "h w 3"],
    severity: Severity,
) -> UInt8[Array, "h w 3"]:
    mean, deviation, least, kept = at_severity(_FLAKES, severity)
    rows, columns = (at_severity(_flake_matrices(size), severity) for size in flakes.shape)
    flakes = apply_matrices(rows, (mean + deviation * flakes)[..., None], columns)[..., 0]
    flakes = jnp.where(flakes < least, 0, flakes)
    # Flakes are cut down to whole gray levels before they are smeared, and rounded after it.
    flakes = jnp.floor(jnp.clip(flakes, 0, 1) * 255)
    weights = at_severity(shift_weights(_FLAKE_MOTION), severity)
    flakes = _smeared(flakes, angle, weights)
    both = (flakes + flakes[::-1, ::-1])[..., None]
    unit = to_unit(image)
    gray = sum(weight * unit[..., i : i + 1] for i, weight in enumerate(_GRAY))
    white = kept * unit + (1 - kept) * jnp.maximum(unit, gray * 1.5 + 0.5)
    return from_unit(white + both / 255)


# Fused, they would be smeared anew for both directions and every channel.
@apart
def _smeared(
    flakes: Float32[Array, "h w"], angle: Float[Array, ""], weights: Float32[Array, " shifts"]
) -> Float32[Array, "h w"]:
    return jnp.rint(smear(flakes, angle, weights))


@functools.lru_cache(maxsize=_SIZES_KEPT)
def _flake_matrices(size: int) -> Float32[np.ndarray, "5 {size} {size}"]:
    return np.array([zoom_matrix(size, factor) for factor in _FLAKE_ZOOM], np.float32)


def frost(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Adds a drawn cover of frost to the image.

    Not the original's frost: that adds pieces of five photographs, which are not included. The
    shares of image and frost are the original's; the frost is veins of ice over a cloudy ground,
    made of two plasma fractals, bluish white, its mean near 120. Accuracies under this frost are
    not those under CIFAR-10-C's.

    Args:
        key: decides the frost; split in two, ``jax.random.uniform(each, (n * n - 1,), minval=-1,
            maxval=1)`` with n the longer side rounded up to a power of 2.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    height, width, _ = image.shape
    ground, veins = (
        plasma(draws, jnp.float32(decay))[:height, :width]
        for draws, decay in zip(_plasma_draws(key, image.shape, 2), _FROST_DECAY, strict=True)
    )
    # A vein runs where the second fractal crosses its middle value.
    ice = 0.2 + 0.3 * ground + 0.5 * (1 - jnp.abs(2 * veins - 1)) ** 4
    frozen = jnp.clip(ice[..., None] * jnp.array(_FROST_TINT, jnp.float32), 0, 1)
    image_share, frost_share = at_severity(_FROST, severity)
    return unless_clean(
        severity, image, from_unit(image_share * to_unit(image) + frost_share * frozen)
    )


_FROST_DECAY = (2.0, 1.35)
_FROST_TINT = (0.94, 0.98, 1.0)


def fog(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Adds a plasma fractal and darkens the sum to the image's own brightest value.

    Args:
        key: decides the fog, ``jax.random.uniform(key, (n * n - 1,), minval=-1, maxval=1)`` with n
            the longer side rounded up to a power of 2.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    (draws,) = _plasma_draws(key, image.shape, 1)
    return unless_clean(severity, image, _fog(draws, image, severity))


def _fog(
    draws: Float32[Array, " draws"], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    share, decay = at_severity(_FOG, severity)
    unit = to_unit(image)
    brightest = unit.max()
    cloud = plasma(draws, decay)[: image.shape[0], : image.shape[1], None]
    return from_unit((unit + share * cloud) * brightest / (brightest + share))


def _plasma_draws(key, shape: tuple[int, ...], number: int) -> list[Float32[Array, " draws"]]:
    size = 1 << max(1, (max(shape[:2]) - 1).bit_length())
    keys = jax.random.split(key, number) if number > 1 else [key]
    shape = (size * size - 1,)
    return [jax.random.uniform(unrolled(k), shape, jnp.float32, -1, 1) for k in keys]


def plasma(draws: Float32[Array, " draws"], decay: Float[Array, ""]) -> Float32[Array, "size size"]:
    """A cloud by the diamond-square algorithm on a square whose edges are joined, from 0 to 1.

    Args:
        draws: ``size**2 - 1`` numbers from -1 to 1, size a power of 2: for every scale, coarse to
            fine, those of the squares' middles, of their upper edges and of their left edges.
        decay: by which factor the square root of what is added falls from scale to scale.
    """
    # Sharded as the draws are: a constant would not be.
    cloud = 0 * draws[:1, None]
    wobble, used = 100.0, 0
    while used < len(draws):
        side = len(cloud)
        amplitude = wobble**2
        middles, uppers, lefts = draws[used : used + 3 * side * side].reshape(3, side, side)
        right, below = jnp.roll(cloud, -1, 1), jnp.roll(cloud, -1, 0)
        corners = cloud + right + below + jnp.roll(right, -1, 0)
        middle = corners / 4 + amplitude * middles
        upper = (middle + jnp.roll(middle, 1, 0) + cloud + right) / 4 + amplitude * uppers
        left = (middle + jnp.roll(middle, 1, 1) + cloud + below) / 4 + amplitude * lefts
        # [y, y within the square, x, x within the square]
        quarters = jnp.stack([jnp.stack([cloud, upper], -1), jnp.stack([left, middle], -1)], 1)
        # One axis at a time: a reshape of sharded images may split or join no more.
        cloud = quarters.reshape(side, 2, 2 * side).reshape(2 * side, 2 * side)
        used += 3 * side * side
        wobble = wobble / decay
    cloud = cloud - cloud.min()
    return cloud / cloud.max()
