"""CIFAR-10-C's corruptions beside the libraries that the originals call, with the same draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phash_jax import distortions
from phash_jax.data import synthetic
from phash_jax.distortions import DISTORTIONS

pytest.importorskip("cv2", reason="the references need OpenCV")
pytest.importorskip("skimage", reason="the references need scikit-image")

from references import blur, color, elastic, motion_blur, noise, pillow, spatter, weather

NUM_IMAGES = 24


def no_draws(key, shape):
    return ()


def normal_like_image(key, shape):
    return (jax.random.normal(key, shape),)


def uniform_like_image(key, shape):
    return (jax.random.uniform(key, shape),)


def normal_plane(key, shape):
    return (jax.random.normal(key, shape[:2]),)


def neighbours(key, shape):
    bits = jax.random.bits(key, shape[:2])
    return (jnp.stack([bits >> place & 1 for place in range(4)]).reshape(2, 2, *shape[:2]),)


def flat_angle(key, shape):
    return (jax.random.uniform(key, (), minval=-45, maxval=45),)


def flakes_and_angle(key, shape):
    flakes, angle = jax.random.split(key)
    return (
        jax.random.normal(flakes, shape[:2]),
        jax.random.uniform(angle, (), minval=-135, maxval=-45),
    )


def points_and_pixels(key, shape):
    points, pixels = jax.random.split(key)
    return (
        jax.random.uniform(points, (3, 2), minval=-1, maxval=1),
        jax.random.uniform(pixels, (2, *shape[:2]), minval=-1, maxval=1),
    )


def cloud(key, shape):
    return (jax.random.uniform(key, (1023,), minval=-1, maxval=1),)


# Reference, draws, share of identical values in percent at least, greatest difference at most.
# What is not identical: doubles of the reference lie just below a whole number that single
# precision reaches, or the other way round, and the last cast makes a gray level of it.
CASES = {
    "gaussian_noise": (noise.gaussian_noise, normal_like_image, 99, 1),
    "impulse_noise": (noise.impulse_noise, uniform_like_image, 100, 0),
    "speckle_noise": (noise.speckle_noise, normal_like_image, 99, 1),
    "gaussian_blur": (blur.gaussian_blur, no_draws, 99, 1),
    "defocus_blur": (blur.defocus_blur, no_draws, 99, 1),
    "glass_blur": (blur.glass_blur, neighbours, 99, 2),
    "zoom_blur": (blur.zoom_blur, no_draws, 99, 1),
    "motion_blur": (motion_blur.motion_blur, flat_angle, 99, 1),
    "snow": (weather.snow, flakes_and_angle, 99, 1),
    "fog": (weather.fog, cloud, 99, 1),
    "brightness": (color.brightness, no_draws, 99.5, 1),
    "contrast": (color.contrast, no_draws, 99, 1),
    "saturate": (color.saturate, no_draws, 90, 1),
    "elastic_transform": (elastic.elastic_transform, points_and_pixels, 99, 2),
    "spatter": (spatter.spatter, normal_plane, 99, 1),
    "pixelate": (pillow.pixelate, no_draws, 100, 0),
    "jpeg_compression": (pillow.jpeg_compression, no_draws, 100, 0),
}


@functools.cache
def of_all(name):
    return jax.jit(jax.vmap(DISTORTIONS[name], in_axes=(0, 0, None)))


def distort(name, images, severity):
    keys = jax.random.split(jax.random.key(7), len(images))
    return keys, np.asarray(of_all(name)(keys, jnp.asarray(images), jnp.int32(severity)))


def assert_equal_enough(name, images, severity):
    reference, draws, least, most = CASES[name]
    keys, ours = distort(name, images, severity)
    theirs = np.stack(
        [
            reference(image, severity, *map(np.asarray, draws(key, image.shape)))
            for key, image in zip(keys, images, strict=True)
        ]
    )
    assert theirs.dtype == np.uint8
    away = np.abs(ours.astype(int) - theirs)
    assert 100 * np.mean(away == 0) >= least
    assert away.max() <= most
    # Something has been done at all.
    assert np.mean(ours != images) > 0.005


@pytest.fixture(scope="module")
def drawn():
    """Drawn pictures with a grain, since photographs have no flat areas."""
    images, _ = synthetic.generate(
        seed=5, split="test", num_images=NUM_IMAGES, image_size=32, class_names=("cat", "truck")
    )
    grain = np.random.default_rng(0).normal(0, 6, images.shape)
    return np.clip(np.rint(images + grain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", CASES)
def test_drawn_pictures_are_distorted_as_by_the_libraries(drawn, name, severity):
    assert_equal_enough(name, drawn, severity)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", CASES)
def test_photographs_are_distorted_as_by_the_libraries(real_cifar10, name, severity):
    assert_equal_enough(name, real_cifar10.test.images[:NUM_IMAGES], severity)


def test_large_pictures_are_zoomed_as_by_the_libraries():
    images, _ = synthetic.generate(
        seed=5, split="test", num_images=2, image_size=72, class_names=("cat", "truck")
    )
    assert_equal_enough("zoom_blur", images[:, :, :60], 4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (5, 40), (40, 40)])
def test_zooms_at_once_are_one_zoom_after_the_other(shape):
    unit = jnp.asarray(np.random.default_rng(1).random((*shape, 3), np.float32))
    for severity in range(1, 6):
        np.testing.assert_allclose(
            jax.jit(distortions.zoom._zoomed_at_once)(unit, severity),
            distortions.zoom._zoomed_by_taps(unit, severity),
            rtol=1e-5,
        )


@pytest.mark.parametrize("shape", [(7, 5), (33, 47)], ids=str)
@pytest.mark.parametrize("name", ["pixelate", "jpeg_compression"])
def test_pictures_of_other_sizes_are_distorted_as_by_pillow(name, shape):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape, 3), np.uint8)
    for severity in (1, 5):
        assert_equal_enough(name, images, severity)
