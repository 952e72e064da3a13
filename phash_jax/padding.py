"""Batches of one size, so that one compiled program serves the last of them too."""

import numpy as np


def padded(array: np.ndarray, length: int, *, value: int = 0) -> np.ndarray:
    """An array with as many more items at its end as make it so long.

    Args:
        array: ``[n, ...]`` of any dtype.
        length: n or more.
        value: what the new items are filled with.

    Returns:
        ``[length, ...]``, of the same dtype.
    """
    missing = [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)]
    return np.pad(array, missing, constant_values=value)
