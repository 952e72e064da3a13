"""Distorting the images of a training batch, each share of it in another way."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32, Key, UInt8

from phash_jax.choices import names
from phash_jax.distortions import DISTORTIONS, Distortion, distortion_names
from phash_jax.placement import BATCH

CLEAN = "clean"
_MAX_SEVERITY = 5

Augment = Callable[[Key[Array, ""], UInt8[Array, "n h w c"]], UInt8[Array, "n h w c"]]


def augment_names(text: str) -> list[str]:
    """The names in ``config.train.augment``: "clean", distortions, and groups of them.

    Raises:
        ValueError: a name is unknown.
    """
    return [
        name
        for part in names(text)
        for name in ([CLEAN] if part == CLEAN else distortion_names(part, field="train.augment"))
    ]


def take_share(indices: Int32[Array, " batch"], *, parts: int) -> Int32[Array, " share"]:
    """The shard's own part of a batch that is to be augmented in ``parts`` ways.

    Shard s of n takes every n-th index from the s-th on, so that each shard has images of every
    part and the part of an image does not depend on how many shards there are.

    Raises:
        ValueError: the batch cannot be shared out equally among parts and shards.
    """
    shards = lax.axis_size(BATCH)
    if len(indices) % (parts * shards):
        raise ValueError(
            f"train.augment names {parts} ways and the batch is split over {shards} devices, so "
            f"train.batch_size must be a multiple of {parts * shards}, not {len(indices)}"
        )
    return indices.reshape(-1, shards)[:, lax.axis_index(BATCH)]


def make_augment(chosen: Sequence[str]) -> Augment:
    """Returns ``(key, images) -> images`` for one shard's share of a batch.

    The share is cut into as many equal parts as there are names, each distorted in its way; each
    image has its own key and its own severity, 1 to 5 with the same probability. Since batches are
    drawn at random, which images come into which part is random too.

    Args:
        chosen: from ``augment_names``, one or more.
    """

    def of_part(distortion: Distortion):
        def of_image(key, image):
            severity_key, draw_key = jax.random.split(key)
            severity = jax.random.randint(severity_key, (), 1, _MAX_SEVERITY + 1, jnp.int32)
            return distortion(draw_key, image, severity)

        return jax.vmap(of_image)

    def augment(key: Key[Array, ""], images: UInt8[Array, "n h w c"]) -> UInt8[Array, "n h w c"]:
        # Numbers in the whole batch, so that the draws do not depend on the shards either.
        shards = lax.axis_size(BATCH)
        numbers = jnp.arange(len(images)) * shards + lax.axis_index(BATCH)
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
        size = len(images) // len(chosen)
        parts = []
        for i, name in enumerate(chosen):
            part = slice(i * size, (i + 1) * size)
            if name == CLEAN:
                parts.append(images[part])
            else:
                parts.append(of_part(DISTORTIONS[name])(keys[part], images[part]))
        return jnp.concatenate(parts)

    return augment
