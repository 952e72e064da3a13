"""From the data fields of a config to the arrays that training and evaluation see."""

from collections.abc import Callable

import ml_collections
import numpy as np
from absl import logging

from phash_jax import processes
from phash_jax.checks import choose, names
from phash_jax.data.dataset import (
    Dataset,
    Split,
    fingerprint,
    hold_out,
    repeat_train,
    scramble_train,
    select_classes,
    validate,
)


def _load_synthetic(data: ml_collections.ConfigDict) -> Dataset:
    from phash_jax.data import synthetic

    # Only the classes asked for are generated, so that the sizes are those of the config.
    classes = tuple(names(data.classes)) or synthetic.CLASS_NAMES

    def split(name: str, num_images: int) -> Split:
        images, labels = synthetic.generate(
            seed=data.seed,
            split=name,
            num_images=num_images,
            image_size=data.image_size,
            class_names=classes,
        )
        return Split(images, labels, np.array([f"{name}_{i:05d}" for i in range(num_images)]))

    return Dataset(split("train", data.train_size), split("test", data.test_size), classes)


def _load_cifar10(data: ml_collections.ConfigDict) -> Dataset:
    from phash_jax.data import cifar10

    return cifar10.load(data_dir=data.dir)


def _load_file(data: ml_collections.ConfigDict) -> Dataset:
    from phash_jax.data import files

    return files.load(path=data.path, image_size=data.image_size)


SOURCES: dict[str, Callable[[ml_collections.ConfigDict], Dataset]] = {
    "synthetic": _load_synthetic,
    "cifar10": _load_cifar10,
    "file": _load_file,
}


def load_dataset(data: ml_collections.ConfigDict) -> Dataset:
    """The dataset that ``config.data`` describes: source, classes, what is held out, and so on.

    Raises:
        ValueError: an unknown source or class, a share that cannot be held out, or images and
            labels that do not fit each other.
        FileNotFoundError: the source's files are missing; the message says which are wanted.
    """
    dataset = choose(SOURCES, data.name, "data.name")(data)
    if chosen := tuple(names(data.classes)):
        dataset = select_classes(dataset, chosen)
    validate(dataset)
    dataset = hold_out(dataset, data.validation_share)
    if data.scramble_train:
        dataset = scramble_train(dataset)
    dataset = repeat_train(dataset, data.train_repeats)
    logging.info(
        "%s: %d training and %d %s images of %s",
        data.name,
        len(dataset.train),
        len(dataset.test),
        "validation" if data.validation_share else "test",
        ", ".join(dataset.class_names),
    )
    return dataset


def load_in_all(data: ml_collections.ConfigDict) -> Dataset:
    """As ``load_dataset``, in every process of a job; all must have loaded the same.

    Raises:
        ValueError: it cannot be loaded, or the processes have not loaded the same.
        OSError: the disk is full.
    """
    dataset = processes.in_all(lambda: load_dataset(data), "pictures")
    if processes.count() > 1 and not processes.all_have(fingerprint(dataset)):
        raise ValueError(
            "not all processes have loaded the same images: they need one folder that all see, or "
            "folders with the same contents, and every process must be able to read every file"
        )
    return dataset
