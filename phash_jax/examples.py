"""Pictures of what the networks see: test images distorted and preprocessed, and mistakes."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from phash_jax.checks import choose
from phash_jax.data.dataset import Dataset, Split
from phash_jax.distortions import DISTORTIONS, TEST_SETS
from phash_jax.figures import as_written, new_figure, save
from phash_jax.preprocess import PREPROCESS

# Between pictures, as a share of their width.
_GAP = 0.04
# Inches of a picture, and the most letters of a line above it.
_SIDE, _MOST_LETTERS = 0.85, 20


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
        preprocess: key of ``PREPROCESS``; its values of 0 to 1 are shown as colours, in a row
            for every three channels, or for each if they are not a multiple of three.
        test_sets: keys of ``TEST_SETS``.
        num_images: columns at most, but at least one of each class.

    Raises:
        ValueError: an unknown test set or preprocessing.
    """
    smallest = min(np.bincount(s.labels).min() for s in (dataset.train, dataset.test))
    per_class = min(max(1, num_images // len(dataset.class_names)), smallest)
    prepare = jax.vmap(choose(PREPROCESS, preprocess, "preprocess"))
    train = jnp.asarray(dataset.train.images[_first_of_each_class(dataset.train, per_class)])
    chosen = _first_of_each_class(dataset.test, per_class)
    test = jnp.asarray(dataset.test.images[chosen])
    labels = dataset.test.labels
    rows = _as_colours("training", np.asarray(prepare(train)))
    for name in test_sets:
        distort = jax.vmap(choose(TEST_SETS, name, "test_sets"))
        rows |= _as_colours(f"test, {name}", np.asarray(prepare(distort(test))))
    titles = [dataset.class_names[label] for label in labels[chosen]]
    _draw(rows, titles, path)


def plot_mistakes(
    dataset: Dataset,
    logits: Float[np.ndarray, "seeds n outputs"],
    path: Path,
    *,
    preprocess: str,
    num_images: int = 12,
) -> None:
    """Draws the test images that the networks are most sure of and wrong about.

    How sure they are is the mean over seeds of the probability (softmax of the logits) of the most
    probable class. Above each image: its class, what it was taken for, and how sure.

    Args:
        dataset: its test split is what the logits are of.
        logits: on the clean test set, float32.
        path: a PNG file.
        preprocess: key of ``PREPROCESS``; further rows show its values.
        num_images: images at most; without a mistake none are drawn.
    """
    chosen, taken_for, sure = _surest_mistakes(logits, dataset.test.labels, num_images)
    images = dataset.test.images[chosen]
    rows = {"mistaken": images / 255}
    if preprocess != "raw":
        prepare = jax.vmap(choose(PREPROCESS, preprocess, "preprocess"))
        rows |= _as_colours("as the network sees it", np.asarray(prepare(jnp.asarray(images))))
    # A network may have more outputs than there are classes.
    called = [*dataset.class_names, *["(none)"] * logits.shape[-1]]
    titles = [
        f"{dataset.class_names[label]}\n{called[other]}\n{100 * share:.0f} %"
        for label, other, share in zip(dataset.test.labels[chosen], taken_for, sure, strict=True)
    ]
    _draw(rows, titles, path)


def _as_colours(
    row: str, values: Float[np.ndarray, "n h w c"]
) -> dict[str, Float[np.ndarray, "n h w colours"]]:
    """The channels as images of three channels or of one, a row for each."""
    channels = values.shape[-1]
    colours = 1 if channels % 3 else 3
    if channels == colours:
        return {row: values}
    return {
        f"{row}, {first // colours + 1} of {channels // colours}": values[
            ..., first : first + colours
        ]
        for first in range(0, channels, colours)
    }


def _surest_mistakes(
    logits: Float[np.ndarray, "seeds n outputs"], labels: Int[np.ndarray, " n"], num_images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of each mistake, the class it was taken for and its probability; the surest first."""
    probabilities = np.asarray(jax.nn.softmax(logits)).mean(0)
    taken_for, sure = probabilities.argmax(-1), probabilities.max(-1)
    wrong = np.flatnonzero(taken_for != labels)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:num_images]
    return chosen, taken_for[chosen], sure[chosen]


def plot_distortions(
    image: UInt8[np.ndarray, "h w 3"],
    path: Path,
    *,
    names: Sequence[str],
    severities: Sequence[int],
    seed: int,
) -> None:
    """Draws one image under every distortion at every severity: left as it is, right hashed.

    Args:
        image: uint8, 0 to 255.
        path: a PNG file.
        names: keys of ``DISTORTIONS``, a row each.
        severities: 1 to 5, two columns each.
        seed: of the draws.
    """
    levels = jnp.array([0, *severities], jnp.int32)
    hashed = jax.vmap(PREPROCESS["average_hash"])
    rows = {}
    for name in names:
        key = jax.random.key(seed, impl="threefry2x32")
        distort = jax.vmap(DISTORTIONS[name], in_axes=(None, None, 0))
        distorted = jax.jit(distort)(key, jnp.asarray(image), levels)
        rows[name.replace("_", " ")] = np.concatenate(
            [np.asarray(distorted) / 255, np.asarray(hashed(distorted))]
        )
    titles = ["clean", *map(str, severities)]
    _draw(rows, titles + titles, path)


def _draw(rows: dict[str, np.ndarray], titles: Sequence[str], path: Path) -> None:
    """Rows of pictures of 0 to 1, one column per title."""
    columns, lines = max(1, len(titles)), max((t.count("\n") + 1 for t in titles), default=1)
    figure = new_figure(1.6 + 0.9 * columns, 0.08 + 0.17 * lines + 0.95 * len(rows), layout=None)
    # One panel per row: Matplotlib needs as long for a panel of one picture.
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for panel, (row, pictures) in zip(panels, rows.items(), strict=True):
        width = pictures.shape[2]
        step = width + max(1, round(_GAP * width))
        if len(pictures):
            gap = [(0, step - width) if axis == 2 else (0, 0) for axis in range(pictures.ndim)]
            side_by_side = np.concatenate(np.pad(pictures, gap, constant_values=1), axis=1)
            # The colour map is for images of one channel.
            panel.imshow(side_by_side, vmin=0, vmax=1, interpolation="nearest", cmap="gray")
        panel.set(xticks=[], yticks=[], xlim=(-0.5, step * columns - 0.5))
        panel.spines[:].set_visible(False)
        panel.set_ylabel(textwrap.fill(row, 14), rotation=0, ha="right", va="center", fontsize=9)
        if panel is panels[0]:
            drawn = [
                panel.annotate(
                    _shortened(title),
                    (step * number + (width - 1) / 2, -0.5),
                    xytext=(0, 3),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=9,
                )
                for number, title in enumerate(titles)
            ]
            if drawn:
                _fit(drawn, width=_SIDE)
    figure.subplots_adjust(
        left=1.5 / figure.get_figwidth(),
        right=0.995,
        bottom=0.01,
        top=1 - (0.05 + 0.17 * lines) / figure.get_figheight(),
        wspace=0.04,
        hspace=0.04,
    )
    save(figure, path, dpi=100)


def _shortened(title: str) -> str:
    return "\n".join(
        line if len(line) <= _MOST_LETTERS else line[: _MOST_LETTERS - 1] + "…"
        for line in title.split("\n")
    )


def _fit(titles, *, width: float) -> None:
    """Makes the letters of all titles so small that none is wider than ``width`` inches."""
    for title in titles:
        as_written(title)
    widest = max(title.get_window_extent().width / title.get_figure().dpi for title in titles)
    for title in titles:
        title.set_fontsize(title.get_fontsize() * min(1, width / widest))
