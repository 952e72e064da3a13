"""The spatter of CIFAR-10-C: water drops, and mud.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt8

from phash_jax.distortions.blur import apply_matrices, gaussian_matrices, reflect_101
from phash_jax.distortions.random_keys import normal
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean
from phash_jax.fusion import apart

# Mean and deviation of the liquid, and the level from which it counts.
_LIQUID = (
    (0.62, 0.1, 0.7),
    (0.65, 0.1, 0.7),
    (0.65, 0.3, 0.69),
    (0.65, 0.1, 0.69),
    (0.65, 0.1, 0.68),
)
_LIQUID_SIGMA = (0.7, 0.8, 1.0, 0.7, 0.5)
_WATER_SHARE = 0.5
_MUD_SIGMA = 0.6
_LEAST_MUD = 0.8
_IS_MUD = (False, False, False, True, True)
_WATER = (175 / 255, 238 / 255, 238 / 255)
_MUD = (63 / 255, 42 / 255, 20 / 255)

# Thresholds of the edges' gradients, and the distance from which on all count the same.
_WEAK, _STRONG = 50, 150
_FAR = 20
# tan(22.5 degrees) in 2^-15, as OpenCV has it.
_TANGENT_BITS = 15
_TANGENT = 13573
# Lengths of a step aside, a diagonal one and a knight's move, as OpenCV's 5x5 distances have them.
_STEPS = (1.0, 1.4, 2.1969)
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def spatter(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Splashes water (severities 1 to 3) or mud (4 and 5) on the image.

    Liquid brighter than 255 is 255 here; the original's cast makes it dark, once in some thousand
    pixels of severity 3.

    Args:
        key: decides where, ``jax.random.normal(key, (h, w))``.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    liquid = normal(key, image.shape[:2])
    return unless_clean(severity, image, _spatter(liquid, image, severity))


def _spatter(
    liquid: Float32[Array, "h w"], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    mean, deviation, least = at_severity(_LIQUID, severity)
    rows, columns = (
        at_severity(gaussian_matrices(_LIQUID_SIGMA, size, truncate=4, edge="nearest"), severity)
        for size in liquid.shape
    )
    liquid = apply_matrices(rows, (mean + deviation * liquid)[..., None], columns)[..., 0]
    liquid = jnp.where(liquid < least, 0, liquid)
    unit = to_unit(image)
    is_mud = at_severity(_IS_MUD, severity)
    mud = _mud_share(liquid > least)[..., None]
    muddy = unit * (1 - mud) + mud * jnp.array(_MUD, jnp.float32)
    wet = unit + _water_share(liquid)[..., None] * jnp.array(_WATER, jnp.float32)
    return from_unit(jnp.where(is_mud, muddy, wet))


def _mud_share(mud: Bool[Array, "h w"]) -> Float32[Array, "h w"]:
    rows, columns = (
        gaussian_matrices((_MUD_SIGMA,), size, truncate=4, edge="nearest")[0] for size in mud.shape
    )
    mud = apply_matrices(rows, mud[..., None].astype(jnp.float32), columns)[..., 0]
    return jnp.where(mud < _LEAST_MUD, 0, mud)


def _water_share(liquid: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    """How much water is where: embossed by the distance from the drops' edges."""
    levels = jnp.clip(liquid * 255, 0, 255).astype(jnp.int32)
    distance = jnp.minimum(_distance(_edges(levels)), _FAR)
    relief = (_box_sum(distance) / 9).astype(jnp.int32)
    relief = _equalized(relief)
    padded = _around(relief)
    height, width = relief.shape
    embossed = sum(
        weight * padded[y : y + height, x : x + width]
        for y, row in enumerate(_EMBOSS)
        for x, weight in enumerate(row)
    )
    # 9 is odd: a mean of whole numbers is never halfway between two.
    smooth = (2 * _box_sum(jnp.clip(embossed, 0, 255)) + 9) // 18
    share = (levels * smooth).astype(jnp.float32)
    most = share.max()
    return jnp.where(most > 0, share / jnp.where(most > 0, most, 1), 0) * _WATER_SHARE


def _around(values: Array) -> Array:
    """With one more pixel on every side, mirrored about the edge pixels."""
    for axis, size in enumerate(values.shape):
        values = jnp.take(values, reflect_101(np.arange(-1, size + 1), size), axis=axis)
    return values


# Fused, the sums would be computed again for each of the pixels that need them.
@apart
def _box_sum(values: Array) -> Array:
    """Sums over 3x3 pixels."""
    height, width = values.shape
    padded = _around(values)
    rows = sum(padded[y : y + height] for y in range(3))
    return sum(rows[:, x : x + width] for x in range(3))


