"""Lookups in tables."""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, ArrayLike, Integer, Shaped


def look_up(
    table: Shaped[ArrayLike, "entries ..."], places: Integer[ArrayLike, "*places"]
) -> Shaped[Array, "..."]:
    """``table[places]``, sharded as the places are; the axes of an entry are not sharded.

    JAX does not take that for granted: with places sharded over an explicit mesh it is an error.
    """
    table, places = jnp.asarray(table), jnp.asarray(places)
    sharding = jax.typeof(places).sharding
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return table[places]
    # One place has an axis of its own: vmap makes it many, and JAX refuses those without.
    listed, of_entry = jnp.atleast_1d(places), [None] * (table.ndim - 1)
    spec = PartitionSpec(*jax.typeof(listed).sharding.spec, *of_entry)
    found = table.at[listed].get(out_sharding=sharding.update(spec=spec))
    return found if places.ndim else found[0]
