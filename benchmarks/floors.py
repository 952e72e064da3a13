"""What a device can do at best, measured beside what is benchmarked.

Each function returns a function to be timed in the same rounds, and how much one call does.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# Population counts of one value before it goes back to memory.
_COUNTS_PER_VALUE = 256


def touch(images: jax.Array) -> tuple[Callable[[], None], int]:
    """Reads and writes every byte of a batch once, the least that a picture filter does.

    A hash writes next to nothing: where memory limits both, it may be up to twice as fast.
    """
    invert = jax.jit(lambda x: x ^ 255)
    return lambda: invert(images).block_until_ready(), images.nbytes


def multiply(side: int) -> tuple[Callable[[int], None], float]:
    """So many large float32 matrix products; the amount is the floating-point operations of one."""
    a = jax.random.normal(jax.random.key(0), (side, side))
    product = jax.jit(lambda a: a @ a)

    def run(count: int) -> None:
        # Begun one right after another, so that an accelerator does not wait for the next.
        for _ in range(count):
            last = product(a)
        last.block_until_ready()

    return run, 2.0 * side**3


def count_bits(number: int) -> tuple[Callable[[], None], int]:
    """Population counts of ``a ^ b`` for 32-bit words in registers, added up, on all devices.

    XLA:CPU may split the work of one device over several cores; the devices together have all.
    """
    mesh = jax.make_mesh((len(jax.devices()),), ("words",), axis_types=(AxisType.Auto,))
    words = jnp.arange(number // mesh.size * mesh.size, dtype=jnp.uint32)
    words = jax.device_put(words, NamedSharding(mesh, PartitionSpec("words")))

    @jax.jit
    def count(words):
        # A multiplicative hash, so that no two are alike.
        others = ((2_654_435_761 * k) % 2**32 for k in range(1, _COUNTS_PER_VALUE + 1))
        return sum(jax.lax.population_count(words ^ jnp.uint32(other)) for other in others)

    return lambda: count(words).block_until_ready(), words.size * _COUNTS_PER_VALUE
