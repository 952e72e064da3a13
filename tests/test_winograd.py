"""Winograd's convolution against the direct one in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phash_jax import winograd
from phash_jax.convolution import conv_on_cpu


def direct(x, kernel):
    """The sum over the pixels of the kernel, in float64."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    side = len(kernel)
    before = (side - 1) // 2
    around = [(0, 0), (before, side - 1 - before), (before, side - 1 - before), (0, 0)]
    padded = np.pad(x, around)
    height, width = x.shape[1:3]
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(side)
        for column in range(side)
    )


@pytest.mark.parametrize("kernel_size", winograd.KERNEL_SIZES)
def test_matrices_give_the_correlation(kernel_size):
    b, g, c = winograd.matrices(kernel_size)
    rng = np.random.default_rng(0)
    inputs, kernel = rng.normal(size=len(b)), rng.normal(size=kernel_size)
    expected = np.correlate(inputs, kernel, "valid")
    assert len(expected) == winograd.TILE
    np.testing.assert_allclose(c @ ((b @ inputs) * (g @ kernel)), expected, atol=1e-13)


def bound(x, kernel):
    """How far rounding in float32 can lead at most: so many roundings of sums of magnitudes."""
    side, channels = kernel.shape[0], kernel.shape[2]
    absolute = [abs(matrix) for matrix in winograd.matrices(side)]
    points = len(absolute[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "matrices", lambda side: absolute)
        # Another function than ``winograd.conv``, which may be compiled with the signs.
        magnitudes = jax.jit(lambda x, kernel: winograd.conv(x, kernel))(abs(x), abs(kernel))
    roundings = 2 * points + side**2 + channels + points**2
    return roundings * np.finfo(np.float32).eps * magnitudes


@settings(max_examples=12, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 19), st.integers(1, 19), st.integers(1, 5)),
    features=st.integers(1, 5),
    kernel_size=st.sampled_from(winograd.KERNEL_SIZES),
)
def test_any_shape(shape, features, kernel_size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    kernel = rng.normal(size=(kernel_size, kernel_size, shape[-1], features)).astype(np.float32)
    actual = jax.jit(winograd.conv)(x, kernel)
    assert (np.abs(actual - direct(x, kernel)) <= bound(x, kernel)).all()


def test_no_images_at_all():
    kernel = jnp.zeros((5, 5, 16, 7))
    assert winograd.conv(jnp.zeros((0, 9, 6, 16)), kernel).shape == (0, 9, 6, 7)


def test_errors_are_as_documented_in_the_layers_of_the_network():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 16, 16, 64)).astype(np.float32)
    kernel = (rng.normal(size=(5, 5, 64, 64)) / 40).astype(np.float32)
    expected = direct(x, kernel)
    assert 0.9 < expected.std() < 1.1
    assert np.abs(jax.jit(winograd.conv)(x, kernel) - expected).max() < 1e-4


@pytest.mark.parametrize("num_images", [3, 40])
def test_gradients(num_images):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_images, 9, 6, 16)).astype(np.float32)
    kernel = rng.normal(size=(5, 5, 16, 7)).astype(np.float32)
    g = rng.normal(size=(num_images, 9, 6, 7)).astype(np.float32)

    def conv(x, kernel):
        return conv_on_cpu(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert "conv_general_dilated" not in str(
        jax.make_jaxpr(conv)(jnp.asarray(x), jnp.asarray(kernel))
    )
    gradients = jax.grad(lambda x, kernel: (conv(x, kernel) * g).sum(), (0, 1))
    dx, dkernel = jax.jit(gradients)(x, kernel)
    # The same sums with kernel and images exchanged for what they are multiplied with.
    np.testing.assert_allclose(
        dx, direct(g, np.swapaxes(kernel[::-1, ::-1], 2, 3)), atol=5e-4, rtol=1e-4
    )
    around = np.pad(x.astype(np.float64), [(0, 0), (2, 2), (2, 2), (0, 0)])
    expected = [
        [
            np.einsum("nhwc,nhwf->cf", around[:, row : row + 9, column : column + 6], g)
            for column in range(5)
        ]
        for row in range(5)
    ]
    np.testing.assert_allclose(dkernel, expected, atol=2e-3, rtol=1e-4)


def test_other_kernels_are_refused():
    with pytest.raises(ValueError, match="2 to 5 pixels a side, got 7x7"):
        winograd.conv(jnp.zeros((1, 8, 8, 3)), jnp.zeros((7, 7, 3, 4)))
    with pytest.raises(ValueError, match="got 3x5"):
        winograd.conv(jnp.zeros((1, 8, 8, 3)), jnp.zeros((3, 5, 3, 4)))


@pytest.mark.parametrize(
    "options", [{"precision": "highest"}, {"preferred_element_type": jnp.float32}]
)
def test_what_is_asked_of_the_direct_convolution_is_done_by_it(options):
    x, kernel = jnp.zeros((1, 8, 8, 16)), jnp.zeros((5, 5, 16, 16))
    layout = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    program = jax.make_jaxpr(lambda x, w: conv_on_cpu(x, w, (1, 1), "SAME", **layout, **options))
    assert "conv_general_dilated" in str(program(x, kernel))
