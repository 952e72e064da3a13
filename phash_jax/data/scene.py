"""Two drawn pictures, a house in the hills and a harbour at night, for demonstrations.

Shapes are given by signed distances: below 0 inside. Coordinates run from -1 to 1, x to the right
and y downwards, so that a picture can be drawn at any size.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

Plane = Float32[Array, "size size"]


def draw(name: str, *, size: int) -> UInt8[Array, "{size} {size} 3"]:
    """Draws a scene, a key of ``SCENES``, as a square uint8 picture of ``size`` pixels.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"a picture must have 1 pixel or more a side, got {size}")
    centres = (jnp.arange(size, dtype=jnp.float32) + 0.5) * (2 / size) - 1
    y, x = jnp.meshgrid(centres, centres, indexing="ij")
    picture = SCENES[name](x, y, 2 / size)
    return jnp.rint(jnp.clip(picture, 0, 1) * 255).astype(jnp.uint8)


def _rgb(red: int, green: int, blue: int) -> Float32[Array, "3"]:
    return jnp.array([red, green, blue], jnp.float32) / 255


def _gradient(share: Plane, start: Array, end: Array) -> Float32[Array, "size size 3"]:
    share = jnp.clip(share, 0, 1)[..., None]
    return start * (1 - share) + end * share


def _paint(picture, distance: Plane, colour, pixel: float):
    """Covers the inside of a shape; its border is blurred over one pixel."""
    cover = jnp.clip(0.5 - distance / pixel, 0, 1)[..., None]
    return picture * (1 - cover) + colour * cover


def _disc(x: Plane, y: Plane, *, at: tuple[float, float], radius: float) -> Plane:
    return jnp.hypot(x - at[0], y - at[1]) - radius


def _box(x: Plane, y: Plane, *, at: tuple[float, float], half: tuple[float, float]) -> Plane:
    return jnp.maximum(jnp.abs(x - at[0]) - half[0], jnp.abs(y - at[1]) - half[1])


def _triangle(x: Plane, y: Plane, *corners: tuple[float, float]) -> Plane:
    """Corners clockwise as seen."""
    sides = []
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        sides.append(((y1 - y0) * (x - x0) - (x1 - x0) * (y - y0)) / length)
    return jnp.maximum(jnp.maximum(sides[0], sides[1]), sides[2])


def _landscape(x: Plane, y: Plane, pixel: float) -> Float32[Array, "size size 3"]:
    picture = _gradient((y + 1) / 1.2, _rgb(92, 158, 222), _rgb(226, 238, 246))
    picture = _paint(
        picture, _disc(x, y, at=(-0.62, -0.66), radius=0.16), _rgb(255, 226, 130), pixel
    )
    for cloud_x, cloud_y, cloud_size in ((0.18, -0.72, 0.1), (0.72, -0.5, 0.08)):
        for step in range(4):
            at = (cloud_x + (step - 1.5) * cloud_size, cloud_y - 0.03 * (step % 2))
            picture = _paint(
                picture, _disc(x, y, at=at, radius=cloud_size * 0.8), _rgb(248, 250, 252), pixel
            )
    for peak, half_width, top, colour in (
        (-0.35, 0.8, -0.42, _rgb(122, 134, 162)),
        (0.45, 0.7, -0.3, _rgb(100, 114, 146)),
    ):
        slopes = _triangle(x, y, (peak, top), (peak + half_width, 0.3), (peak - half_width, 0.3))
        picture = _paint(picture, slopes, colour, pixel)
        snow = jnp.maximum(slopes, y - top - 0.12 - 0.03 * jnp.sin(22 * x))
        picture = _paint(picture, snow, _rgb(240, 244, 250), pixel)
    far = 0.12 + 0.07 * jnp.sin(3 * x + 0.6) - y
    picture = _paint(picture, far, _rgb(116, 168, 88), pixel)
    near = 0.42 + 0.1 * jnp.sin(2.1 * x - 1.1) - y
    meadow = _gradient((y - 0.3) / 0.7, _rgb(104, 174, 72), _rgb(58, 120, 46))
    picture = _paint(picture, near, meadow, pixel)
    path = jnp.abs(x - 0.33 + 0.35 * (y - 0.52) ** 2) - 0.03 - 0.16 * jnp.maximum(0, y - 0.5)
    picture = _paint(picture, jnp.maximum(path, 0.52 - y), _rgb(214, 192, 150), pixel)
    picture = _paint(
        picture, _box(x, y, at=(0.35, 0.36), half=(0.24, 0.17)), _rgb(236, 222, 196), pixel
    )
    roof = _triangle(x, y, (0.35, -0.06), (0.67, 0.22), (0.03, 0.22))
    picture = _paint(picture, roof, _rgb(176, 66, 52), pixel)
    picture = _paint(
        picture, _box(x, y, at=(0.35, 0.44), half=(0.045, 0.09)), _rgb(106, 70, 44), pixel
    )
    for window_x in (0.2, 0.5):
        frame = _box(x, y, at=(window_x, 0.34), half=(0.05, 0.05))
        picture = _paint(picture, frame, _rgb(74, 116, 158), pixel)
    picture = _paint(
        picture, _box(x, y, at=(-0.52, 0.36), half=(0.035, 0.2)), _rgb(100, 70, 42), pixel
    )
    for leaf_x, leaf_y, leaf_size in (
        (-0.52, -0.02, 0.22),
        (-0.68, 0.12, 0.16),
        (-0.36, 0.12, 0.16),
    ):
        crown = _disc(x, y, at=(leaf_x, leaf_y), radius=leaf_size)
        picture = _paint(picture, crown, _rgb(48, 110, 56), pixel)
    return picture


