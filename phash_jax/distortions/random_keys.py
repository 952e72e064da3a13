"""Random draws that are the same as JAX's and faster on XLA:CPU."""

import functools
import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jaxtyping import Array, Float32, Key, UInt32

from phash_jax.fusion import apart

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def unrolled(key: Key[Array, ""]) -> Key[Array, ""]:
    """The same key, whose 32-bit draws are the same to the bit and come without a loop.

    On CPU jax 0.10 and 0.11 run the rounds of Threefry as a loop that XLA cannot fuse; written out
    they take a sixth of the time. For normal deviates see ``normal``. Keys of other generators than
    JAX's default are returned as they are.

    Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
    """
    is_default = jax.random.key_impl(key) == "threefry2x32"
    if not (is_default and jax.config.jax_threefry_partitionable):
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_UNROLLED)


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float32[Array, "..."]:
    """``jax.random.normal(key, shape)``, the same to the bit, as float32.

    On CPU a draw of the shape of a colour image takes a third of the time: in a loop over three
    channels XLA has no vector instructions for it.
    """
    return _normal(key, size=math.prod(shape)).reshape(shape)


@functools.partial(apart, static_argnames="size")
def _normal(key: Key[Array, ""], *, size: int) -> Float32[Array, " {size}"]:
    return jax.random.normal(unrolled(key), (size,), jnp.float32)


def _random_bits(key: UInt32[Array, "2"], bit_width: int, shape: tuple[int, ...]) -> Array:
    """32 random bits per value, as JAX's ``threefry_partitionable`` defines them."""
    count = math.prod(shape)
    if bit_width != 32 or count >= 2**32:
        return threefry_prng_impl.random_bits(key, bit_width, shape)
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    # The upper half of a 64-bit counter is 0.
    high = jnp.full(shape, keys[0])
    low = jax.lax.iota(jnp.uint32, count).reshape(shape) + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            high = high + low
            low = high ^ (low << rotation | low >> (32 - rotation))
        high = high + keys[(group + 1) % 3]
        low = low + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return high ^ low


_UNROLLED = define_prng_impl(
    key_shape=threefry_prng_impl.key_shape,
    seed=threefry_prng_impl.seed,
    split=threefry_prng_impl.split,
    fold_in=threefry_prng_impl.fold_in,
    random_bits=_random_bits,
    name="threefry2x32_unrolled",
    tag="unrolled",
)
