"""The user's own images: an .npz of arrays, a folder of .npy arrays, or of PNG and JPEG files."""

import warnings
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import UInt8
from PIL import Image, ImageOps
from tqdm import tqdm

from phash_jax.data.dataset import Dataset, Split

SPLITS = ("train", "test")
EXTENSIONS = (".png", ".jpg", ".jpeg")
_WANTED = tuple(f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels"))


def load(*, path: str, image_size: int, class_names: Sequence[str] = ()) -> Dataset:
    """Reads ``path``: an .npz file by ``load_npz``, a folder by ``load_npy`` or ``load_folder``.

    Args:
        path: the file or folder.
        image_size: side in pixels that pictures of a folder are resized to; the images of arrays
            keep their size.
        class_names: names of the labels 0, 1, ... of arrays. A folder of pictures names its own
            classes; empty, or exactly those.

    Raises:
        FileNotFoundError: there is nothing at ``path``, or a folder without its splits.
        ValueError: neither an .npz nor a folder, or what the three functions refuse.
    """
    if not path:
        raise ValueError(
            "data.path is empty: name an .npz file or a folder with <split>/<class>/*.png or *.jpg"
        )
    place = Path(path).expanduser()
    if any((place / f"{name}.npy").exists() for name in _WANTED):
        return load_npy(root=str(place), class_names=class_names)
    if place.is_dir():
        dataset, _ = load_folder(root=str(place), image_size=image_size)
        if class_names and tuple(class_names) != dataset.class_names:
            raise ValueError(
                f"{place} has the classes {_listed(dataset.class_names)}, "
                f"not {_listed(class_names)}: a folder names its own classes"
            )
        return dataset
    if not place.exists():
        raise FileNotFoundError(
            f"data.path {path} does not exist: name an .npz file or a folder with "
            "<split>/<class>/*.png or *.jpg"
        )
    if place.suffix.lower() == ".npz":
        return load_npz(path=str(place), class_names=class_names)
    raise ValueError(
        f"data.path {path} is neither a folder nor a file that ends in .npz: save the arrays with "
        "numpy.savez, or put the pictures into <split>/<class>/"
    )


def load_npz(*, path: str, class_names: Sequence[str] = ()) -> Dataset:
    """Reads ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.

    Images are uint8 ``[N, H, W, 3]``, RGB, 0 to 255, of one size in both splits; labels are
    integers ``[N]``, counted from 0. Object arrays (pickles) are never loaded.

    Args:
        path: a file that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.
        class_names: what the labels mean. Empty: the file's own array ``class_names`` (text,
            ``[K]``), else the numbers from 0 to the largest training label.

    Returns:
        The dataset, in the order of the file; the ids are ``train_00000`` and so on.

    Raises:
        ValueError: the file or one of its arrays is not as described; the message names it, what
            was found and what is wanted.
    """
    arrays = _read_arrays(path, (*_WANTED, "class_names"))
    missing = [name for name in _WANTED if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} holds no {_listed(missing)}: it must hold {_listed(_WANTED)}, "
            "saved by name with numpy.savez"
        )
    return _as_dataset(path, arrays, class_names)


def load_npy(*, root: str, class_names: Sequence[str] = ()) -> Dataset:
    """Maps ``train_images.npy``, ``train_labels.npy``, ``test_images.npy``, ``test_labels.npy``.

    As ``load_npz``, but images stay in their files, which may be larger than the memory: what a
    step needs is read when it is needed. ``class_names.npy`` is optional.

    Args:
        root: the folder that holds them.
        class_names: as for ``load_npz``.

    Raises:
        ValueError: a file is missing, damaged or not as described; the message names it.
    """
    arrays = {}
    for name in (*_WANTED, "class_names"):
        file = Path(root) / f"{name}.npy"
        if name == "class_names" and not file.exists():
            continue
        try:
            arrays[name] = np.load(
                file, mmap_mode="r" if name.endswith("images") else None, allow_pickle=False
            )
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(
                f"{file} is missing or damaged ({error}): the folder must hold "
                f"{_listed([f'{wanted}.npy' for wanted in _WANTED])}, written with numpy.save"
            ) from error
    return _as_dataset(root, arrays, class_names)


def _as_dataset(path: str, arrays: dict[str, np.ndarray], class_names: Sequence[str]) -> Dataset:
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
            f"{sizes[1][0]} x {sizes[1][1]} pixels: they must have one size"
        )
    names = _class_names(path, arrays, class_names)
    for split in SPLITS:
        labels = np.unique(arrays[f"{split}_labels"])
        outside = [int(label) for label in labels if not 0 <= label < len(names)]
        if outside:
            raise ValueError(
                f"{split}_labels in {path} has {_listed(outside)}: labels must lie between 0 and "
                f"{len(names) - 1}, for the {len(names)} classes {_listed(names)}"
            )

    def split_of(name: str) -> Split:
        images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"].astype(np.int32)
        return Split(images, labels, np.array([f"{name}_{i:05d}" for i in range(len(labels))]))

    return Dataset(split_of("train"), split_of("test"), names)


def _listed(values: Sequence[object]) -> str:
    shown = ", ".join(str(value) for value in values[:10])
    return f"{shown}, ... ({len(values)} in all)" if len(values) > 10 else shown


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
        raise ValueError(f"{_listed(unnamed)} in {path} is no array: save it with numpy.savez")
    return arrays


