"""Datasets from the user's own arrays: an .npz file, or a folder of .npy files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phash_jax.data.dataset import SPLITS, Dataset, Split
from phash_jax.errors import listed

WANTED = tuple(f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels"))


def load_npz(*, path: str) -> Dataset:
    """Reads ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.

    Images are uint8 ``[N, H, W, 3]``, RGB, 0 to 255, of one size in both splits; labels are
    integers ``[N]``, counted from 0. The class names are in an array ``class_names``, text ``[K]``;
    without it, they are the numbers from 0 to the largest training label. Object arrays (pickles)
    are never loaded.

    Args:
        path: a file that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.

    Returns:
        The dataset, in the order of the file; the ids are ``train_00000`` and so on.

    Raises:
        ValueError: the file or one of its arrays is not as described; the message names it, what
            was found and what is wanted.
    """
    arrays = _read_arrays(path, (*WANTED, "class_names"))
    missing = [name for name in WANTED if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} holds no {listed(missing)}: it must hold {listed(WANTED)}, "
            "saved by name with numpy.savez"
        )
    return _as_dataset(path, arrays)


def load_npy(*, root: str) -> Dataset:
    """Memory-maps ``train_images.npy`` and ``test_images.npy``, and reads ``*_labels.npy``.

    As ``load_npz``, but images stay in their files, which may be larger than memory: what a step
    needs is read when it is needed. ``class_names.npy`` is optional.

    Args:
        root: the folder that holds them.

    Raises:
        ValueError: a file is missing, damaged or not as described; the message names it.
    """
    arrays = {}
    for name in (*WANTED, "class_names"):
        file = Path(root) / f"{name}.npy"
        if name == "class_names" and not file.exists():
            continue
        try:
            arrays[name] = np.load(
                file, mmap_mode="r" if name.endswith("images") else None, allow_pickle=False
            )
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise ValueError(
                f"{file} is missing or damaged ({error}): the folder must hold "
                f"{listed([f'{wanted}.npy' for wanted in WANTED])}, written with numpy.save"
            ) from error
    return _as_dataset(root, arrays)


def _as_dataset(path: str, arrays: dict[str, np.ndarray]) -> Dataset:
    """The dataset of arrays by name, after a check of each; ``path`` is for messages."""
    for split in SPLITS:
        _check_images(f"{split}_images in {path}", arrays[f"{split}_images"])
        _check_labels(f"{split}_labels in {path}", arrays[f"{split}_labels"])
        num_images, num_labels = (len(arrays[f"{split}_{kind}"]) for kind in ("images", "labels"))
        if num_images != num_labels:
            raise ValueError(
                f"{path} has {num_images} {split}_images and {num_labels} {split}_labels: "
                "there must be one label per image"
            )
    sizes = [arrays[f"{split}_images"].shape[1:3] for split in SPLITS]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{path} has train_images of {sizes[0][0]} x {sizes[0][1]} and test_images of "
            f"{sizes[1][0]} x {sizes[1][1]} pixels: they must have the same size"
        )
    names = _class_names(path, arrays)
    for split in SPLITS:
        labels = np.unique(arrays[f"{split}_labels"])
        outside = [int(label) for label in labels if not 0 <= label < len(names)]
        if outside:
            raise ValueError(
                f"{split}_labels in {path} has {listed(outside)}: labels must lie between 0 and "
                f"{len(names) - 1}, for the {len(names)} classes {listed(names)}"
            )

    def split_of(name: str) -> Split:
        images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"].astype(np.int32)
        return Split(images, labels, np.array([f"{name}_{i:05d}" for i in range(len(labels))]))

    return Dataset(split_of("train"), split_of("test"), names)


def _read_arrays(path: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not an .npz file, or is cut short: save the arrays with numpy.savez"
        )
    arrays = {}
    name = "its list of arrays"
    try:
        # NumPy leaves a file open that it opened itself and cannot make sense of.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            for name in names:
                if name in file:
                    arrays[name] = file[name]
    # What damage raises depends on which byte is hit: zipfile, zlib and the parser of the array's
    # header have half a dozen types of error between them.
    except Exception as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{name} in {path} is an object array, which could run code when loaded, and is "
                "not read: save an array of one dtype and shape"
            ) from error
        raise ValueError(
            f"{path} is damaged: {name} cannot be read ({error or type(error).__name__}); "
            "save it again"
        ) from error
    unnamed = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if unnamed:
        raise ValueError(f"{listed(unnamed)} in {path} is not an array: save it with numpy.savez")
    return arrays


def _check_images(what: str, images: np.ndarray) -> None:
    found = f"{what} is {images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8:
        raise ValueError(f"{found}, wanted uint8 [N, H, W, 3]: store the values 0 to 255 as uint8")
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 1):
        raise ValueError(
            f"{found}, wanted uint8 [N, H, W, 3]: repeat gray values for the three channels, with "
            "numpy.repeat(images.reshape(N, H, W, 1), 3, axis=3)"
        )
    if images.ndim == 4 and images.shape[3] != 3 and images.shape[1] == 3:
        raise ValueError(
            f"{found}, wanted uint8 [N, H, W, 3]: put the channels last, with "
            "images.transpose(0, 2, 3, 1)"
        )
    if images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"{found}, wanted uint8 [N, H, W, 3], RGB")
    if not images.size:
        raise ValueError(f"{found}: it holds no image")


def _check_labels(what: str, labels: np.ndarray) -> None:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise ValueError(
            f"{what} is {labels.dtype} {list(labels.shape)}, wanted integers [N], counted from 0"
        )


def _class_names(path: str, arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    if "class_names" in arrays:
        array = arrays["class_names"]
        if array.dtype.kind != "U" or array.ndim != 1 or not array.size:
            raise ValueError(
                f"class_names in {path} is {array.dtype} {list(array.shape)}, wanted text [K], "
                'such as numpy.array(["cat", "dog"])'
            )
        names = tuple(str(name) for name in array)
    else:
        # Labels that run into the thousands are a mistake, which a list of as many made-up names
        # would hide.
        largest = int(arrays["train_labels"].max())
        if largest >= 1000:
            raise ValueError(
                f"train_labels in {path} goes up to {largest}: with more than 1000 classes, store "
                "their names in class_names"
            )
        names = tuple(str(label) for label in range(largest + 1))
        if not names:
            raise ValueError(f"train_labels in {path} has only negative values: count from 0")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"class_names of {path} has {listed(repeated)} more than once")
    return names
