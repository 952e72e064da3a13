"""The job that repeats the study's look at hashes: Fig 4.1 to 4.9."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jaxtyping import Int32, UInt8, UInt32
from PIL import Image

from phash_jax import codes, hamming, provenance, tables
from phash_jax.data import scene
from phash_jax.data.dataset import Split
from phash_jax.data.load import load_dataset
from phash_jax.distortions.crystallize import crystallize
from phash_jax.distortions.high_frequency import contrast_and_noise
from phash_jax.distortions.swirl import swirl
from phash_jax.hashing import HASHES
from phash_jax.metrics import write_json
from phash_jax.published import FIG_4_1, FIG_4_2_TO_4_5, FIG_4_9
from phash_jax.workdir import claim

PAIRINGS = {"cat-cat": ("cat", "cat"), "dog-dog": ("dog", "dog"), "truck-dog": ("truck", "dog")}
# Fig 4.6 to 4.8, one hash each.
FIGURES = {"average_hash": "4.6", "phash": "4.7", "dhash": "4.8"}
# How gray was made when the study was written, and how it is made today.
GENERATIONS = {"6.0": "Pillow of 2017", "13.0": "Pillow 13"}

_SCENE_SIZE = 256
# The study used an image editor and names no strengths; these change the scene plainly.
_CELLS_A_SIDE = 26
_SWIRL_STRENGTH, _SWIRL_RADIUS = 1.5, 2.0
_CONTRAST_LEVEL, _NOISE_AMPLITUDE = 60, 20.0
_CAT, _DOG, _TRUCK = "#0072B2", "#D55E00", "#009E73"
_COLOURS = dict(zip(PAIRINGS, (_CAT, _DOG, _TRUCK), strict=True))


def distorted(picture: UInt8[np.ndarray, "h w 3"]) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The picture and the study's three distortions of it, always the same ones.

    Args:
        picture: RGB, 0 to 255, any size.
    """
    first, second = jax.random.split(jax.random.key(0))
    cell_size = max(2, round(min(picture.shape[:2]) / _CELLS_A_SIDE))

    @jax.jit
    def distort(image):
        return {
            "original": image,
            "crystallize": crystallize(first, image, cell_size=cell_size),
            "swirl": swirl(image, strength=_SWIRL_STRENGTH, radius=_SWIRL_RADIUS),
            "contrast and noise": contrast_and_noise(
                second, image, level=_CONTRAST_LEVEL, amplitude=_NOISE_AMPLITUDE
            ),
        }

    pictures = distort(picture)
    # A jitted function returns its dicts sorted by name.
    order = ("original", "crystallize", "swirl", "contrast and noise")
    return {name: np.asarray(pictures[name]) for name in order}


def distances(words: UInt32[np.ndarray, "n words"]) -> list[tuple[int, int]]:
    """Distance of each code from the first one, in hexadecimal digits and in bits."""
    digits, bits = hamming.hex_distance(words[0], words), hamming.distance(words[0], words)
    return list(zip(np.asarray(digits).tolist(), np.asarray(bits).tolist(), strict=True))


def published_distances() -> dict[str, tuple[int, int]]:
    """Distances of Fig 4.1's strings from the original's, in hexadecimal digits and in bits."""
    bits = np.stack([codes.from_hex(text) for text in FIG_4_1.values()])
    words = np.asarray(codes.pack(jax.numpy.asarray(bits)))
    return dict(zip(FIG_4_1, distances(words), strict=True))


def count_near(matrix: Int32[np.ndarray, "n m"], *, near: int, same_class: bool) -> dict[str, int]:
    """Pairs with a distance below ``near``.

    Args:
        matrix: distances between the images of two classes.
        near: the distance that is no longer near.
        same_class: whether both are the same images in the same order.

    Returns:
        ``as_counted``: entries of the matrix, as the study counted; ``pairs``: of two different
        images, each pair once.
    """
    close = matrix < near
    pairs = np.triu(close, 1) if same_class else close
    return {"as_counted": int(close.sum()), "pairs": int(pairs.sum())}