def _harbour(x: Plane, y: Plane, pixel: float) -> Float32[Array, "size size 3"]:
    picture = _gradient((y + 1) / 1.1, _rgb(14, 18, 52), _rgb(70, 62, 112))
    for step in range(24):
        # The fractional parts of multiples of irrational numbers: scattered, but always the same.
        at = (2 * (step * 0.754878 % 1) - 1, 0.9 * (step * 0.569840 % 1) - 1)
        picture = _paint(picture, _disc(x, y, at=at, radius=0.012), _rgb(236, 236, 220), pixel)
    picture = _paint(picture, _disc(x, y, at=(0.55, -0.55), radius=0.2), _rgb(250, 244, 214), pixel)
    waves = 0.5 + 0.5 * jnp.sin(60 * y + 2 * jnp.sin(7 * x))
    sea = _gradient(0.25 * waves + (y - 0.1) / 1.4, _rgb(38, 58, 108), _rgb(10, 20, 48))
    picture = _paint(picture, 0.1 - y, sea, pixel)
    glitter = jnp.maximum(jnp.abs(x - 0.55) - 0.05 - 0.2 * (y - 0.1) * waves, 0.1 - y)
    picture = _paint(picture, jnp.maximum(glitter, 0.35 - waves), _rgb(228, 222, 190), pixel)
    rock = 0.24 + 0.9 * (x + 0.62) ** 2 - y - 0.2
    picture = _paint(picture, jnp.maximum(rock, y - 0.3), _rgb(24, 24, 34), pixel)
    tower = jnp.maximum(jnp.abs(x + 0.62) - 0.08 - 0.06 * (y + 0.6), jnp.abs(y + 0.22) - 0.4)
    picture = _paint(picture, tower, _rgb(214, 214, 222), pixel)
    for band in (-0.42, -0.1):
        stripe = jnp.maximum(tower, jnp.abs(y - band) - 0.08)
        picture = _paint(picture, stripe, _rgb(184, 44, 48), pixel)
    picture = _paint(
        picture, _box(x, y, at=(-0.62, -0.68), half=(0.07, 0.06)), _rgb(255, 236, 150), pixel
    )
    beam = _triangle(x, y, (-0.56, -0.68), (1.2, -0.86), (1.2, -0.5))
    picture = picture + 0.1 * jnp.clip(0.5 - beam / pixel, 0, 1)[..., None]
    hull = jnp.maximum(jnp.abs(x - 0.1) - 0.34 + 0.7 * (y - 0.38), jnp.abs(y - 0.44) - 0.07)
    picture = _paint(picture, hull, _rgb(120, 64, 40), pixel)
    sail = _triangle(x, y, (0.1, -0.3), (0.42, 0.34), (0.1, 0.34))
    picture = _paint(picture, sail, _rgb(236, 230, 216), pixel)
    jib = _triangle(x, y, (0.06, -0.2), (0.06, 0.34), (-0.2, 0.34))
    return _paint(picture, jib, _rgb(216, 120, 84), pixel)


SCENES: dict[str, Callable[[Plane, Plane, float], Float32[Array, "size size 3"]]] = {
    "landscape": _landscape,
    "harbour": _harbour,
}
