"""One interface for every image source: uint8 NHWC arrays, int32 labels and one name per image."""

import dataclasses
import hashlib

import numpy as np

from phash_jax.checks import within
from phash_jax.data.mapped import Images, MappedRows, take_rows

SPLITS = ("train", "test")
_IMAGES_COMPARED = 256


@dataclasses.dataclass(frozen=True)
class Split:
    """Labelled images of one split.

    Attributes:
        images: uint8 ``[N, H, W, 3]``, RGB, 0 to 255; in memory or in mapped files.
        labels: int32 ``[N]``, indices into ``Dataset.class_names``.
        ids: str ``[N]``, a stable name per image within its source.
    """

    images: Images
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A training and a test split over the same classes."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def validate(dataset: Dataset) -> Dataset:
    """Returns ``dataset`` unchanged, or raises ValueError naming the first thing wrong with it."""
    for name in SPLITS:
        split = getattr(dataset, name)
        images, labels = split.images, split.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"{name} images must be uint8 [N, H, W, 3], got {images.dtype} {list(images.shape)}"
            )
        if labels.shape != (len(images),) or split.ids.shape != (len(images),):
            raise ValueError(
                f"{name} has {len(images)} images, but labels of shape {list(labels.shape)} "
                f"and ids of shape {list(split.ids.shape)}"
            )
        outside = sorted(set(np.unique(labels)) - set(range(len(dataset.class_names))))
        if outside:
            raise ValueError(
                f"{name} labels {[int(i) for i in outside]} lie outside the "
                f"{len(dataset.class_names)} classes {dataset.class_names}"
            )
        counts = np.bincount(labels, minlength=len(dataset.class_names))
        empty = [c for c, count in zip(dataset.class_names, counts, strict=True) if not count]
        if empty:
            raise ValueError(
                f"{name} has no image of class {', '.join(empty)}: name only the others in "
                "data.classes"
            )
    if dataset.train.images.shape[1:] != dataset.test.images.shape[1:]:
        raise ValueError(
            f"train images are {list(dataset.train.images.shape[1:])}, "
            f"test images {list(dataset.test.images.shape[1:])}: they must have the same size"
        )
    return dataset


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over shapes, class names, labels, ids and images.

    Of memory-mapped images, which may be larger than memory, only some are read.
    """
    sha = hashlib.sha256(repr(dataset.class_names).encode())
    for name in SPLITS:
        split = getattr(dataset, name)
        sha.update(repr(split.images.shape).encode())
        sha.update(np.ascontiguousarray(split.labels))
        sha.update(np.ascontiguousarray(split.ids).view(np.uint8))
        step = 1
        if isinstance(split.images, np.memmap | MappedRows):
            step = -(-len(split) // _IMAGES_COMPARED)
        sha.update(np.ascontiguousarray(split.images[::step]))
    return sha.hexdigest()


def select_classes(dataset: Dataset, class_names: tuple[str, ...]) -> Dataset:
    """Keeps the named classes, relabelled in the order given; the order of images stays.

    Raises:
        ValueError: a name is unknown or given twice; the message lists the valid ones.
    """
    unknown = [name for name in class_names if name not in dataset.class_names]
    if unknown or len(set(class_names)) != len(class_names):
        raise ValueError(
            f"data.classes names {', '.join(unknown or class_names)}, unknown here or given twice: "
            f"choose from {', '.join(dataset.class_names)}, or all with --config.data.classes="
        )
    new_label = np.full(len(dataset.class_names), -1, np.int32)
    for new, name in enumerate(class_names):
        new_label[dataset.class_names.index(name)] = new

    def keep(split: Split) -> Split:
        labels = new_label[split.labels]
        kept = labels >= 0
        if kept.all():
            return dataclasses.replace(split, labels=labels)
        return Split(take_rows(split.images, kept), labels[kept], split.ids[kept])

    return Dataset(keep(dataset.train), keep(dataset.test), tuple(class_names))


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """Makes the last training images of each class the test split.

    What a smaller share holds out is part of what a larger one does.

    Args:
        dataset: its test split is left out.
        share: of each class, rounded to whole images; 0 changes nothing.

    Raises:
        ValueError: the share is not from 0 to below 1, or a class has no image left in one of the
            two parts.
    """
    within(0, 1, share, "data.validation_share", below=True)
    if not share:
        return dataset
    train = dataset.train
    is_held_out = np.zeros(len(train), bool)
    for label, name in enumerate(dataset.class_names):
        of_class = np.flatnonzero(train.labels == label)
        count = round(share * len(of_class))
        if not 0 < count < len(of_class):
            raise ValueError(
                f"data.validation_share={share} of the {len(of_class)} training images of {name} "
                f"is {count}: both parts need at least one"
            )
        is_held_out[of_class[-count:]] = True

    def part(chosen: np.ndarray) -> Split:
        return Split(take_rows(train.images, chosen), train.labels[chosen], train.ids[chosen])

    return dataclasses.replace(dataset, train=part(~is_held_out), test=part(is_held_out))


def repeat_train(dataset: Dataset, repeats: int) -> Dataset:
    """Repeats the training split as a whole: the study's 20,000 images are 10,000, twice.

    Raises:
        ValueError: ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"data.train_repeats must be 1 or more, got {repeats}")
    if repeats == 1:
        return dataset
    train = dataset.train
    rows = np.tile(np.arange(len(train)), repeats)
    repeated = Split(take_rows(train.images, rows), train.labels[rows], train.ids[rows])
    return dataclasses.replace(dataset, train=repeated)


def scramble(images: np.ndarray) -> np.ndarray:
    """The study's loading mistake: interleaved HWC bytes read as if they were planar CHW.

    Args:
        images: uint8 ``[N, H, W, 3]``.

    Returns:
        uint8 ``[N, H, W, 3]`` with the same bytes in other places: each colour plane of the
        result holds a third of the image's rows, squeezed, all three colours side by side.
    """
    n, h, w, c = images.shape
    return np.ascontiguousarray(images.reshape(n, c, h, w).transpose(0, 2, 3, 1))


def scramble_train(dataset: Dataset) -> Dataset:
    """Scrambles the training images, in memory; the test images stay, as in the study."""
    images = scramble(np.asarray(dataset.train.images))
    train = dataclasses.replace(dataset.train, images=images)
    return dataclasses.replace(dataset, train=train)
