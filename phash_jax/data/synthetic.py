"""Cats, dogs and trucks drawn from signed distance functions, as many and as large as asked.

A picture is a stack of shapes. Each shape is a signed distance (negative inside) at every pixel,
so its edge is exact at any size. The classes differ in the ranges their proportions are drawn
from, in ``_ANIMAL`` and ``_TRUCK``; everything else comes from ``_SCENE``, which has no class.

Coordinates: the picture spans -1 to 1, x to the right, y up. Angles in the tables are degrees.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from phash_jax.data.dataset import SPLITS

CLASS_NAMES = ("cat", "dog", "truck")

_TRUCK_LABEL = CLASS_NAMES.index("truck")
_MIN_IMAGE_SIZE = 8
_MAX_IMAGES_PER_CHUNK = 256
_MAX_PIXELS_PER_CHUNK = _MAX_IMAGES_PER_CHUNK * 32 * 32

_DARK = np.array([0.05, 0.04, 0.05], np.float32)
_PINK = np.array([0.85, 0.4, 0.42], np.float32)

# What every picture draws from, whatever its class; each value is uniform between two bounds.
# Lengths are in half picture widths, colours from 0 to 1: luma is the mean of the three values,
# chroma how far they spread about it, hue the angle on the colour circle.
_SCENE = {
    # Pose
    "rotation": (-16, 16),
    "scale": (0.85, 1.15),
    "shift_x": (-0.17, 0.17),
    "shift_y": (-0.15, 0.12),
    "mirrored": (-1, 1),
    # Colours of the figure: coat (or paint), and how its markings and accents differ from it
    "luma_offset": (0.27, 0.73),
    "coat_hue": (0, 360),
    "coat_chroma": (0.0, 0.16),
    "marking_luma": (-0.28, 0.28),
    "marking_hue": (-90, 90),
    "accent_luma": (-0.22, 0.22),
    "stripe_strength": (-0.12, 0.16),
    "stripe_angle": (0, 360),
    "stripe_frequency": (8, 22),
    "shading": (0.0, 0.14),
    # Background: more often dark than light, so that figure and ground differ in a way
    # that a network finds in its first hundred steps
    "luma": (0, 0.58),
    "hue": (0, 360),
    "chroma": (0.0, 0.14),
    "gradient": (-0.14, 0.14),
    "gradient_angle": (0, 360),
    "wave": (-0.1, 0.1),
    "wave_angle": (0, 360),
    "wave_frequency": (3, 14),
    "wave_bend": (0, 2),
    "ground_height": (-1.4, 0.1),
    "ground_luma": (-0.14, 0.14),
    "ball_x": (-1, 1),
    "ball_y": (-1, 1),
    "ball_radius": (-0.3, 0.5),
    "ball_luma": (-0.16, 0.16),
    # What stands in front; a width below zero is absent
    "bar_angle": (0, 360),
    "bar_offset": (-0.7, 0.7),
    "bar_width": (-0.12, 0.15),
    "bar_luma": (0.1, 0.9),
    "blob_x": (-0.8, 0.8),
    "blob_y": (-0.8, 0.8),
    "blob_width": (-0.25, 0.3),
    "blob_height": (-0.1, 0.3),
    "blob_luma": (0.1, 0.9),
    "cover_hue": (0, 360),
    "cover_chroma": (0.0, 0.14),
    # Light and camera
    "light_angle": (0, 360),
    "light_slope": (0.0, 0.25),
    "gain": (0.75, 1.15),
    "gamma": (0.75, 1.35),
    "contrast": (0.5, 1.1),
    "noise": (0.01, 0.085),
}

# Cat first, then dog. The ranges overlap on purpose: no single proportion gives the class away.
_ANIMAL = {
    "head_width": ((0.38, 0.49), (0.34, 0.46)),
    "head_height": ((0.33, 0.42), (0.36, 0.46)),
    "jaw": ((-0.06, 0.08), (-0.02, 0.14)),
    "turn": ((-0.14, 0.14), (-0.14, 0.14)),
    "nod": ((-0.07, 0.07), (-0.07, 0.07)),
    # Where the ears sit and where they point, both from straight up; above 90 they hang.
    "ear_place": ((32, 48), (36, 64)),
    "ear_tilt": ((0, 55), (15, 180)),
    "ear_twist": ((-12, 12), (-20, 20)),
    "ear_length": ((0.32, 0.50), (0.36, 0.62)),
    "ear_width": ((0.14, 0.21), (0.11, 0.19)),
    "ear_rounding": ((0.0, 0.5), (0.2, 1.0)),
    "eye_gap": ((0.15, 0.21), (0.13, 0.19)),
    "eye_width": ((0.065, 0.10), (0.05, 0.08)),
    "eye_height": ((0.05, 0.09), (0.045, 0.075)),
    "pupil_width": ((0.018, 0.045), (0.03, 0.05)),
    "muzzle_width": ((0.14, 0.21), (0.15, 0.25)),
    "muzzle_height": ((0.09, 0.17), (0.12, 0.24)),
    "muzzle_reach": ((1.0, 1.5), (1.3, 2.3)),
    "nose": ((0.03, 0.06), (0.05, 0.09)),
    # Below zero there are no whiskers, and no tongue.
    "whisker_length": ((-0.1, 0.45), (-0.3, 0.2)),
    "tongue": ((-0.3, 0.06), (-0.2, 0.14)),
    "body_width": ((0.34, 0.48), (0.36, 0.52)),
    "tail_width": ((0.03, 0.06), (0.045, 0.08)),
    "tail_span": ((80, 220), (40, 150)),
    "tail_radius": ((0.22, 0.34), (0.25, 0.42)),
}

_TRUCK = {
    "cargo_length": (0.42, 0.62),
    "cargo_height": (0.26, 0.48),
    "cab_length": (0.18, 0.28),
    "cab_height": (0.20, 0.34),
    "windscreen": (0.0, 0.5),
    "wheel_radius": (0.13, 0.2),
    "tyre_luma": (0.05, 0.25),
    "hub": (0.35, 0.6),
    "axles": (0, 1),
}


def draw(
    key: PRNGKeyArray, label: Int[Array, ""], *, image_size: int
) -> UInt8[Array, "image_size image_size 3"]:
    """Draws one picture of the class ``label``, an index into ``CLASS_NAMES``.

    Args:
        key: decides all but the class; the scene is the same at every size, except for noise.
        label: integer scalar, 0 to 2; may be traced.
        image_size: side of the picture, pixels; static.

    Returns:
        uint8 ``[image_size, image_size, 3]``, RGB, 0 to 255.
    """
    number_key, noise_key = jax.random.split(key)
    # One draw for all tables: every further draw is one more random generator to compile.
    shape = (len(_SCENE) + len(_ANIMAL) + len(_TRUCK),)
    numbers = jax.random.uniform(number_key, shape, jnp.float32)
    for_scene, for_animal, for_truck = jnp.split(numbers, [len(_SCENE), len(_SCENE) + len(_ANIMAL)])
    scene = _in_ranges(for_scene, _SCENE)
    x, y = _pixel_centres(image_size)
    pixel = 2 / image_size

    canvas = _background(scene, x, y, pixel)
    figure_x, figure_y = _to_figure(scene, x, y)
    figure_pixel = pixel / scene["scale"]

    def animal():
        trait = _in_ranges(for_animal, _ANIMAL, row=jnp.minimum(label, 1))
        return _animal(trait, scene, canvas, figure_x, figure_y, figure_pixel)

    def truck():
        trait = _in_ranges(for_truck, _TRUCK)
        return _truck(trait, scene, canvas, figure_x, figure_y, figure_pixel)

    canvas = lax.cond(label == _TRUCK_LABEL, truck, animal)
    canvas = _cover(scene, canvas, x, y, pixel)
    canvas = _light(scene, canvas, x, y)
    canvas += scene["noise"] * _white_noise(noise_key, image_size)
    return jnp.round(jnp.clip(canvas, 0, 1) * 255).astype(jnp.uint8)


def generate(
    *,
    seed: int,
    split: str,
    num_images: int,
    image_size: int,
    class_names: tuple[str, ...] = CLASS_NAMES,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a balanced, shuffled set of pictures.

    Image ``i`` depends on ``seed``, ``split``, ``i``, ``image_size`` and ``class_names`` only, so a
    larger set begins with the smaller one. Each run of ``len(class_names)`` images holds every
    class once, in random order. Another backend or version of XLA may round a value differently.

    Args:
        seed: 0 to 2**32 - 1.
        split: ``"train"`` or ``"test"``; the two share no random number.
        num_images: 1 or more.
        image_size: side of the pictures, 8 pixels or more.
        class_names: one or more of ``CLASS_NAMES``, each once.

    Returns:
        images: uint8 ``[num_images, image_size, image_size, 3]``, RGB, 0 to 255.
        labels: int32 ``[num_images]``, indices into ``class_names``.

    Raises:
        ValueError: an argument is not as described; the message says which.
    """
    class_names = tuple(class_names)
    unknown = [name for name in class_names if name not in CLASS_NAMES]
    if unknown or not class_names or len(set(class_names)) != len(class_names):
        raise ValueError(
            f"unknown, repeated or no classes {unknown or list(class_names)}; "
            f"choose from {', '.join(CLASS_NAMES)}"
        )
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"the seed of generated images must be 0 to {2**32 - 1}, got {seed}")
    if num_images < 1:
        raise ValueError(f"the number of generated images must be 1 or more, got {num_images}")
    if image_size < _MIN_IMAGE_SIZE:
        raise ValueError(
            f"generated images must be {_MIN_IMAGE_SIZE} pixels wide or more, got {image_size}"
        )
    # Named, because the data must not change with jax_default_prng_impl.
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), SPLITS.index(split))
    labels = _balanced_labels(seed, split, num_images, len(class_names))
    kinds = np.array([CLASS_NAMES.index(name) for name in class_names], np.int32)
    chunk = max(1, min(_MAX_IMAGES_PER_CHUNK, _MAX_PIXELS_PER_CHUNK // image_size**2))

    images = np.empty((num_images, image_size, image_size, 3), np.uint8)
    for start in range(0, num_images, chunk):
        stop = min(start + chunk, num_images)
        # The last chunk is drawn whole too: a shorter one would be compiled again.
        chunk_kinds = np.zeros(chunk, np.int32)
        chunk_kinds[: stop - start] = kinds[labels[start:stop]]
        drawn = _draw_chunk(key, start, chunk_kinds, image_size=image_size)
        images[start:stop] = np.asarray(drawn)[: stop - start]
    return images, labels


@functools.partial(jax.jit, static_argnames="image_size")
def _draw_chunk(key, start, labels, *, image_size):
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(start + jnp.arange(len(labels)))
    return jax.vmap(functools.partial(draw, image_size=image_size))(keys, labels)


def _balanced_labels(seed, split, num_images, num_classes):
    """int32 ``[num_images]``; every run of ``num_classes`` is a permutation of all classes."""
    orders = np.array(list(itertools.permutations(range(num_classes))), np.int32)
    num_runs = -(-num_images // num_classes)
    random = np.random.default_rng([seed, SPLITS.index(split)]).random(num_runs)
    return orders[(random * len(orders)).astype(np.int32)].reshape(-1)[:num_images]


def _in_ranges(numbers, ranges, *, row=None):
    """Numbers from 0 to 1, one per entry, scaled to the entry's range or to row ``row`` of it."""
    low, high = np.moveaxis(np.array(list(ranges.values()), np.float32), -1, 0)
    if row is not None:
        low, high = jnp.asarray(low)[:, row], jnp.asarray(high)[:, row]
    return dict(zip(ranges, low + (high - low) * numbers, strict=True))


# Distances


def _length(x, y):
    # jnp.hypot also guards against overflow, which costs time and cannot happen here.
    return jnp.sqrt(x * x + y * y)


def _ellipse(x, y, width, height):
    # The distance to first order, which is exact on the edge, the only place where it is seen.
    radius = _length(x / width, y / height)
    return radius * (radius - 1) / (_length(x / width**2, y / height**2) + 1e-6)


def _box(x, y, width, height):
    return jnp.maximum(jnp.abs(x) - width, jnp.abs(y) - height)


def _segment(x, y, start, end):
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    t = ((x - start[0]) * along_x + (y - start[1]) * along_y) / (along_x**2 + along_y**2 + 1e-6)
    t = jnp.clip(t, 0, 1)
    return _length(x - start[0] - t * along_x, y - start[1] - t * along_y)


def _ear(x, y, length, width, rounding):
    """From a triangle (``rounding`` 0) to a leaf (1), standing on the origin and pointing up."""
    slant = _length(length, width)
    blunt = _length(x, 0.15 * rounding * width)
    triangle = jnp.maximum((blunt * length + (y - length) * width) / slant, -y)
    leaf = _ellipse(x, y - length / 2, 0.85 * width, length / 2)
    return triangle + rounding * (leaf - triangle)


# Painting


def _pixel_centres(size) -> tuple[Float[Array, "size size"], Float[Array, "size size"]]:
    centres = (jnp.arange(size) + 0.5) * (2 / size) - 1
    return jnp.meshgrid(centres, -centres)


def _paint(canvas, distance, colour, pixel, *, opacity=1.0, shown=True):
    """Lays a shape over the canvas, its edge one pixel wide."""
    coverage = jnp.where(shown, opacity, 0.0) * _inside(distance, pixel)
    return canvas + coverage[..., None] * (colour - canvas)


def _inside(distance, pixel):
    return jnp.clip(0.5 - distance / pixel, 0, 1)


def _colour(luma, hue, chroma):
    luma = jnp.clip(jnp.asarray(luma), 0.03, 0.97)[..., None]
    return luma + chroma * jnp.cos(jnp.deg2rad(hue - jnp.array([0.0, 120.0, 240.0])))


def _along(x, y, angle):
    angle = jnp.deg2rad(angle)
    return x * jnp.cos(angle) + y * jnp.sin(angle)


def _to_figure(scene, x, y):
    x, y = x - scene["shift_x"], y - scene["shift_y"]
    x, y = _along(x, y, scene["rotation"]), _along(x, y, scene["rotation"] + 90)
    return jnp.sign(scene["mirrored"]) * x / scene["scale"], y / scene["scale"]


def _background(scene, x, y, pixel):
    luma = _luma(scene["luma"])
    luma += scene["gradient"] * _along(x, y, scene["gradient_angle"])
    across = _along(x, y, scene["wave_angle"] + 90)
    phase = scene["wave_frequency"] * _along(x, y, scene["wave_angle"])
    luma += scene["wave"] * jnp.sin(phase + scene["wave_bend"] * jnp.sin(4 * across))
    luma += scene["ground_luma"] * _inside(y - scene["ground_height"], pixel)
    ball = _length(x - scene["ball_x"], y - scene["ball_y"]) - scene["ball_radius"]
    luma += scene["ball_luma"] * _inside(ball, pixel)
    return _colour(luma, scene["hue"], scene["chroma"])


def _luma(circle):
    """From a position on a circle of length 1: points far apart on it differ in luma."""
    return 0.12 + 0.76 * (circle % 1)


def _coat_colours(scene, x, y):
    """Coat, marking and accent ``[H, W, 3]``, lit from one side, the same for every class."""
    # luma_offset is about half the circle, so the coat stands out, light or dark, everywhere.
    luma = _luma(scene["luma"] + scene["luma_offset"])
    luma += scene["shading"] * _along(x, y, scene["light_angle"])
    bands = jnp.sin(scene["stripe_frequency"] * _along(x, y, scene["stripe_angle"]))
    striped = luma + jnp.maximum(scene["stripe_strength"], 0) * bands
    hue, chroma = scene["coat_hue"], scene["coat_chroma"]
    return (
        _colour(striped, hue, chroma),
        _colour(luma + scene["marking_luma"], hue + scene["marking_hue"], chroma),
        _colour(striped + scene["accent_luma"], hue, chroma),
    )


def _animal(trait, scene, canvas, x, y, pixel):
    """A sitting cat or dog seen from the front, its head turned a little."""
    coat, marking, accent = _coat_colours(scene, x, y)
    canvas = _paint(canvas, _tail(trait, x, y), accent, pixel)
    canvas = _paint(canvas, _ellipse(x, y + 0.78, trait["body_width"], 0.62), coat, pixel)
    canvas = _paint(canvas, _ellipse(x, y + 0.62, 0.2, 0.3), marking, pixel)
    y = y - 0.12
    canvas = _head(trait, canvas, x, y, pixel, coat=coat, marking=marking, accent=accent)
    canvas = _eyes(trait, scene, canvas, x - trait["turn"], y - trait["nod"], pixel)
    # What sticks out of a head moves the most when it turns.
    x = x - trait["muzzle_reach"] * trait["turn"]
    y = y - trait["muzzle_reach"] * trait["nod"] + 0.1 + 0.5 * trait["muzzle_height"]
    canvas = _muzzle(trait, canvas, x, y, pixel, marking=marking)
    return _whiskers(trait, scene, canvas, x, y, pixel)


def _tail(trait, x, y):
    """An arc that leaves the body sideways and curls up."""
    radius, half = trait["tail_radius"], trait["tail_span"] / 2
    x, y = x - 0.28, y + 0.72 - radius
    across, along = jnp.abs(_along(x, y, half)), _along(x, y, half - 90)
    half = jnp.deg2rad(half)
    on_arc = across * jnp.cos(half) <= along * jnp.sin(half)
    to_arc = jnp.abs(_length(across, along) - radius)
    to_end = _length(across - radius * jnp.sin(half), along - radius * jnp.cos(half))
    return jnp.where(on_arc, to_arc, to_end) - trait["tail_width"]


def _head(trait, canvas, x, y, pixel, *, coat, marking, accent):
    width, height = trait["head_width"], trait["head_height"]
    rim = 0.6 * coat

    # Both ears at once, in coordinates folded along the middle of the head.
    place = jnp.deg2rad(trait["ear_place"])
    tilt = trait["ear_tilt"] + jnp.sign(x) * trait["ear_twist"]
    ear_x = jnp.abs(x) - 0.82 * width * jnp.sin(place)
    ear_y = y - 0.82 * height * jnp.cos(place)
    ear_x, ear_y = _along(ear_x, ear_y, -tilt), _along(ear_x, ear_y, 90 - tilt)
    length, ear_width, rounding = trait["ear_length"], trait["ear_width"], trait["ear_rounding"]
    ear = _ear(ear_x, ear_y, length, ear_width, rounding)
    inner = _ear(ear_x, ear_y - 0.12 * length, 0.7 * length, 0.6 * ear_width, rounding)
    hangs = trait["ear_tilt"] > 80
    canvas = _paint(canvas, ear, accent, pixel)
    canvas = _paint(canvas, inner, marking, pixel, opacity=0.8, shown=~hangs)

    head = _ellipse(x, y, width * (1 - trait["jaw"] * y / height), height)
    canvas = _paint(canvas, head - 0.02, rim, pixel)
    canvas = _paint(canvas, head, coat, pixel)
    # Hanging ears lie in front of the head.
    canvas = _paint(canvas, ear - 0.02, rim, pixel, shown=hangs)
    return _paint(canvas, ear, accent, pixel, shown=hangs)


def _eyes(trait, scene, canvas, x, y, pixel):
    x, y = jnp.abs(x) - trait["eye_gap"], y - 0.07
    iris = _colour(0.85, scene["marking_hue"] + 60, 0.1)
    canvas = _paint(canvas, _ellipse(x, y, trait["eye_width"], trait["eye_height"]), iris, pixel)
    pupil = _ellipse(x, y, trait["pupil_width"], 0.9 * trait["eye_height"])
    return _paint(canvas, pupil, _DARK, pixel)


def _muzzle(trait, canvas, x, y, pixel, *, marking):
    width, height, nose = trait["muzzle_width"], trait["muzzle_height"], trait["nose"]
    muzzle = _ellipse(x, y, width, height)
    canvas = _paint(canvas, muzzle - 0.015, 0.6 * marking, pixel, opacity=0.6)
    canvas = _paint(canvas, muzzle, marking, pixel)
    tongue = _segment(x, y, (0.0, -0.12), (0.0, -0.16 - trait["tongue"])) - 0.05
    canvas = _paint(canvas, tongue, _PINK, pixel, shown=trait["tongue"] > 0)
    canvas = _paint(canvas, _ellipse(x, y - 0.55 * height, 1.2 * nose, 0.8 * nose), _DARK, pixel)
    lip = _segment(jnp.abs(x), y, (0.0, -0.45 * height), (0.5 * width, -0.3 * height)) - 0.012
    return _paint(canvas, lip, _DARK, pixel, opacity=0.7)


def _whiskers(trait, scene, canvas, x, y, pixel):
    length, root = trait["whisker_length"], 0.6 * trait["muzzle_width"]
    colour = jnp.where(scene["luma"] > 0.5, 0.05, 0.95)
    for slope in (-0.35, 0.0, 0.35):
        end = (root + length, slope * length)
        whisker = _segment(jnp.abs(x), y, (root, 0.08 * slope), end) - 0.008
        canvas = _paint(canvas, whisker, colour, pixel, opacity=0.9, shown=length > 0)
    return canvas


def _truck(trait, scene, canvas, x, y, pixel):
    """A lorry seen from the side: a load on a frame, a cab in front, two or three axles."""
    coat, marking, accent = _coat_colours(scene, x, y)
    y = y + 0.35
    cargo, cab = trait["cargo_length"], trait["cab_length"]
    canvas = _paint(canvas, _box(x, y - 0.02, cargo + cab, 0.06), 0.5 * coat, pixel)

    # From here on x counts from the joint of load and cab.
    x = x - cargo + cab
    height = trait["cargo_height"]
    load = _box(x + cargo + 0.02, y - 0.06 - height, cargo, height)
    canvas = _paint(canvas, load, marking, pixel)
    slats = jnp.abs((x * 6) % 1 - 0.5) / 6 - 0.01
    canvas = _paint(canvas, jnp.maximum(load + 0.03, slats), 0.8 * marking, pixel)

    height, lean = trait["cab_height"], trait["windscreen"]
    cab_x, cab_y = x - cab - 0.02, y - height
    windscreen = (cab_x - cab + lean * jnp.maximum(cab_y, 0)) / _length(1.0, lean)
    body = jnp.maximum(_box(cab_x, cab_y, cab, height), windscreen)
    canvas = _paint(canvas, body, coat, pixel)
    window = _box(cab_x - 0.02, cab_y - 0.4 * height, 0.62 * cab, 0.36 * height)
    glass = _colour(0.75 + 0.3 * scene["accent_luma"], scene["hue"], 0.06)
    canvas = _paint(canvas, jnp.maximum(window, windscreen + 0.04), glass, pixel)
    lamp = _ellipse(cab_x - 0.9 * cab, cab_y + 0.7 * height, 0.05, 0.05)
    canvas = _paint(canvas, lamp, accent, pixel)

    radius = trait["wheel_radius"]
    twin = jnp.where(trait["axles"] > 0.5, 1.05 * radius, 0.0)
    rear_x = jnp.abs(jnp.abs(x + 1.55 * cargo - twin) - twin)
    wheel = _length(jnp.minimum(jnp.abs(x - cab), rear_x), y + 0.1)
    tyre = _colour(trait["tyre_luma"], scene["coat_hue"], 0.0)
    canvas = _paint(canvas, wheel - radius, tyre, pixel)
    return _paint(canvas, wheel - trait["hub"] * radius, accent, pixel)


def _cover(scene, canvas, x, y, pixel):
    bar = jnp.abs(_along(x, y, scene["bar_angle"]) - scene["bar_offset"]) - scene["bar_width"]
    colour = _colour(scene["bar_luma"], scene["cover_hue"], scene["cover_chroma"])
    canvas = _paint(canvas, bar, colour, pixel, shown=scene["bar_width"] > 0)

    width, height = scene["blob_width"], scene["blob_height"]
    blob = _ellipse(x - scene["blob_x"], y - scene["blob_y"], width, height)
    colour = _colour(scene["blob_luma"], scene["cover_hue"] + 180, scene["cover_chroma"])
    return _paint(canvas, blob, colour, pixel, shown=(width > 0) & (height > 0))


def _white_noise(key, size):
    """Uniform noise ``[size, size, 3]`` of mean 0 and standard deviation 1."""
    # Random words are the costliest part of a small picture: ten bits per value, three in a word.
    words = jax.random.bits(key, (size, size), jnp.uint32)
    values = (words[..., None] >> jnp.arange(0, 30, 10, dtype=jnp.uint32)) & 1023
    return (values.astype(jnp.float32) - 511.5) * (12**0.5 / 1024)


def _light(scene, canvas, x, y):
    slope = 1 + scene["light_slope"] * _along(x, y, scene["light_angle"])
    canvas = jnp.clip(canvas * scene["gain"] * slope[..., None], 1e-3, 1) ** scene["gamma"]
    return 0.5 + scene["contrast"] * (canvas - 0.5)
