"""The random keys of training: one for each use of a seed at a step, so a resume needs no state."""

import jax
from jaxtyping import Array, Int, Key

# Where data.seed is a training seed too, the first two are the keys that the drawn pictures of
# either split begin with. They draw other things in other shapes; another constant would change
# every training.
INIT, BATCH_INDICES, AUGMENT, DROPOUT = range(4)


def seed_key(seed: Int[Array, ""], use: int) -> Key[Array, ""]:
    """The key for one use of a seed, such as ``INIT``."""
    return jax.random.fold_in(jax.random.key(seed), use)


def step_key(seed: Int[Array, ""], use: int, step: Int[Array, ""]) -> Key[Array, ""]:
    """The key for one use of a seed at a step."""
    return jax.random.fold_in(seed_key(seed, use), step)
