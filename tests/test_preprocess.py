"""Hash images, decided exactly, and the raw values."""

import pickle
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phash_jax.binarize import (
    average_hash_image,
    channel_average_hash_image,
    checked_image,
    dct_hash_image,
    difference_hash_image,
    gradient_hash_image,
    gray_average_hash_image,
    local_average_hash_image,
    median_hash_image,
    multiscale_hash_image,
    smooth_local_average_hash_image,
)
from phash_jax.bit_depth import squeeze_bit_depth, thermometer
from phash_jax.preprocess import BITS_PER_PIXEL, PREPROCESS, SEVERAL_BITS_A_VALUE, raw
from phash_jax.resampling import gray

images = hnp.arrays(np.uint8, st.sampled_from([(1, 1, 3), (2, 3, 3), (8, 8, 3), (5, 4, 1)]))


@settings(deadline=None)
@given(images)
def test_average_hash_is_exact(image):
    mean = Fraction(int(image.sum(dtype=np.int64)), image.size)
    expected = [Fraction(int(v)) > mean for v in image.ravel()]
    assert np.asarray(average_hash_image(jnp.asarray(image))).ravel().tolist() == expected


def test_a_value_equal_to_the_mean_is_zero():
    assert not np.asarray(average_hash_image(jnp.full((4, 4, 3), 7, jnp.uint8))).any()


def test_one_grey_level_above_the_mean_is_seen_in_a_large_image():
    image = np.full((2000, 2000, 3), 254, np.uint8)
    image[0, 0, 0] = 255
    bits = np.asarray(average_hash_image(jnp.asarray(image)))
    assert bits[0, 0, 0]
    assert bits.sum() == 1


def test_average_hash_refuses_floats_and_images_whose_sum_overflows():
    # Without the tests' own type checks, as a user calls it.
    unchecked = average_hash_image.__wrapped__
    with pytest.raises(TypeError, match="uint8 values from 0 to 255, got float32"):
        unchecked(jnp.zeros((4, 4, 3)))
    with pytest.raises(TypeError, match="uint8 values from 0 to 255, got list"):
        checked_image.__wrapped__([[[0, 0, 0]]])
    with pytest.raises(ValueError, match="an image must have 1 to 16843009 values"):
        jax.eval_shape(unchecked, jax.ShapeDtypeStruct((5000, 5000, 3), jnp.uint8))


@pytest.mark.parametrize(
    "of_one",
    [
        average_hash_image,
        channel_average_hash_image,
        dct_hash_image,
        difference_hash_image,
        gradient_hash_image,
        gray_average_hash_image,
        local_average_hash_image,
        median_hash_image,
        multiscale_hash_image,
        raw,
        smooth_local_average_hash_image,
        squeeze_bit_depth,
        thermometer,
    ],
)
def test_a_batch_without_vmap_is_refused(of_one):
    options = {squeeze_bit_depth: {"bits": 1}, thermometer: {"thresholds": 2}}
    unchecked = partial(of_one.__wrapped__, **options.get(of_one, {}))
    for shape in ((2, 4, 4, 3), (4, 4)):
        with pytest.raises(ValueError, match=r"takes one image \[H, W, C\] \(jax.vmap for more"):
            unchecked(jnp.zeros(shape, jnp.uint8))
    with pytest.raises(TypeError, match="uint8 values from 0 to 255, got float32"):
        unchecked(jnp.zeros((4, 4, 3)))


def test_only_what_is_possible_is_asked_for():
    image = jnp.zeros((4, 4, 2), jnp.uint8)
    for of_one in (gray_average_hash_image, multiscale_hash_image):
        with pytest.raises(ValueError, match="three channels can be made gray, the image has 2"):
            of_one.__wrapped__(image)
    for bits in (0, 9):
        with pytest.raises(ValueError, match=f"bits must be 1 to 8, got {bits}"):
            squeeze_bit_depth(image, bits=bits)
    with pytest.raises(ValueError, match="thresholds must be 1 or more, got 0"):
        thermometer(image, thresholds=0)
    with pytest.raises(ValueError, match="radius must be 0 or more, got -1"):
        local_average_hash_image(image, radius=-1)
    with pytest.raises(TypeError, match=r"bits must be a whole number, got 2\.5"):
        squeeze_bit_depth.__wrapped__(image, bits=2.5)


