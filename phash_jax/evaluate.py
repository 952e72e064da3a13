"""Logits of trained networks on a test set, clean or distorted."""

import itertools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PyTree, UInt8

from phash_jax.augment import check_smaller
from phash_jax.data.dataset import Split
from phash_jax.model import ConvNet
from phash_jax.optimizers import averaged
from phash_jax.padding import padded
from phash_jax.placement import BATCH, SEED, Placement, over_seeds, put, split_groups, to_host
from phash_jax.preprocess import Preprocess


def views(
    images: UInt8[Array, "n h w c"], *, flip: bool, shift: int
) -> UInt8[Array, "views n h w c"]:
    """The images themselves, then the other views that ``predict`` averages over.

    Args:
        images: uint8 images.
        flip: mirror every view, left to right.
        shift: shift the images by so many pixels along each of the four diagonals; what comes in
            at the border is the image reflected, as in ``augment.random_move``. 0: do not.

    Raises:
        ValueError: the images are not larger than ``shift``.
    """
    seen = [images]
    check_smaller(shift, images.shape[1:], "test_shift")
    if shift:
        height, width = images.shape[1:3]
        margin = (shift, shift)
        wider = jnp.pad(images, ((0, 0), margin, margin, (0, 0)), mode="reflect")
        corners = itertools.product((0, 2 * shift), repeat=2)
        seen += [wider[:, top : top + height, left : left + width] for top, left in corners]
    if flip:
        seen += [view[:, :, ::-1] for view in seen]
    return jnp.stack(seen)


def predict(
    model: ConvNet,
    preprocess: Preprocess,
    variables: PyTree[Array],
    images: UInt8[Array, "n h w c"],
    *,
    test_flip: bool,
    test_shift: int,
) -> Float[Array, "n outputs"]:
    """Logits of one network for uint8 images, the mean over their ``views``."""

    def of(images):
        return model.apply(variables, jax.vmap(preprocess)(images), train=False)

    # One after another: all at once would take as many times the memory.
    return lax.map(of, views(images, flip=test_flip, shift=test_shift)).mean(0)


def make_predict(
    model: ConvNet,
    preprocess: Preprocess,
    distort: Callable,
    placement: Placement,
    *,
    test_flip: bool = False,
    test_shift: int = 0,
) -> Callable:
    """Returns a jitted ``(group, images) -> logits`` for a group of seeds.

    Distortion, preprocessing and network are one program: ``images`` are uint8 ``[N, H, W, 3]``,
    the logits float32 ``[seeds, N, outputs]``.
    """

    def of_seed(state, images):
        variables = {
            "params": averaged(state.params, state.opt_state),
            "batch_stats": state.batch_stats,
        }
        return predict(
            model,
            preprocess,
            variables,
            jax.vmap(distort)(images),
            test_flip=test_flip,
            test_shift=test_shift,
        )

    return jax.jit(
        over_seeds(
            of_seed,
            placement,
            other_specs=(PartitionSpec(BATCH),),
            out_specs=PartitionSpec(SEED, BATCH),
        )
    )


def predict_split(
    predict_group: Callable, state, split: Split, placement: Placement, *, batch_size: int
) -> np.ndarray:
    """Logits of every image of ``split`` for every seed.

    Args:
        predict_group: from ``make_predict``.
        state: TrainState stacked over seeds.
        split: the images; the last batch is padded and the padding's answers dropped.
        placement: the layout ``state`` was trained with.
        batch_size: images in a batch, rounded up to a multiple of the batch shards.

    Returns:
        float32 ``[seeds, N, outputs]``.
    """
    shards = placement.mesh.shape[BATCH]
    batch_size = math.ceil(min(batch_size, len(split)) / shards) * shards
    groups = split_groups(state, placement)
    predicted = []
    for start in range(0, len(split), batch_size):
        images = split.images[start : start + batch_size]
        kept = len(images)
        images = put(padded(images, batch_size), placement.sharding(BATCH))
        logits = [to_host(predict_group(group, images)) for group in groups]
        predicted.append(np.concatenate(logits)[:, :kept])
    return np.concatenate(predicted, 1)


def accuracies(
    logits: Mapping[str, Float[np.ndarray, "seeds n outputs"]], labels: Int[np.ndarray, " n"]
) -> dict[str, list[float]]:
    """For each test set the share of images that each seed's network is right about, 0 to 1."""
    return {name: (of.argmax(-1) == labels).mean(1).tolist() for name, of in logits.items()}
