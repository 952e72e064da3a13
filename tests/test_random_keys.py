"""Draws are to the bit those of JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phash_jax.distortions.random_keys import normal, unrolled

DRAWS = {
    "bits": lambda key: jax.random.bits(key, (5, 7)),
    "16 bits": lambda key: jax.random.bits(key, (5, 7), jnp.uint16),
    "one value": lambda key: jax.random.uniform(key, ()),
    "no value": lambda key: jax.random.bits(key, (0, 3)),
    "normal": lambda key: jax.random.normal(key, (32, 32, 3)),
    "split": lambda key: jax.random.uniform(jax.random.split(key)[1], (4,), minval=-1),
    "folded in": lambda key: jax.random.bits(jax.random.fold_in(key, 3), (4,)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_unrolled_keys_draw_the_same(name):
    draw, key = DRAWS[name], jax.random.key(2**40 + 1)
    assert (draw(unrolled(key)) == draw(key)).all()
    keys = jax.random.split(key, 3)
    mapped = jax.jit(jax.vmap(lambda key: draw(unrolled(key))))(keys)
    assert (mapped == jax.vmap(draw)(keys)).all()


@pytest.mark.parametrize(
    ("impl", "shape"),
    [*(("threefry2x32", shape) for shape in ((32, 32, 3), (7, 5), (0, 3), ())), ("rbg", (7, 5))],
)
def test_normal_deviates_are_the_same(impl, shape):
    keys = jax.random.split(jax.random.key(7, impl=impl), 3)
    expected = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
    of_keys = jax.vmap(lambda key: normal(key, shape))
    for drawn in (of_keys(keys), jax.jit(of_keys)(keys)):
        assert drawn.dtype == jnp.float32
        np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(normal(keys[0], shape), jax.random.normal(keys[0], shape))
    with jax.threefry_partitionable(False):
        np.testing.assert_array_equal(normal(keys[0], shape), jax.random.normal(keys[0], shape))


def test_other_generators_stay_as_they_are():
    key = jax.random.key(0, impl="rbg")
    assert jax.random.key_impl(unrolled(key)) == "rbg"


def test_without_partitionable_draws_a_key_stays_as_it_is():
    key = jax.random.key(0)
    with jax.threefry_partitionable(False):
        assert jax.random.key_impl(unrolled(key)) == jax.random.key_impl(key)