def _class_hashes(
    split: Split, class_names: Sequence[str], *, per_class: int, name: str, pillow: str
) -> dict[str, UInt32[np.ndarray, "n 2"]]:
    """Packed hashes of the first training images of each class."""
    hash_all = jax.jit(lambda images: codes.pack(HASHES[name](images, pillow=pillow)))
    return {
        class_name: np.asarray(hash_all(split.images[split.labels == label][:per_class]))
        for label, class_name in enumerate(class_names)
    }


def pair_distances(
    split: Split, class_names: Sequence[str], *, per_class: int, name: str, pillow: str
) -> dict[str, dict[str, Int32[np.ndarray, "n m"]]]:
    """Matrices of distances between the classes of ``PAIRINGS``, in hex digits and in bits.

    Args:
        split: images, in whose order the first of each class are taken.
        class_names: names of its labels; cat, dog and truck must be among them.
        per_class: images of each class.
        name: a key of ``HASHES`` with hashes of 64 bits.
        pillow: a key of ``PILLOW_GENERATIONS``.
    """
    words = _class_hashes(split, class_names, per_class=per_class, name=name, pillow=pillow)
    matrices: dict[str, dict] = {"hex digits": {}, "bits": {}}
    for pairing, (left, right) in PAIRINGS.items():
        a, b = words[left][:, None], words[right][None]
        matrices["hex digits"][pairing] = np.asarray(hamming.hex_distance(a, b))
        matrices["bits"][pairing] = np.asarray(hamming.distance(a, b))
    return matrices


def run(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Makes the tables and pictures of Fig 4.1 to 4.9; returns the tables.

    Leaves ``hash_study.md``, ``hash_study.json`` and ``fig_4_*.png`` in the workdir. The images are
    those of ``config.data``, in the order of their source; the picture is
    ``config.hash_study.picture`` or a drawn one.

    Raises:
        ValueError: the data lack a class, or a picture cannot be read.
        FileNotFoundError: a picture does not exist.
    """
    settings = config.hash_study
    for field in ("images_per_class", "near"):
        if settings[field] < 1:
            raise ValueError(f"hash_study.{field} must be 1 or more, got {settings[field]}")
    originals = _originals(settings.picture, settings.other_picture)
    dataset = load_dataset(config.data)
    missing = sorted({name for pair in PAIRINGS.values() for name in pair} - {*dataset.class_names})
    if missing:
        raise ValueError(
            f"the hash study compares cats, dogs and trucks, and data.classes lacks "
            f"{', '.join(missing)}"
        )
    per_class = settings.images_per_class
    fewest = np.bincount(dataset.train.labels).min()
    if fewest < per_class:
        raise ValueError(
            f"hash_study.images_per_class is {per_class}, but a class has only {fewest} images"
        )
    claim(workdir, config)
    provenance.record(workdir)
    pictures = distorted(originals[0]) | {"another picture": originals[1]}
    own = {name: _hashes_of(pictures, name) for name in FIGURES}
    matrices = {
        (name, pillow): pair_distances(
            dataset.train, dataset.class_names, per_class=per_class, name=name, pillow=pillow
        )
        for name in FIGURES
        for pillow in GENERATIONS
    }
    counts = {
        pillow: {
            name: {
                unit: {
                    pairing: count_near(
                        matrix, near=settings.near, same_class=len(set(PAIRINGS[pairing])) == 1
                    )
                    for pairing, matrix in of_unit.items()
                }
                for unit, of_unit in matrices[name, pillow].items()
            }
            for name in FIGURES
        }
        for pillow in GENERATIONS
    }
    _plot_pictures(pictures, own["average_hash"], workdir / "fig_4_1.png")
    for name, figure in FIGURES.items():
        path = workdir / f"fig_{figure.replace('.', '_')}.png"
        _plot_scatter(matrices[name, "6.0"], name, settings.near, path)
    write_json(
        workdir / "hash_study.json",
        {"hashes": own, "published_distances": published_distances(), "counts": counts},
    )
    # The published counts are those of CIFAR-10's images, at the study's settings.
    comparable = config.data.name == "cifar10" and per_class == 100 and settings.near == 10
    text = _tables(own, counts, near=settings.near, per_class=per_class, published=comparable)
    (workdir / "hash_study.md").write_text(text)
    return text


def _originals(picture: str, other: str) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """The user's pictures, and drawn ones for those not given."""
    return [
        _read(path) if path else np.asarray(scene.draw(name, size=_SCENE_SIZE))
        for path, name in ((picture, "landscape"), (other, "harbour"))
    ]


def _read(path: str) -> UInt8[np.ndarray, "h w 3"]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"hash_study: there is no picture {path}") from error
    # Pillow's decoders raise what they come across: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise ValueError(f"hash_study: {path} cannot be read as a picture: {error}") from error


