"""The random keys of training: one for each use of a seed at a step, so a resume needs no state."""

import jax
from jaxtyping import Array, Int, Key

# If data.seed is a training seed too, the first two are also the keys from which the generated
# pictures of the two splits start. They draw different things in different shapes, and other
# constants would change every training.
INIT, BATCH_INDICES, AUGMENT, DROPOUT = range(4)


def seed_key(seed: Int[Array, ""], use: int) -> Key[Array, ""]:
    """The key for one use of a seed, such as ``INIT``; the same for any jax_default_prng_impl."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), use)


def step_key(seed: Int[Array, ""], use: int, step: Int[Array, ""]) -> Key[Array, ""]:
    """The key for one use of a seed at a step."""
    return jax.random.fold_in(seed_key(seed, use), step)
