"""Update rules, schedules and the moving average of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import load_config

from phash_jax.losses import LOSSES, make_loss, smoothed_cross_entropy
from phash_jax.optimizers import OPTIMIZERS, SCHEDULES, average_parameters, averaged, make_optimizer


def optimizer(num_steps=10, **fields):
    config = load_config("default").optimizer
    config.update(fields)
    return make_optimizer(config, num_steps=num_steps)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_rises_over_the_warm_up_and_ends_where_it_should(name):
    rate = SCHEDULES[name](2.0, 100, 20)
    rates = np.array([rate(step) for step in range(101)])
    np.testing.assert_allclose(rates[:21], np.linspace(0, 2, 21), atol=1e-6)
    assert (np.diff(rates[20:]) <= 1e-6).all()
    assert rates[100] == pytest.approx(2.0 if name == "constant" else 0.0, abs=1e-6)
    if name == "cosine":
        assert rates[60] == pytest.approx(1.0, abs=1e-6)


def test_the_warm_up_is_a_share_of_the_steps():
    rule = optimizer(name="sgd", learning_rate=1.0, schedule="triangle", warmup=0.2)
    state, rates = rule.init(jnp.float32(0)), []
    for _ in range(10):
        update, state = rule.update(jnp.float32(1), state)
        rates.append(-float(update))
    expected = [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    np.testing.assert_allclose(rates, expected, atol=1e-6)


def test_without_warm_up_the_first_rate_is_the_peak():
    for name in ("constant", "cosine"):
        rate = SCHEDULES[name](2.0, 100, 0)
        assert (rate(0) if callable(rate) else rate) == 2.0


def test_adamw_decays_kernels_only():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    rule = optimizer(name="adamw", learning_rate=0.1, weight_decay=0.5)
    gradient = jax.tree.map(jnp.zeros_like, params)
    updates, _ = rule.update(gradient, rule.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05)
    np.testing.assert_array_equal(updates["bias"], 0)


def test_muon_orthogonalises_convolutions_and_leaves_the_rest_to_adamw():
    keys = jax.random.split(jax.random.key(0), 4)
    params = {"conv": jax.random.normal(keys[0], (3, 3, 8, 16)), "bias": jnp.ones(16)}
    params["dense"] = jax.random.normal(keys[1], (32, 4))
    gradient = jax.tree.map(lambda leaf: jax.random.normal(keys[2], leaf.shape), params)
    fields = {"learning_rate": 0.1, "weight_decay": 0.5}
    updates = {}
    for name in ("muon", "adamw"):
        rule = optimizer(name=name, **fields)
        updates[name], _ = rule.update(gradient, rule.init(params), params)
    for leaf in ("bias", "dense"):
        np.testing.assert_allclose(updates["muon"][leaf], updates["adamw"][leaf], rtol=1e-6)
    moved = np.asarray(updates["muon"]["conv"] + 0.1 * 0.5 * params["conv"]).reshape(72, 16)
    singular = np.linalg.svd(moved, compute_uv=False)
    # Five iterations bring every singular value near one common value, 0.2 * 0.1 * sqrt(72) here.
    np.testing.assert_allclose(singular / (0.02 * np.sqrt(72)), 1, atol=0.35)
    spread = np.linalg.svd(np.asarray(gradient["conv"]).reshape(72, 16), compute_uv=False)
    assert spread.max() / spread.min() > 2


def test_the_average_follows_the_parameters():
    rule = optax.chain(optax.sgd(1.0), average_parameters(0.9))
    params = {"w": jnp.float32(0.0)}
    state = rule.init(params)
    by_hand = 0.0
    for count in range(1, 200):
        updates, state = rule.update({"w": jnp.float32(-1.0)}, state, params)
        params = optax.apply_updates(params, updates)
        kept = min(0.9, (1 + count) / (10 + count))
        by_hand = kept * by_hand + (1 - kept) * count
        assert averaged(params, state)["w"] == pytest.approx(by_hand, rel=1e-5)
    # Behind by as many updates as it looks back over.
    assert params["w"] - averaged(params, state)["w"] == pytest.approx(9, abs=0.1)


def test_without_an_average_the_parameters_themselves_are_tested():
    params = {"w": jnp.ones(3)}
    assert averaged(params, optimizer().init(params)) is params


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"name": "adam", "weight_decay": 0.1},
            "weight_decay is for optimizer.name=adamw or muon",
        ),
        ({"schedule": "step"}, "unknown optimizer.schedule 'step'; choose one of constant, cosine"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        optimizer(**fields)


def test_smoothed_targets():
    logits = jnp.array([[2.0, -1.0, 0.5]])
    log_p = jax.nn.log_softmax(logits)[0]
    loss = smoothed_cross_entropy(0.3)(logits, jnp.array([1]))
    np.testing.assert_allclose(loss[0], -(0.1 * log_p[0] + 0.8 * log_p[1] + 0.1 * log_p[2]), 1e-6)
    whole = make_loss("softmax_cross_entropy", label_smoothing=0.0)
    np.testing.assert_allclose(whole(logits, jnp.array([1]))[0], -log_p[1], rtol=1e-6)
    with pytest.raises(ValueError, match=r"label_smoothing is for loss=softmax_cross_entropy only"):
        make_loss("hinge", label_smoothing=0.1)


def test_losses_by_hand():
    logits, label = jnp.array([[2.0, -1.0, 0.5]]), jnp.array([1])
    # The largest other logit must be below the right one by 1: 1 + 2 - (-1).
    hinge = make_loss("hinge", label_smoothing=0.0)
    np.testing.assert_allclose(hinge(logits, label), [4.0], rtol=1e-6)
    np.testing.assert_allclose(hinge(logits, jnp.array([0])), [0.0], atol=1e-6)
    # Each output by itself: right is 1, the others 0.
    sigmoid = make_loss("sigmoid_cross_entropy", label_smoothing=0.0)
    expected = np.log1p(np.exp(2.0)) + np.log1p(np.exp(1.0)) + np.log1p(np.exp(0.5))
    np.testing.assert_allclose(sigmoid(logits, label), [expected], rtol=1e-6)


def test_updates_by_hand():
    params, gradient = jnp.array([1.0, -2.0]), jnp.array([0.5, -4.0])
    sgd = optimizer(name="sgd", learning_rate=0.1)
    update, _ = sgd.update(gradient, sgd.init(params), params)
    np.testing.assert_allclose(update, [-0.05, 0.4], rtol=1e-6)
    # Divided by the root of the sum of all squares so far, which begins at 0.1.
    adagrad = optimizer(name="adagrad", learning_rate=0.1)
    state, squares = adagrad.init(params), np.full(2, 0.1)
    for _ in range(2):
        update, state = adagrad.update(gradient, state, params)
        squares += np.square(gradient)
        np.testing.assert_allclose(update, -0.1 * gradient / np.sqrt(squares), rtol=1e-5)
    # Adam's first step is the rate in the direction of the sign.
    adam = optimizer(name="adam", learning_rate=0.1)
    update, _ = adam.update(gradient, adam.init(params), params)
    np.testing.assert_allclose(update, [-0.1, 0.1], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "smoothing"), [*((name, 0.0) for name in LOSSES), ("softmax_cross_entropy", 0.1)]
)
def test_losses_are_float32_with_float64_enabled_too(name, smoothing):
    logits, labels = np.zeros((4, 3), np.float32), np.zeros(4, np.int32)
    with jax.enable_x64(True):
        loss = make_loss(name, label_smoothing=smoothing)(jnp.asarray(logits), jnp.asarray(labels))
    assert loss.dtype == jnp.float32


def test_the_average_is_of_the_parameters_after_the_update():
    rule, params = optimizer(name="sgd", learning_rate=0.5, average_decay=0.9), jnp.float32(1.0)
    _, state = rule.update(jnp.float32(1.0), rule.init(params), params)
    assert averaged(params, state) == pytest.approx(2 / 11 * 1.0 + 9 / 11 * 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_of_one_step_makes_it_at_the_peak(schedule):
    rule = optimizer(num_steps=1, name="sgd", learning_rate=1.0, schedule=schedule, warmup=0.9)
    update, _ = rule.update(jnp.float32(1), rule.init(jnp.float32(0)))
    assert float(update) == -1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_have_the_same_types_with_float64_enabled_too(name):
    params = {"kernel": np.zeros((3, 3, 8, 16), np.float32), "bias": np.zeros(16, np.float32)}

    def types():
        rule = optimizer(name=name, learning_rate=0.1, schedule="cosine", average_decay=0.9)
        state = rule.init(params)
        _, updated = rule.update(params, state, params)
        return [jax.tree.map(lambda leaf: leaf.dtype, of) for of in (state, updated)]

    with jax.enable_x64(True):
        of_wide = types()
    assert of_wide == types()