def _check_images(what: str, images: np.ndarray) -> None:
    found = f"{what} is {images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8:
        raise ValueError(f"{found}, wanted uint8 [N, H, W, 3]: store the values 0 to 255 as uint8")
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 1):
        raise ValueError(
            f"{found}, wanted uint8 [N, H, W, 3]: repeat grey values for the three channels, with "
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


def _class_names(
    path: str, arrays: dict[str, np.ndarray], class_names: Sequence[str]
) -> tuple[str, ...]:
    if class_names:
        names = tuple(class_names)
    elif "class_names" in arrays:
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
        raise ValueError(f"class_names of {path} has {_listed(repeated)} more than once")
    return names


def load_folder(
    *, root: str, image_size: int, num_threads: int = 4
) -> tuple[Dataset, tuple[str, ...]]:
    """Reads the PNG and JPEG files ``root/<split>/<class>/*``, splits ``train`` and ``test``.

    The classes are the folders of ``train``, sorted by name; ``test`` must have the same. Files
    are taken in the order of their names; those that end otherwise than in .png, .jpg or .jpeg (in
    any case), and names that begin with a dot, are passed over. A picture is turned as its EXIF
    orientation says, converted to RGB (transparency is dropped, not blended) and, if it is not
    ``image_size`` x ``image_size``, stretched to that, without keeping its aspect ratio, by
    Pillow's bilinear filter, which averages over the covered area when it shrinks.

    Files that cannot be read (damaged, empty, neither PNG nor JPEG inside, grey of more than 8
    bits, or so large that Pillow takes them for a decompression bomb) are left out and listed, in
    the log and in what is returned.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        num_threads: files decoded at a time.

    Returns:
        The dataset, whose ids are paths relative to ``root``, and "path: reason" for each file
        left out.

    Raises:
        FileNotFoundError: a split's folder is missing.
        ValueError: ``image_size`` below 1, no classes, other classes in ``test`` than in
            ``train``, or a class without one readable image.
    """
    if image_size < 1:
        raise ValueError(f"data.image_size must be 1 pixel or more, got {image_size}")
    place = Path(root)
    classes = {split: _class_folders(place, split) for split in SPLITS}
    if not classes["train"]:
        raise ValueError(f"{place / 'train'} holds no folder: wanted one per class")
    for split, other in (("train", "test"), ("test", "train")):
        alone = [name for name in classes[split] if name not in classes[other]]
        if alone:
            raise ValueError(
                f"{place / split} has the classes {_listed(alone)}, which {place / other} lacks: "
                "both splits must have the same"
            )
    train, skipped_train = _read_split(place, "train", classes["train"], image_size, num_threads)
    test, skipped_test = _read_split(place, "test", classes["train"], image_size, num_threads)
    skipped = skipped_train + skipped_test
    if skipped:
        logging.warning(
            "%d of %d image files in %s cannot be read and are left out:\n  %s",
            len(skipped),
            len(skipped) + len(train) + len(test),
            place,
            "\n  ".join(skipped),
        )
    return Dataset(train, test, classes["train"]), skipped


def _class_folders(root: Path, split: str) -> tuple[str, ...]:
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is missing: {root} must hold train/<class>/ and test/<class>/ with "
            "*.png or *.jpg files"
        )
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(name for name in names if not name.startswith(".")))


def _read_split(
    root: Path, split: str, classes: tuple[str, ...], image_size: int, num_threads: int
) -> tuple[Split, tuple[str, ...]]:
    files, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(
            path
            for path in (root / split / name).iterdir()
            if path.suffix.lower() in EXTENSIONS
            and not path.name.startswith(".")
            and not path.is_dir()
        )
        files += found
        labels += [label] * len(found)
    ids = [path.relative_to(root).as_posix() for path in files]
    images = np.zeros((len(files), image_size, image_size, 3), np.uint8)
    labels = np.array(labels, np.int32)

    def decode(i: int) -> str:
        """Fills ``images[i]``, or says why that cannot be done."""
        try:
            images[i] = _decode(files[i], image_size)
        # Pillow's decoders raise what they come across: OSError, SyntaxError, struct.error, ...
        except Exception as error:
            return f"{ids[i]}: {error or type(error).__name__}"
        return ""

    # Filters of warnings are shared by all threads, so they are set once, outside.
    with warnings.catch_warnings(), ThreadPoolExecutor(num_threads) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Of a damaged EXIF block or a dropped transparency: the picture can be read all the same.
        warnings.simplefilter("ignore", UserWarning)
        problems = list(
            tqdm(
                pool.map(decode, range(len(files))),
                total=len(files),
                desc=f"{root.name} {split}",
                unit="image",
                disable=None,
            )
        )
    kept = np.array([not problem for problem in problems], bool)
    skipped = tuple(problem for problem in problems if problem)
    counts = np.bincount(labels[kept], minlength=len(classes))
    for label, name in enumerate(classes):
        if not counts[label]:
            unreadable = [p for p, of in zip(problems, labels, strict=True) if of == label]
            raise ValueError(
                f"class {name} has no image in {root / split / name}: "
                + (
                    f"none of its {len(unreadable)} files can be read ({unreadable[0]})"
                    if unreadable
                    else f"wanted files that end in {_listed(EXTENSIONS)}"
                )
            )
    return Split(images[kept], labels[kept], np.array(ids)[kept]), skipped


def _decode(path: Path, image_size: int) -> UInt8[np.ndarray, "size size 3"]:
    # Only these two: by content Pillow would open many formats, one by running Ghostscript.
    with Image.open(path, formats=("PNG", "JPEG")) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(
                f"grey of more than 8 bits (Pillow mode {image.mode}): save it as 8 bits"
            )
        image = ImageOps.exif_transpose(image).convert("RGB")
    if image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image)
