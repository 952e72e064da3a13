"""Classification losses of one batch, before the mean."""

from collections.abc import Callable

import jax
import optax
from jaxtyping import Array, Float, Int, UInt8

from phash_jax.checks import choose, within

# From uint8 images and the step of the network being taught to a trained network's probabilities
# of the outputs.
Teacher = Callable[[UInt8[Array, "n h w c"], Int[Array, ""]], Float[Array, "n k"]]
Loss = Callable[[Float[Array, "n k"], Int[Array, " n"]], Float[Array, " n"]]


def sigmoid_cross_entropy(
    logits: Float[Array, "n k"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    """One-vs-all: the sum over outputs of each one's own binary cross-entropy, nats."""
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


def hinge(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Multiclass: by how much the highest other logit plus 1 is above the label's own, or 0."""
    # Optax computes it in 64 bits where these are enabled.
    return optax.losses.multiclass_hinge_loss(logits, labels).astype(logits.dtype)


def smoothed_cross_entropy(label_smoothing: float) -> Loss:
    """Softmax cross-entropy against targets with a share spread over all outputs, nats."""

    def loss(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
        one_hot = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        targets = optax.smooth_labels(one_hot, label_smoothing)
        return optax.softmax_cross_entropy(logits, targets)

    return loss


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": optax.softmax_cross_entropy_with_integer_labels,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "hinge": hinge,
}


def make_loss(name: str, *, label_smoothing: float) -> Loss:
    """The loss of each image by its name in ``LOSSES``.

    Raises:
        ValueError: the name is unknown, or smoothing is out of range or not for this loss.
    """
    loss = choose(LOSSES, name, "loss")
    if not label_smoothing:
        return loss
    if name != "softmax_cross_entropy":
        raise ValueError(f"label_smoothing is for loss=softmax_cross_entropy only, not {name}")
    within(0, 1, label_smoothing, "label_smoothing", below=True)
    return smoothed_cross_entropy(label_smoothing)


def with_teacher(
    loss: Float[Array, " n"],
    logits: Float[Array, "n k"],
    taught: Float[Array, "n k"],
    *,
    share: float,
) -> Float[Array, " n"]:
    """The loss of each image, mixed with the cross-entropy against a teacher's probabilities.

    Args:
        loss: against the labels, nats.
        logits: of the network.
        taught: the teacher's probabilities.
        share: of the teacher in the sum, 0 to 1.
    """
    return (1 - share) * loss + share * optax.softmax_cross_entropy(logits, taught)
