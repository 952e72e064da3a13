"""Datasets from the user's own folder of PNG and JPEG files."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import UInt8
from PIL import Image, ImageOps
from tqdm import tqdm

from phash_jax.data.dataset import SPLITS, Dataset, Split
from phash_jax.errors import listed
from phash_jax.pictures import readable

EXTENSIONS = (".png", ".jpg", ".jpeg")
_THREADS = 4
# Held while Python's filters of warnings, which all threads share, are not those of the caller.
_FILTERS = threading.Lock()


def load_folder(*, root: str, image_size: int) -> Dataset:
    r"""Reads the PNG and JPEG files ``root/<split>/<class>/*``, splits ``train`` and ``test``.

    The classes are the folders of ``train``, sorted by name; ``test`` must have the same. Files
    are taken in the order of their names; names that do not end in .png, .jpg or .jpeg (upper or
    lower case), or that begin with a dot, are passed over. A picture is turned as its EXIF
    orientation says, converted to RGB (transparency is dropped, not blended) and, if it is not
    ``image_size`` x ``image_size``, stretched to that, without keeping its aspect ratio, by
    Pillow's bilinear filter, which averages over the covered area when it shrinks.

    Files that cannot be read (damaged, empty, neither PNG nor JPEG inside, gray of more than 8
    bits, or so large that Pillow takes them for a decompression bomb) are left out and listed in
    the log, each with the reason.

    Args:
        root: the folder.
        image_size: side of the images in pixels.

    Returns:
        The dataset, whose ids are paths relative to ``root``; bytes that are not UTF-8 are written
        as ``\xNN``.

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
    for split, other in zip(SPLITS, reversed(SPLITS), strict=True):
        alone = [name for name in classes[split] if name not in classes[other]]
        if alone:
            raise ValueError(
                f"{place / split} has the classes {listed(alone)}, which {place / other} lacks: "
                "both splits must have the same"
            )
    train, skipped_train = _read_split(place, "train", classes["train"], image_size)
    test, skipped_test = _read_split(place, "test", classes["train"], image_size)
    skipped = skipped_train + skipped_test
    if skipped:
        logging.warning(
            "%d of %d image files in %s cannot be read and are left out:\n  %s",
            len(skipped),
            len(skipped) + len(train) + len(test),
            place,
            "\n  ".join(skipped),
        )
    return Dataset(train, test, classes["train"])


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
    root: Path, split: str, classes: tuple[str, ...], image_size: int
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
    ids = [readable(path.relative_to(root).as_posix()) for path in files]
    images = np.zeros((len(files), image_size, image_size, 3), np.uint8)
    labels = np.array(labels, np.int32)

    def decode(i: int) -> str:
        """Fills ``images[i]``, or says why that cannot be done."""
        try:
            images[i] = _decode(files[i], image_size)
        # Pillow's decoders raise errors of many kinds: OSError, SyntaxError, struct.error, ...
        except Exception as error:
            return f"{ids[i]}: {error or type(error).__name__}"
        return ""

    # Set once, outside of the threads that decode.
    with _FILTERS, warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
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
                    else f"wanted files that end in {listed(EXTENSIONS)}"
                )
            )
    # A copy would take twice the memory.
    images = images if kept.all() else images[kept]
    return Split(images, labels[kept], np.array(ids)[kept]), skipped


def _decode(path: Path, image_size: int) -> UInt8[np.ndarray, "size size 3"]:
    # A pipe, for example, would be waited for.
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    # Only these two: Pillow would open files of many formats, one of them by running Ghostscript.
    with Image.open(path, formats=("PNG", "JPEG")) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(
                f"gray of more than 8 bits (Pillow mode {image.mode}): save it as 8 bits"
            )
        image = ImageOps.exif_transpose(image).convert("RGB")
    if image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image)
