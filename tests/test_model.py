"""The network and its own formulations of pooling and the weight gradient."""

import functools
import statistics

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from jax import lax

from phash_jax.convolution import conv_on_cpu, conv_on_gpu
from phash_jax.model import ACTIVATIONS, KERNEL_INITS, ConvNet, make_model, max_pool_2

NHWC = ("NHWC", "HWIO", "NHWC")


def network(batch_axis="batch", **fields):
    config = load_config("default").model
    config.update(fields)
    return make_model(config, num_classes=2, platform="cpu", batch_axis=batch_axis)


def initialised(model, images):
    # One program: step by step each operation would be compiled for itself.
    return jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), images)


def shapes(params):
    return {name: leaf["kernel"].shape for name, leaf in params.items() if "kernel" in leaf}


def test_without_arguments_it_is_that_of_the_default_config():
    assert network(batch_axis=None).clone(platform="") == ConvNet(num_outputs=2)


def test_the_study_network():
    variables = initialised(network(), jnp.zeros((1, 32, 32, 3)))
    assert shapes(variables["params"]) == {
        "Conv_0": (5, 5, 3, 64),
        "Conv_1": (5, 5, 64, 64),
        "Conv_2": (5, 5, 64, 64),
        "Dense_0": (4 * 4 * 64, 256),
        "Dense_1": (256, 128),
        "Dense_2": (128, 2),
    }
    for layer in variables["params"].values():
        np.testing.assert_array_equal(layer["bias"], np.float32(0.1))


def test_truncated_normal_is_cut_at_two_standard_deviations():
    variables = initialised(network(kernel_init="truncated_normal"), jnp.zeros((1, 32, 32, 3)))
    kernel = np.asarray(variables["params"]["Conv_1"]["kernel"])
    assert np.abs(kernel).max() <= 0.2
    # The standard deviation of a unit normal cut at +-2 is 0.8796.
    np.testing.assert_allclose(kernel.std(), 0.1 * 0.8796, rtol=0.01)


def test_activations_and_the_uniform_kernels_of_fig_5_5():
    x = jnp.array([-2.0, 0.5])
    for name, expected in (("relu", [0, 0.5]), ("elu", [np.expm1(-2), 0.5]), ("tanh", np.tanh(x))):
        np.testing.assert_allclose(ACTIVATIONS[name](x), expected, rtol=1e-6)
    kernel = KERNEL_INITS["uniform"](0.1)(jax.random.key(0), (3, 3, 8, 8))
    assert 0 <= kernel.min() < 0.02
    assert 0.98 < kernel.max() <= 1


def test_gelu_weights_a_value_with_the_share_of_a_normal_distribution_below_it():
    x = np.linspace(-4, 4, 81)
    expected = [value * statistics.NormalDist().cdf(value) for value in x]
    # How far the approximation is off.
    np.testing.assert_allclose(ACTIVATIONS["gelu"](jnp.asarray(x)), expected, atol=5e-4)


@pytest.mark.parametrize("side", [4, 7])
def test_max_pool_equals_reduce_window(side):
    x = jax.random.normal(jax.random.key(0), (3, side, side, 5))
    expected = nn.max_pool(x, (2, 2), (2, 2))
    np.testing.assert_array_equal(max_pool_2(x), expected)
    weights = jax.random.normal(jax.random.key(1), expected.shape)
    np.testing.assert_array_equal(
        jax.grad(lambda x: (max_pool_2(x) * weights).sum())(x),
        jax.grad(lambda x: (nn.max_pool(x, (2, 2), (2, 2)) * weights).sum())(x),
    )


@pytest.mark.parametrize("num_images", [3, 8, 20])
def test_chunked_convolution_has_the_gradients_of_lax(num_images):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (num_images, 9, 7, 4))
    w = jax.random.normal(keys[1], (3, 5, 4, 6))
    g = jax.random.normal(keys[2], (num_images, 9, 7, 6))

    def loss(conv):
        return lambda x, w: (conv(x, w, (1, 1), "SAME", dimension_numbers=NHWC) * g).sum()

    expected = jax.grad(loss(lax.conv_general_dilated), (0, 1))(x, w)
    actual = jax.grad(loss(conv_on_cpu), (0, 1))(x, w)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("num_batches", [1, 3])
