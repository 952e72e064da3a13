"""The study's distortions and the drawn scenes."""

import functools
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from phash_jax.data import scene
from phash_jax.distortions.contrast import contrast_level
from phash_jax.distortions.crystallize import _sites, crystallize, voronoi
from phash_jax.distortions.high_frequency import add_noise, high_frequency_noise
from phash_jax.distortions.swirl import swirl

KEY = jax.random.key(3)
RAMP = jnp.arange(256, dtype=jnp.uint8).reshape(16, 16, 1)
IDENTITIES = {
    "swirl": functools.partial(swirl, strength=0.0),
    "crystallize": functools.partial(crystallize, KEY, cell_size=1),
    "contrast": functools.partial(contrast_level, level=0),
    "noise": functools.partial(add_noise, KEY, amplitude=0.0),
}
# As called without the tests' checks of types.
TAKEN_BARE = {
    "swirl": functools.partial(swirl.__wrapped__, strength=2.0),
    "crystallize": functools.partial(crystallize.__wrapped__, KEY, cell_size=4),
    "contrast": functools.partial(contrast_level.__wrapped__, level=60),
}


def make_image(shape=(24, 20, 3), seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


@pytest.mark.parametrize("name", TAKEN_BARE)
def test_values_that_are_not_uint8_are_refused(name):
    with pytest.raises(TypeError, match="takes uint8 values from 0 to 255, got float32"):
        TAKEN_BARE[name](make_image().astype(jnp.float32))


@pytest.mark.parametrize("name", IDENTITIES)
def test_no_distortion_is_the_identity(name):
    image = make_image()
    np.testing.assert_array_equal(IDENTITIES[name](image), image)


def test_a_single_pixel_has_nothing_to_be_turned_or_to_differ_from():
    image = make_image((1, 1, 3))
    for distorted in (
        swirl(image, strength=2.0),
        crystallize(KEY, image, cell_size=4),
        add_noise(KEY, image, amplitude=20.0),
    ):
        np.testing.assert_array_equal(distorted, image)


def test_level_200_multiplies_distances_from_128_by_7_83():
    out = np.asarray(contrast_level(RAMP, level=200)).ravel()
    assert out.dtype == np.uint8
    assert out[128] == 128
    # 259 * 455 / (255 * 59) = 7.8328: 128 + 7.83, 128 - 78.3, and clipped at both ends.
    assert out[129] == 136
    assert out[118] == 50
    assert out[111] == 0
    assert out[145] == 255


def test_level_300_inverts_the_picture():
    out = np.asarray(contrast_level(RAMP, level=300)).ravel().astype(int)
    assert (np.diff(out) <= 0).all()
    assert out[0] == 255
    assert out[255] == 0


@pytest.mark.parametrize("level", [259, -256])
def test_levels_without_a_factor_are_refused(level):
    with pytest.raises(ValueError, match=r"must be -255 or more, got -256|must not be 259"):
        contrast_level(RAMP, level=level)


def test_swirl_is_that_of_scipy():
    image = np.asarray(make_image((31, 40, 3)))
    y, x = np.mgrid[:31, :40].astype(float)
    y, x = y - 15, x - 19.5
    distance = np.hypot(y, x)
    angle = np.arctan2(y, x) + 2.0 * np.exp(-distance / (15.5 / 5 * np.log(2)))
    places = [15 + distance * np.sin(angle), 19.5 + distance * np.cos(angle)]
    expected = np.stack(
        [
            scipy.ndimage.map_coordinates(
                image[..., c].astype(float), places, order=1, mode="nearest"
            )
            for c in range(3)
        ],
        -1,
    )
    assert np.abs(np.asarray(swirl(jnp.asarray(image), strength=2.0)) - expected).max() < 0.51


def assert_nearest(cell, sites):
    y, x = np.indices(cell.shape)
    site_y, site_x = np.asarray(sites, np.float64).reshape(2, -1)
    away = np.hypot(y[..., None] - site_y, x[..., None] - site_x)
    chosen = np.take_along_axis(away, np.asarray(cell)[..., None], -1)[..., 0]
    # float32 may prefer either of two sites that are equally far.
    np.testing.assert_allclose(chosen, away.min(-1), atol=1e-4)


@pytest.mark.parametrize(("height", "width", "cell_size"), [(29, 33, 5), (5, 9, 12)])
def test_cells_belong_to_the_nearest_of_all_sites(height, width, cell_size):
    rows, columns = -(-height // cell_size), -(-width // cell_size)
    for seed in range(5):
        key = jax.random.key(seed)
        cell = voronoi(key, height=height, width=width, cell_size=cell_size)
        assert_nearest(cell, _sites(key, rows, columns, cell_size))


def test_the_nearest_site_can_lie_two_squares_away(monkeypatch):
    # The sites around pixel (15, 19) lie in the far corners of their squares, and one two squares
    # to the right at the near edge. Random sites almost never do that.
    site_y, site_x = np.meshgrid([-0.5, 9.5, 29.4], [-0.5, 9.5, 29.4, 29.5], indexing="ij")
    site_y[1, 3] = 15
    sites = jnp.asarray([site_y, site_x], jnp.float32)
    monkeypatch.setattr(sys.modules[voronoi.__module__], "_sites", lambda *arguments: sites)
    cell = voronoi.__wrapped__(KEY, height=30, width=40, cell_size=10)
    assert cell[15, 19] == 7
    assert_nearest(cell, sites)


def test_sums_of_the_largest_cells_do_not_overflow():
    key = jax.random.key(32)  # has the largest cell of the first 3,000
    image = jnp.full((2200, 2200, 1), 255, jnp.uint8)
    cell = voronoi(key, height=220, width=220, cell_size=150)
    # The same key, hence the same cells at a tenth of the scale: the sum of one is above 2^30.
    assert np.bincount(np.asarray(cell).ravel()).max() * 100 * 255 > 2**30
    assert (crystallize(key, image, cell_size=1500) == 255).all()


def test_cells_have_the_rounded_mean_of_their_pixels():
    image = np.asarray(make_image())
    cell = voronoi(KEY, height=24, width=20, cell_size=4)
    crystals = np.asarray(crystallize(KEY, jnp.asarray(image), cell_size=4))
    for i in range(30):
        pixels = image[np.asarray(cell) == i]
        if len(pixels):
            mean = np.floor(pixels.mean(0) + 0.5)
            assert (crystals[np.asarray(cell) == i] == mean).all()


def test_the_noise_is_of_high_frequency():
    noise = np.asarray(high_frequency_noise(KEY, shape=(64, 64, 3)))
    assert abs(noise.std() - 1) < 0.03
    power = (np.abs(np.fft.fft2(noise, axes=(0, 1))) ** 2).mean(-1)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    low, high = power[frequency < 0.1].mean(), power[frequency > 0.3].mean()
    assert low < 0.1 * high


def test_noise_lies_on_the_raised_contrast():
    image = contrast_level(jnp.full((64, 64, 3), 140, jnp.uint8), level=60)
    difference = np.asarray(add_noise(KEY, image, amplitude=20.0)).astype(float) - image
    assert abs(difference.mean()) < 1
    assert abs(difference.std() - 20) < 1


@pytest.mark.parametrize("cell_size", [0, 1501])
def test_cells_without_a_pixel_or_too_large_are_refused(cell_size):
    with pytest.raises(ValueError, match=f"cell_size must be 1 to 1500, got {cell_size}"):
        crystallize(KEY, make_image(), cell_size=cell_size)


def test_a_swirl_without_a_radius_is_refused():
    with pytest.raises(ValueError, match=r"a swirl's radius must be above 0, got 0\.0"):
        swirl(make_image(), strength=1.0, radius=0.0)
    with pytest.raises(ValueError, match=r"a swirl's radius must be above 0, got nan"):
        swirl(make_image(), strength=1.0, radius=float("nan"))


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8, 3)])
def test_what_is_not_one_image_is_refused(shape):
    images = jnp.zeros(shape, jnp.uint8)
    for of_one in (
        functools.partial(crystallize.__wrapped__, KEY, cell_size=1),
        functools.partial(swirl.__wrapped__, strength=1.0),
    ):
        with pytest.raises(ValueError, match=r"takes one image \[H, W, C\] .* got \("):
            of_one(image=images)


@pytest.mark.parametrize(
    "of_one",
    [
        functools.partial(swirl, strength=3.0),
        functools.partial(crystallize, KEY, cell_size=3),
    ],
    ids=["swirl", "crystallize"],
)
def test_pictures_are_computed_in_float32_with_float64_enabled_too(of_one):
    with jax.enable_x64(True):
        made = str(jax.make_jaxpr(lambda image: of_one(image=image))(make_image()))
    assert "f32[" in made
    # Numbers alone may be of 64 bits.
    assert re.findall(r"f64\[\d[^]]*\]", made) == []


@pytest.mark.parametrize("name", scene.SCENES)
def test_scenes_are_pictures_of_any_size(name):
    small, large = (np.asarray(scene.draw(name, size=size)) for size in (32, 128))
    assert small.shape == (32, 32, 3)
    # The same picture: reduced by blocks it is close to the one drawn small.
    reduced = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(reduced - small).mean() < 8
    assert large.std() > 30


def test_a_scene_without_a_pixel_is_refused():
    with pytest.raises(ValueError, match="1 pixel or more a side, got 0"):
        scene.draw("harbour", size=0)
