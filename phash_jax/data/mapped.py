"""Some rows of a memory-mapped file, in any order, without reading them."""

import math

import numpy as np
from jaxtyping import Bool, Int


class MappedRows:
    """Images of a memory-mapped file that are read when they are asked for.

    Has of an array what is needed of a dataset's images: ``shape``, ``dtype``, ``ndim``,
    ``nbytes``, ``len``, ``numpy.asarray``, and rows by a number, a slice or several numbers.

    Args:
        file: ``[M, ...]``, mapped.
        rows: which of them, in this order; a row may come twice.
    """

    def __init__(self, file: np.memmap, rows: Int[np.ndarray, " n"]):
        self.file, self.rows = file, rows
        self.shape = (len(rows), *file.shape[1:])
        self.dtype, self.ndim = file.dtype, file.ndim
        # As it would be in memory.
        self.nbytes = math.prod(self.shape) * file.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.file[self.rows[index]])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


Images = np.ndarray | MappedRows


def take_rows(images: Images, rows: Int[np.ndarray, " n"] | Bool[np.ndarray, " m"]) -> Images:
    """Some of the images: a copy, but of mapped files, which may be larger than memory.

    Args:
        images: ``[M, ...]``.
        rows: their numbers, in the order wanted, or whether each is wanted.
    """
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    if isinstance(images, MappedRows):
        return MappedRows(images.file, images.rows[rows])
    return MappedRows(images, rows) if isinstance(images, np.memmap) else images[rows]