def test_networks_on_a_gpu_have_a_convolution_each(num_batches):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (num_batches, 4, 9, 7, 4))
    w = jax.random.normal(keys[1], (3, 5, 3, 4, 6))

    def of_all(conv):
        def loss(x, w):
            return (conv(x, w, (1, 1), "SAME", dimension_numbers=NHWC) ** 2).sum()

        with_gradients = jax.value_and_grad(loss, (0, 1))
        if num_batches == 1:  # one batch for all, as in a test
            return jax.vmap(with_gradients, (None, 0)), (x[0], w)
        return jax.vmap(with_gradients), (x, w)

    usual, args = of_all(lax.conv_general_dilated)
    unrolled, _ = of_all(conv_on_gpu)
    for a, b in zip(jax.tree.leaves(unrolled(*args)), jax.tree.leaves(usual(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

    def is_grouped(mapped):
        text = jax.jit(mapped).lower(*args).as_text()
        return any(f"{kind}_group_count = 3" in text for kind in ("feature", "batch"))

    assert is_grouped(usual)
    assert not is_grouped(unrolled)


def test_convolutions_on_a_gpu_have_derivatives_of_derivatives():
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (3, 2, 6, 5, 4))
    w = jax.random.normal(keys[1], (3, 3, 3, 4, 6))

    def penalties(conv):
        def loss(x, w):
            return jnp.sin(conv(x, w, (1, 1), "SAME", dimension_numbers=NHWC)).sum()

        def penalty(x, w):
            return sum((of**2).sum() for of in jax.grad(loss, (0, 1))(x, w))

        return jax.vmap(jax.grad(penalty, (0, 1)))

    usual, unrolled = (
        jax.jit(penalties(conv))(x, w) for conv in (lax.conv_general_dilated, conv_on_gpu)
    )
    for a, b in zip(unrolled, usual, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())


def test_group_norm_needs_no_other_image():
    fields = {"group_norm": "first", "conv_layers": 1, "conv_features": 16, "dense_features": ()}
    model = network(**fields, activation="relu")
    images = jax.random.normal(jax.random.key(1), (3, 4, 4, 3)) + 5
    variables = initialised(model, images)
    assert set(variables) == {"params"}
    assert "bias" not in variables["params"]["Conv_0"]
    logits, activations = model.apply(
        variables, images, train=True, capture_intermediates=True, mutable=["intermediates"]
    )
    assert jnp.array_equal(logits, model.apply(variables, images, train=False))
    np.testing.assert_allclose(model.apply(variables, images[:1], train=True), logits[:1], 1e-5)

    convolved, normed = (
        np.asarray(activations["intermediates"][name]["__call__"][0])
        for name in ("Conv_0", "GroupNorm_0")
    )
    groups = convolved.reshape(3, 16, 8, 2)
    deviations = groups - groups.mean((1, 3), keepdims=True)
    expected = deviations / np.sqrt((deviations**2).mean((1, 3), keepdims=True) + 1e-6)
    np.testing.assert_allclose(normed, expected.reshape(convolved.shape), rtol=1e-3, atol=1e-4)


def test_group_norm_is_refused_where_it_cannot_be():
    with pytest.raises(ValueError, match=r"one of model\.batch_norm and model\.group_norm, not"):
        network(batch_norm="all", group_norm="first")
    with pytest.raises(ValueError, match="conv_features in 8 equal groups, got 12"):
        network(group_norm="all", conv_features=12)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_bfloat16_is_float32_but_for_its_rounding(platform):
    fields = load_config("default").model
    fields.update({"batch_norm": "first", "conv_layers": 2, "conv_features": 16})
    fields.dense_features = (32,)
    images = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3))

    def outputs(compute_dtype):
        fields.compute_dtype = compute_dtype
        model = make_model(fields, num_classes=2, platform=platform, batch_axis=None)
        variables = initialised(model, images)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}

        def logits(params, **options):
            return model.apply(variables | {"params": params}, images, **options)

        def loss(params):
            made, updated = logits(params, train=True, mutable=["batch_stats"])
            return (made**2).sum(), updated

        @jax.jit
        def outputs_of(params):
            return logits(params, train=False), *jax.grad(loss, has_aux=True)(params)

        return outputs_of(variables["params"])

    exact, rounded = outputs("float32"), outputs("bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(rounded)} == {jnp.dtype(jnp.float32)}
    # Eight bits at each of four layers.
    error = jnp.linalg.norm(rounded[0] - exact[0]) / jnp.linalg.norm(exact[0])
    assert 1e-5 < error < 4 * 2**-8
    # A rounding that decides another maximum sends a gradient elsewhere: 1 % of them are a tenth of
    # its length, and less than a hundredth of its direction.
    for a, b in zip(jax.tree.leaves(rounded[1]), jax.tree.leaves(exact[1]), strict=True):
        assert jnp.vdot(a, b) > 0.98 * jnp.linalg.norm(a) * jnp.linalg.norm(b)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-6, atol=1e-4), rounded[2], exact[2]
    )


def test_dropout_stands_before_the_hidden_dense_layers():
    model, x = network(dropout=0.5, conv_features=8), jnp.ones((3, 16, 16, 3))

    def layers(key):
        _, made = model.apply(
            model.init(key, x, train=False),
            x,
            train=True,
            rngs={"dropout": key},
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        return made

    made = jax.eval_shape(layers, jax.random.key(0))
    dropped = [made["intermediates"][f"Dropout_{i}"]["__call__"][0].shape for i in (0, 1)]
    assert dropped == [(3, 2 * 2 * 8), (3, 256)]


def test_batch_norm_keeps_99_hundredths_of_its_statistics():
    model = network(batch_norm="first", conv_layers=1, dense_features=(), batch_axis=None)
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))
    variables = initialised(model, x)
    _, updated = model.apply(
        variables,
        x,
        train=True,
        capture_intermediates=True,
        mutable=["batch_stats", "intermediates"],
    )
    mean = updated["intermediates"]["Conv_0"]["__call__"][0].mean((0, 1, 2))
    of_batch_norm = updated["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(of_batch_norm, 0.01 * mean, rtol=1e-4, atol=1e-7)
