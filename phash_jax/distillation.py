"""Learning from the answers of trained networks: knowledge distillation.

A teacher may see what the network does not: all values of an image of which the network is given
only bits. Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network"
(2015), here at temperature 1; for what only the teacher sees, Lopez-Paz et al., "Unifying
distillation and privileged information" (2016); for teaching at every step, on the very crop that
the network is shown, Beyer et al., "Knowledge distillation: A good teacher is patient and
consistent" (2022). Where several networks teach in turn, one at each step, the loss is on average
that against the mean of their answers.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from phash_jax.losses import Teacher
from phash_jax.networks import Networks
from phash_jax.workdir import keep


def make_teacher(networks: Networks, *, count: int) -> Teacher:
    """A function from uint8 images and a step to the probabilities that one of the networks gives.

    Args:
        networks: of one run.
        count: how many of them, from the first on, teach in turn from step to step; 1 or more.

    Raises:
        ValueError: there are not so many.
    """
    if count > len(networks.seeds):
        raise ValueError(
            f"train.teachers is {count}, but there are only {len(networks.seeds)} networks in "
            f"{networks.folder}"
        )
    # Constants of the program, not arguments: on the host until it is compiled.
    variables = jax.tree.map(lambda leaf: np.asarray(leaf[:count]), networks.variables)

    def teacher(images: UInt8[Array, "n h w c"], step: Int[Array, ""]) -> Float[Array, "n k"]:
        # Each seed has its own step: over seeds at once, indexing would copy even a single network.
        turn = step % count if count > 1 else 0
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[turn], variables)
        return jax.nn.softmax(networks.logits(one, images, views=False))

    return teacher


def keep_teacher(workdir: Path, networks: Networks, *, count: int) -> None:
    """As ``workdir.keep``, in ``teacher.json``: the teachers must stay the same."""
    now = {
        "workdir": str(networks.folder),
        "preprocess": networks.preprocess,
        "seeds": networks.seeds[:count],
        "step": networks.step,
        "sha256": networks.sha256,
    }
    what = f"the networks in {networks.folder} (train.teacher)"
    keep(workdir, "teacher.json", now, what=what)
