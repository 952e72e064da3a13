"""Classification losses of one batch, before the mean."""

from collections.abc import Callable

import jax
import optax
from jaxtyping import Array, Float, Int

Loss = Callable[[Float[Array, "n k"], Int[Array, " n"]], Float[Array, " n"]]


def sigmoid_cross_entropy(
    logits: Float[Array, "n k"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    """One-vs-all: the sum over outputs of each one's own binary cross-entropy, nats."""
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": optax.softmax_cross_entropy_with_integer_labels,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "hinge": optax.losses.multiclass_hinge_loss,
}
