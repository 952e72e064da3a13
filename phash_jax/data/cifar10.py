"""CIFAR-10 through tensorflow_datasets, in the official order."""

import numpy as np

from phash_jax.data.dataset import Dataset, Split

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def load(*, data_dir: str) -> Dataset:
    import tensorflow_datasets as tfds

    def read(split: str) -> Split:
        source = tfds.data_source("cifar10", split=split, data_dir=data_dir or None)
        examples = source.__getitems__(range(len(source)))
        ids = np.array([e["id"].decode() for e in examples])
        order = np.argsort([int(i.split("_")[1]) for i in ids])
        images = np.stack([e["image"] for e in examples])[order]
        labels = np.array([e["label"] for e in examples], np.int32)[order]
        return Split(images, labels, ids[order])

    return Dataset(read("train"), read("test"), CLASS_NAMES)