def test_small_integers_of_numpy_do_not_wrap_around():
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    for of, argument, value in (
        (squeeze_bit_depth, "bits", np.int8(8)),
        (thermometer, "thresholds", np.uint8(2)),
        (local_average_hash_image, "radius", np.int8(100)),
    ):
        of = of.__wrapped__
        small = of(jnp.asarray(image), **{argument: value})
        np.testing.assert_array_equal(small, of(jnp.asarray(image), **{argument: int(value)}))


def test_a_window_whose_sum_would_overflow_is_refused():
    large = jax.ShapeDtypeStruct((1, 1, 10_000_000), jnp.uint8)
    for of_one in (local_average_hash_image, smooth_local_average_hash_image):
        with pytest.raises(ValueError, match="an image must have 1 to 8421504 values"):
            jax.eval_shape(of_one, large)


def test_inputs_of_the_network():
    image = np.arange(0, 192, dtype=np.uint8).reshape(8, 8, 3)
    raw = PREPROCESS["raw"](jnp.asarray(image))
    hashed = PREPROCESS["average_hash"](jnp.asarray(image))
    assert raw.dtype == hashed.dtype == jnp.float32
    np.testing.assert_allclose(raw, image / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(hashed, (image > image.mean()).astype(np.float32))
    batch = jnp.stack([jnp.asarray(image), jnp.asarray(255 - image)])
    np.testing.assert_array_equal(
        jax.jit(jax.vmap(PREPROCESS["average_hash"]))(batch)[1],
        PREPROCESS["average_hash"](batch[1]),
    )


@settings(deadline=None, max_examples=30)
@given(images, st.sampled_from([0, 1, 3]))
def test_the_other_hash_images_are_exact(image, radius):
    def mean(values):
        return Fraction(int(values.sum(dtype=np.int64)), values.size)

    def window(y, x):
        rows = slice(max(0, y - radius), y + radius + 1)
        return image[rows, max(0, x - radius) : x + radius + 1]

    def smoothed(y, x, channel):
        padded = np.pad(image[..., channel], 1, mode="edge").astype(int)[y : y + 3, x : x + 3]
        return Fraction(int(np.sum(padded * np.outer((1, 2, 1), (1, 2, 1)))), 16)

    indices = list(np.ndindex(image.shape))
    median = Fraction(float(np.median(image)))
    expected = {
        channel_average_hash_image: [
            Fraction(int(image[i])) > mean(image[..., i[2]]) for i in indices
        ],
        median_hash_image: [Fraction(int(image[i])) > median for i in indices],
        partial(local_average_hash_image, radius=radius): [
            Fraction(int(image[i])) > mean(window(i[0], i[1])) for i in indices
        ],
        partial(smooth_local_average_hash_image, radius=radius): [
            smoothed(*i) > mean(window(i[0], i[1])) for i in indices
        ],
        difference_hash_image: [
            i[1] > 0 and image[i] > image[i[0], i[1] - 1, i[2]] for i in indices
        ],
        lambda image: gradient_hash_image(image)[..., image.shape[2] :]: [
            i[0] > 0 and image[i] > image[i[0] - 1, i[1], i[2]] for i in indices
        ],
        lambda image: gradient_hash_image(image)[..., : image.shape[2]]: [
            i[1] > 0 and image[i] > image[i[0], i[1] - 1, i[2]] for i in indices
        ],
    }
    for hash_image, bits in expected.items():
        assert np.asarray(hash_image(jnp.asarray(image))).ravel().tolist() == bits


def test_a_local_mean_is_of_9x9_pixels():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    for of_local in (local_average_hash_image, smooth_local_average_hash_image):
        np.testing.assert_array_equal(of_local(image), of_local(image, radius=4))


def test_a_window_over_the_whole_image_gives_the_average_hash():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8))
    np.testing.assert_array_equal(
        local_average_hash_image(image, radius=8), average_hash_image(image)
    )
    # In no more time.
    np.testing.assert_array_equal(
        local_average_hash_image(image, radius=10**9), average_hash_image(image)
    )


