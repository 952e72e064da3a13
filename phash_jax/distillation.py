"""Learning from a trained network's answers: knowledge distillation.

The teacher may see what the network does not: of a picture whose bits go into the network it may be
shown all values. Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network"
(2015), here at temperature 1; for what only the teacher sees, Lopez-Paz et al., "Unifying
distillation and privileged information" (2016); for teaching at every step, on the very crop that
the network is shown, Beyer et al., "Knowledge distillation: A good teacher is patient and
consistent" (2022).
"""

from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from phash_jax.losses import Teacher
from phash_jax.networks import Networks
from phash_jax.workdir import keep


def make_teacher(networks: Networks) -> Teacher:
    """From uint8 images to the probabilities that the first of some networks gives its outputs."""
    first = jax.tree.map(lambda leaf: np.asarray(leaf[0]), networks.variables)

    def teacher(images: UInt8[Array, "n h w c"]) -> Float[Array, "n k"]:
        return jax.nn.softmax(networks.logits(first, images, views=False))

    return teacher


def keep_teacher(workdir: Path, networks: Networks) -> None:
    """As ``workdir.keep``, in ``teacher.json``: who teaches stays the same."""
    now = {
        "workdir": str(networks.folder),
        "preprocess": networks.preprocess,
        "seed": networks.seeds[0],
        "step": networks.step,
        "sha256": networks.sha256,
    }
    what = f"the networks in {networks.folder} (train.teacher)"
    keep(workdir, "teacher.json", now, what=what)
