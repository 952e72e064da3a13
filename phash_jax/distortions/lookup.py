"""Lookups in tables."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Integer, Shaped


def look_up(
    table: Shaped[ArrayLike, " entries"], places: Integer[ArrayLike, "*places"]
) -> Shaped[Array, "*places"]:
    """``table[places]``, sharded as the places are.

    JAX does not take that for granted: with places sharded over an explicit mesh it is an error.
    """
    return jnp.asarray(table).at[places].get(out_sharding=jax.typeof(places).sharding)