def _hashes_of(pictures: Mapping[str, np.ndarray], name: str) -> dict[str, dict[str, Any]]:
    """Text of each picture's hash, and its distance from the first one's."""
    hash_one = jax.jit(HASHES[name])
    bits = np.stack([np.asarray(hash_one(picture)) for picture in pictures.values()])
    words = np.asarray(codes.pack(jax.numpy.asarray(bits)))
    return {
        title: {"hash": text, "hex_digits": digits, "bits": number}
        for title, text, (digits, number) in zip(
            pictures, codes.to_hex(bits), distances(words), strict=True
        )
    }


def _tables(own, counts, *, near: int, per_class: int, published: bool) -> str:
    study = published_distances()
    lines = [
        "# Perceptual hashes and their distances (Fig 4.1 to 4.9)",
        "",
        "## Fig 4.1: average hashes",
        "",
        tables.markdown(
            [("", "ours", "published")]
            + [
                (title, own["average_hash"][title]["hash"], FIG_4_1[title])
                for title in own["average_hash"]
            ]
        ),
        "Ours are of a picture of our own; the study's is not at hand. The study prints its five "
        "strings without saying which filter made which; the distances it gives with each filter "
        "settle it: its fourth string, equal to the first, is the swirl's, its third the one of "
        "contrast and noise.",
        "",
        "The other two hashes of our pictures:",
        "",
        tables.markdown(
            [("", *(name for name in FIGURES if name != "average_hash"))]
            + [
                (title, *(own[name][title]["hash"] for name in FIGURES if name != "average_hash"))
                for title in own["average_hash"]
            ]
        ),
        "## Fig 4.2 to 4.5: distances from the original, in hex digits (in bits)",
        "",
        tables.markdown(
            [("", *FIGURES, "published", "from the published hashes")]
            + [
                (
                    title,
                    *(
                        f"{own[name][title]['hex_digits']} ({own[name][title]['bits']})"
                        for name in FIGURES
                    ),
                    FIG_4_2_TO_4_5[title],
                    f"{study[title][0]} ({study[title][1]})",
                )
                for title in FIG_4_2_TO_4_5
            ]
        ),
        "The greatest distance is 16 in hex digits, as the study says, and 64 in bits.",
        "",
        f"## Fig 4.9: pairs with a distance under {near}",
        "",
        f"The first {per_class} training images of each class. As the study counted: every entry "
        f"of the {per_class} x {per_class} table of distances in hex digits, so the {per_class} "
        "images of one class also with themselves, and other pairs of them twice. Gray is as "
        "Pillow made it when the study was written (before 7.0), or as Pillow 13 makes it.",
        "",
    ]
    rows = [("hash", "gray of", *PAIRINGS)]
    if published:
        rows.append(("published", "all three alike", *FIG_4_9.values()))
    as_counted = {
        (name, title): tuple(
            counts[pillow][name]["hex digits"][pairing]["as_counted"] for pairing in PAIRINGS
        )
        for name in FIGURES
        for pillow, title in GENERATIONS.items()
    }
    lines.append(tables.markdown(rows + [(*key, *numbers) for key, numbers in as_counted.items()]))
    if published:
        alike = [
            f"{name}, gray of {title}"
            for (name, title), numbers in as_counted.items()
            if numbers == tuple(FIG_4_9.values())
        ]
        lines += [
            "The published counts, printed for all three hashes, are those of: "
            f"{'; '.join(alike) or 'none'}.",
            "",
        ]
    lines += ["Counted as pairs of two different images, each once:", ""]
    rows = [("hash", "distance in", "gray of", *PAIRINGS)]
    rows += [
        (
            name,
            unit,
            title,
            *(counts[pillow][name][unit][pairing]["pairs"] for pairing in PAIRINGS),
        )
        for name in FIGURES
        for unit in ("hex digits", "bits")
        for pillow, title in GENERATIONS.items()
    ]
    lines += [
        tables.markdown(rows),
        f"{per_class * (per_class - 1) // 2:,} pairs within a class, {per_class**2:,} between two.",
        "",
        "Pictures: fig_4_1.png, "
        + ", ".join(f"fig_{figure.replace('.', '_')}.png" for figure in FIGURES.values())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def _plot_pictures(pictures, own, path: Path) -> None:
    """The five pictures over their average hashes as 8x8 bitmaps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.1 * len(pictures), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(pictures), squeeze=False)
    for (upper, lower), (title, picture) in zip(grid.T, pictures.items(), strict=True):
        upper.imshow(picture)
        upper.set_title(title, fontsize=10)
        lower.imshow(codes.from_hex(own[title]["hash"]), cmap="gray", vmin=0, vmax=1)
        lower.set_title(own[title]["hash"], fontsize=8, family="monospace")
        lower.set_xlabel(
            f"{own[title]['hex_digits']} hex digits, {own[title]['bits']} bits", fontsize=9
        )
        for panel in (upper, lower):
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color("0.8")
    figure.savefig(path, dpi=80)


def _plot_scatter(matrices, name: str, near: int, path: Path) -> None:
    """Distances of all pairs, in hex digits, as the study drew them, and how often each occurs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 * len(PAIRINGS), width_ratios=[3, 1] * len(PAIRINGS), sharey=True)
    rng = np.random.default_rng(0)
    for place, (pairing, matrix) in enumerate(matrices["hex digits"].items()):
        points, bars = panels[2 * place : 2 * place + 2]
        flat = matrix.ravel()
        # Distances are whole numbers; a little scatter shows how many points lie on one another.
        heights = flat + rng.uniform(-0.35, 0.35, flat.size)
        for close, colour, size in ((False, "0.75", 0.6), (True, _COLOURS[pairing], 4)):
            shown = np.flatnonzero((flat < near) == close)
            points.scatter(shown, heights[shown], s=size, c=colour, lw=0)
        points.axhline(near - 0.5, color="0.3", lw=0.8, ls="--")
        close = int((flat < near).sum())
        points.set_title(f"{pairing}: {close:,} of {flat.size:,} under {near}", fontsize=9)
        points.set_xlabel("pair")
        points.set_xticks([0, flat.size])
        counts = np.bincount(flat, minlength=17)
        bars.barh(
            np.arange(17),
            counts,
            color=[_COLOURS[pairing] if d < near else "0.75" for d in range(17)],
        )
        bars.set_xticks([])
        bars.spines[["top", "right", "bottom"]].set_visible(False)
        points.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="Hamming distance, hex digits", ylim=(-0.8, 16.8), yticks=range(0, 17, 2))
    figure.suptitle(f"Fig {FIGURES[name]}: {name}, gray of the Pillow of 2017", fontsize=10)
    figure.savefig(path, dpi=80)
