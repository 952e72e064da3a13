"""What is kept apart from what XLA:CPU would fuse it with."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phash_jax.fusion import apart


@functools.partial(apart, static_argnames="power")
def raised(values, factors, *, power):
    return {"raised": factors * values**power}


def ours(values):
    return jnp.sqrt(raised(values, (jnp.arange(4.0) + 2), power=3)["raised"])


def theirs(values):
    return jnp.sqrt((jnp.arange(4.0) + 2) * values**3)


@pytest.mark.parametrize("of", [lambda f: f, jax.jit, lambda f: jax.jit(jax.vmap(f))])
def test_the_values_are_the_same(of):
    values = jnp.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(of(ours)(values), theirs(values), rtol=1e-6)


def test_a_program_on_cpu_computes_it_by_a_call():
    values = jnp.ones((3, 4))
    programs = [jax.jit(jax.vmap(f)).lower(values).compile().as_text() for f in (ours, theirs)]
    assert [" call(" in program for program in programs] == [True, False]


def test_programs_of_other_platforms_are_as_without():
    traced = jax.jit(ours).trace(jnp.ones((3, 4)))
    texts = {
        name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda", "tpu")
    }
    assert [name for name, text in texts.items() if "inlineable" in text] == ["cpu"]


def test_in_eager_code_it_is_compiled_once(caplog):
    values, others = jnp.arange(5.0), jnp.ones(5)
    raised(values, values, power=2)
    with jax.log_compiles(True):
        raised(others, values, power=2)
    assert not [record for record in caplog.records if "Compiling" in record.message]