def _shifted(values: Array, outside) -> dict[tuple[int, int], Array]:
    """The eight neighbours of every pixel by their offset; ``outside`` beyond the edges."""
    height, width = values.shape
    padded = jnp.pad(values, 1, constant_values=outside)
    return {
        (y - 1, x - 1): padded[y : y + height, x : x + width]
        for y, x in np.ndindex(3, 3)
        if (y, x) != (1, 1)
    }


# Jitted because a loop in eager code is compiled in every call.
@jax.jit
def _edges(levels: Int32[Array, "h w"]) -> Bool[Array, "h w"]:
    """Canny's edges with OpenCV's arithmetic: 3x3 gradients, their sum as size, two thresholds."""
    height, width = levels.shape
    padded = jnp.pad(levels, 1, mode="edge")

    def at(y, x):
        return padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    to_right = sum(n * (at(y, 1) - at(y, -1)) for y, n in ((-1, 1), (0, 2), (1, 1)))
    to_below = sum(n * (at(1, x) - at(-1, x)) for x, n in ((-1, 1), (0, 2), (1, 1)))
    size = jnp.abs(to_right) + jnp.abs(to_below)
    near = _shifted(size, 0)
    run, rise = jnp.abs(to_right), jnp.abs(to_below) << _TANGENT_BITS
    flat = rise < run * _TANGENT
    steep = rise > run * _TANGENT + (run << (_TANGENT_BITS + 1))
    falls = (to_right ^ to_below) < 0
    largest = jnp.where(
        flat,
        (size > near[0, -1]) & (size >= near[0, 1]),
        jnp.where(
            steep,
            (size > near[-1, 0]) & (size >= near[1, 0]),
            jnp.where(
                falls,
                (size > near[-1, 1]) & (size > near[1, -1]),
                (size > near[-1, -1]) & (size > near[1, 1]),
            ),
        ),
    )
    weak = largest & (size > _WEAK)

    def grow(state):
        edge, _ = state
        touched = functools.reduce(jnp.logical_or, _shifted(edge, False).values())
        grown = edge | (weak & touched)
        return grown, jnp.any(grown != edge)

    strong = weak & (size > _STRONG)
    edge, _ = lax.while_loop(lambda state: state[1], grow, (strong, jnp.any(strong)))
    return edge


@jax.jit
def _distance(edge: Bool[Array, "h w"]) -> Float32[Array, "h w"]:
    """Distance to the nearest edge pixel, by steps of three lengths; exact up to ``_FAR``."""
    aside, diagonal, knight = _STEPS
    lengths = {
        (0, 1): aside,
        (1, 1): diagonal,
        (1, 2): knight,
        (0, 2): 2 * aside,
        (2, 2): 2 * diagonal,
    }
    height, width = edge.shape
    # Not jnp.where of two constants, which is unsharded to jax 0.11.
    distance = jnp.float32(2 * _FAR) * ~edge

    def relax(_, distance):
        padded = jnp.pad(distance, 2, constant_values=2.0 * _FAR)
        # Of pixels equally far away the least, to which the length is added once.
        rings: dict[tuple[int, int], Array] = {}
        for y, x in np.ndindex(5, 5):
            ring = tuple(sorted((abs(y - 2), abs(x - 2))))
            near = padded[y : y + height, x : x + width]
            rings[ring] = jnp.minimum(rings[ring], near) if ring in rings else near
        for ring, length in lengths.items():
            distance = jnp.minimum(distance, rings[ring] + length)
        return distance

    # Every round reaches two pixels farther.
    return lax.fori_loop(0, _FAR // 2, relax, distance)


@apart
def _equalized(values: Int32[Array, "h w"]) -> Int32[Array, "h w"]:
    """Histogram equalisation as OpenCV's, of whole numbers from 0 to ``_FAR``."""
    same = jnp.arange(_FAR + 1, dtype=jnp.int32)
    present = values[..., None] == same
    counts = present.sum((0, 1), dtype=jnp.int32)
    lowest = jnp.argmax(counts > 0)
    rest = values.size - counts[lowest]
    above = jnp.cumsum(counts) - counts[lowest]
    scale = 255.0 / jnp.maximum(rest, 1).astype(jnp.float32)
    spread = jnp.clip(jnp.rint(above * scale), 0, 255).astype(jnp.int32)
    # A picture of one value stays as it is.
    table = jnp.where(rest > 0, spread, same)
    return jnp.sum(jnp.where(present, table, 0), -1, dtype=jnp.int32)
