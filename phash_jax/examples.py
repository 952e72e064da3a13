"""A picture of what the networks see: test images as they are, distorted, and preprocessed."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from phash_jax.choices import choose
from phash_jax.data.dataset import Dataset, Split
from phash_jax.distortions import TEST_SETS
from phash_jax.preprocess import PREPROCESS


def _first_of_each_class(split: Split, per_class: int) -> np.ndarray:
    classes = np.unique(split.labels)
    return np.concatenate([np.flatnonzero(split.labels == c)[:per_class] for c in classes])


def plot_examples(
    dataset: Dataset, path: Path, *, preprocess: str, test_sets: Sequence[str], num_images: int = 12
) -> None:
    """Draws a row of training images and a row of each test set, as the network sees them.

    The rows of the test sets show the same images.

    Args:
        dataset: each class's first images are shown, the classes in equal shares.
        path: a PNG file.
        preprocess: key of ``PREPROCESS``; its values of 0 to 1 are shown as colours.
        test_sets: keys of ``TEST_SETS``.
        num_images: columns at most, but for one of each class.

    Raises:
        ValueError: an unknown test set or preprocessing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    smallest = min(np.bincount(s.labels).min() for s in (dataset.train, dataset.test))
    per_class = min(max(1, num_images // len(dataset.class_names)), smallest)
    prepare = jax.vmap(choose(PREPROCESS, preprocess, "preprocess"))
    train = jnp.asarray(dataset.train.images[_first_of_each_class(dataset.train, per_class)])
    chosen = _first_of_each_class(dataset.test, per_class)
    test = jnp.asarray(dataset.test.images[chosen])
    labels = dataset.test.labels
    rows = {"training": np.asarray(prepare(train))}
    for name in test_sets:
        distort = jax.vmap(choose(TEST_SETS, name, "test_sets"))
        rows[f"test, {name}"] = np.asarray(prepare(distort(test)))
    figure = Figure(figsize=(1.6 + 0.9 * len(chosen), 0.25 + 0.95 * len(rows)))
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(chosen), squeeze=False)
    for panels, (row, pictures) in zip(grid, rows.items(), strict=True):
        for panel, picture in zip(panels, pictures, strict=True):
            panel.imshow(picture, vmin=0, vmax=1, interpolation="nearest")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        panels[0].set_ylabel(row, rotation=0, ha="right", va="center", fontsize=9)
    for panel, index in zip(grid[0], chosen, strict=True):
        panel.set_title(dataset.class_names[labels[index]], fontsize=9)
    left = 1.5 / figure.get_figwidth()
    figure.subplots_adjust(
        left=left, right=0.995, bottom=0.01, top=1 - 0.22 / figure.get_figheight()
    )
    figure.subplots_adjust(wspace=0.04, hspace=0.04)
    figure.savefig(path, dpi=100)
