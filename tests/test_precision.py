"""Products of floats that decide pixels and bits are not left to an accelerator's default."""

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from phash_jax.augment import random_zoom
from phash_jax.distortions import DISTORTIONS
from phash_jax.hashing import HASHES
from phash_jax.preprocess import PREPROCESS

PRODUCTS = ("dot_general", "conv_general_dilated")
IMAGE = jax.ShapeDtypeStruct((16, 16, 3), jnp.uint8)
KEY = jax.eval_shape(lambda: jax.random.key(0))
SEVERITY = jax.ShapeDtypeStruct((), jnp.int32)
CALLS = {
    **{name: (hash_of, (IMAGE,)) for name, hash_of in HASHES.items()},
    **{name: (preprocess, (IMAGE,)) for name, preprocess in PREPROCESS.items()},
    **{name: (distort, (KEY, IMAGE, SEVERITY)) for name, distort in DISTORTIONS.items()},
    "random_zoom": (lambda key, image: random_zoom(key, image, max_zoom=0.2), (KEY, IMAGE)),
}


def products(jaxpr: Jaxpr):
    """All products of floats in a program and in those it calls."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS and jnp.issubdtype(
            equation.invars[0].aval.dtype, jnp.floating
        ):
            yield equation
        for inner in jax.tree.leaves(
            equation.params, is_leaf=lambda value: isinstance(value, ClosedJaxpr | Jaxpr)
        ):
            if isinstance(inner, ClosedJaxpr):
                yield from products(inner.jaxpr)
            elif isinstance(inner, Jaxpr):
                yield from products(inner)


@pytest.mark.parametrize("name", CALLS)
def test_every_product_of_floats_asks_for_the_highest_precision(name):
    of_one, arguments = CALLS[name]
    highest = jax.lax.Precision.HIGHEST
    for equation in products(jax.make_jaxpr(of_one)(*arguments).jaxpr):
        assert equation.params["precision"] in (highest, (highest, highest)), equation


def test_a_product_in_default_precision_is_found():
    found = list(products(jax.make_jaxpr(jax.jit(lambda x: x @ x))(jnp.eye(2)).jaxpr))
    assert [equation.params["precision"] for equation in found] == [None]