@pytest.mark.parametrize("name", PREPROCESS)
def test_inputs_have_their_bits_and_are_the_same_under_jit_and_vmap(name):
    batch = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    inputs = np.asarray(jax.jit(jax.vmap(PREPROCESS[name]))(batch))
    assert inputs.dtype == np.float32
    assert inputs.min() == 0
    assert inputs.max() == 1
    np.testing.assert_allclose(inputs[2], PREPROCESS[name](jnp.asarray(batch[2])), rtol=1e-6)
    assert (set(np.unique(inputs)) == {0, 1}) == (name not in SEVERAL_BITS_A_VALUE)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(jax.jit(jax.vmap(PREPROCESS[name]))(batch), inputs)
    levels = [len(np.unique(channel)) for channel in np.moveaxis(inputs, -1, 0)]
    assert sum(np.log2(levels)) * inputs[0, ..., 0].size == BITS_PER_PIXEL[name] * 32 * 32


@settings(deadline=None, max_examples=30)
@given(images, st.integers(1, 4))
def test_a_thermometer_counts_the_quantiles_below_a_value(image, thresholds):
    # The smallest value that a share of so many is not above; np.quantile rounds the share.
    at_most = {value: np.sum(image <= value) for value in np.unique(image)}
    quantiles = [
        min(value for value, count in at_most.items() if count * (thresholds + 1) >= i * image.size)
        for i in range(1, thresholds + 1)
    ]
    code = np.asarray(thermometer(jnp.asarray(image), thresholds=thresholds))
    assert code.shape == (*image.shape[:2], thresholds * image.shape[2])
    expected = np.concatenate([image > quantile for quantile in quantiles], -1)
    np.testing.assert_array_equal(code, expected)
    if thresholds == 1:
        np.testing.assert_array_equal(code, median_hash_image(jnp.asarray(image)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_bit_depth_is_squeezed_to_the_nearest_level(bits):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    highest = 2**bits - 1
    expected = np.rint(values / 255 * highest) / highest
    np.testing.assert_allclose(squeeze_bit_depth(jnp.asarray(values), bits=bits), expected, 1e-6)


def test_gray_multiscale_and_dct_hash_images():
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    as_gray = np.asarray(gray(jnp.asarray(image), rounded=True))
    multiscale = np.asarray(multiscale_hash_image(jnp.asarray(image)))
    for channel, radius in enumerate((1, 4, 12)):
        for y, x in np.ndindex(as_gray.shape):
            rows = slice(max(0, y - radius), y + radius + 1)
            window = as_gray[rows, max(0, x - radius) : x + radius + 1]
            above = int(as_gray[y, x]) * window.size > window.sum(dtype=int)
            assert multiscale[y, x, channel] == above
    np.testing.assert_array_equal(
        gray_average_hash_image(jnp.asarray(image))[..., 0], as_gray > np.mean(as_gray)
    )
    expected = scipy.fft.dctn(image.astype(np.float64), axes=(0, 1))[:6, :4] > 0
    np.testing.assert_array_equal(dct_hash_image(jnp.asarray(image)), expected)
    with pytest.raises(ValueError, match="needs 2 pixels a side or more"):
        dct_hash_image(jnp.zeros((1, 5, 3), jnp.uint8))


@pytest.mark.parametrize("name", PREPROCESS)
def test_inputs_can_be_sent_to_other_processes(name):
    sent, own = pickle.loads(pickle.dumps(PREPROCESS[name])), PREPROCESS[name]
    assert sent is own or (sent.func, str(sent.keywords)) == (own.func, str(own.keywords))
