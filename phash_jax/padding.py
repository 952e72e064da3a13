"""Batches of one size, so that one compiled program serves the last of them too."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from phash_jax.data.mapped import Images


def padded(array: np.ndarray, length: int, *, value: int = 0) -> np.ndarray:
    """An array extended at its end to a length.

    Args:
        array: ``[n, ...]`` of any dtype.
        length: n or more.
        value: what the new items are filled with.

    Returns:
        ``[length, ...]``, of the same dtype.
    """
    missing = [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)]
    return np.pad(array, missing, constant_values=value)


def in_batches(function: Callable, images: Images, *, size: int) -> Iterator[Any]:
    """The results of a jitted function, batch by batch on the host, without those of the padding.

    Args:
        function: ``(images, numbers) -> tree`` of arrays with an item per image; ``numbers``, int32
            ``[size]``, are the places of the images among all.
        images: ``[n, ...]``, one or more.
        size: of a batch, to which the last one is padded.
    """
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        numbers = np.arange(start, start + size, dtype=np.int32)
        made = jax.device_get(function(padded(batch, size), numbers))
        kept = slice(len(batch))
        yield jax.tree.map(lambda array, kept=kept: array[kept], made)
