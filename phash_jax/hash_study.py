"""The job that repeats the study's look at hashes: Fig 4.1 to 4.9."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jaxtyping import Int32, UInt8, UInt32
from PIL import Image

from phash_jax import codes, hamming, provenance
from phash_jax.checks import at_least
from phash_jax.data import scene
from phash_jax.data.dataset import Split
from phash_jax.data.load import load_dataset
from phash_jax.distortions.contrast import contrast_level
from phash_jax.distortions.crystallize import crystallize
from phash_jax.distortions.high_frequency import add_noise
from phash_jax.distortions.swirl import swirl
from phash_jax.hash_study_report import (
    FIGURES,
    GENERATIONS,
    PAIRINGS,
    as_markdown,
    plot_pictures,
    plot_scatter,
)
from phash_jax.hashing import HASHES
from phash_jax.json_files import write_json
from phash_jax.pictures import safe_formats
from phash_jax.published import FIG_4_1
from phash_jax.whole_files import write_text
from phash_jax.workdir import claim

_SCENE_SIZE = 256
# The study used an image editor and names no strengths; these change the scene visibly.
_CELLS_A_SIDE = 26
_SWIRL_STRENGTH, _SWIRL_RADIUS = 1.5, 2.0
_CONTRAST_LEVEL, _NOISE_AMPLITUDE = 60, 20.0


def distorted(picture: UInt8[np.ndarray, "h w 3"]) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The picture and the study's three distortions of it, with the same random draws each time.

    Args:
        picture: RGB, 0 to 255, any size.
    """
    first, second = jax.random.split(jax.random.key(0, impl="threefry2x32"))
    cell_size = max(2, round(min(picture.shape[:2]) / _CELLS_A_SIDE))

    @jax.jit
    def distort(image):
        return {
            "original": image,
            "crystallize": crystallize(first, image, cell_size=cell_size),
            "swirl": swirl(image, strength=_SWIRL_STRENGTH, radius=_SWIRL_RADIUS),
            "contrast and noise": add_noise(
                second, contrast_level(image, level=_CONTRAST_LEVEL), amplitude=_NOISE_AMPLITUDE
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
    bits = codes.from_hex(list(FIG_4_1.values()))
    words = np.asarray(codes.pack(jax.numpy.asarray(bits)))
    return dict(zip(FIG_4_1, distances(words), strict=True))


def count_near(matrix: Int32[np.ndarray, "n m"], *, near: int, same_class: bool) -> dict[str, int]:
    """How many pairs have a distance below ``near``.

    Args:
        matrix: distances between the images of two classes.
        near: the smallest distance that is no longer near.
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
    first = [np.flatnonzero(split.labels == label)[:per_class] for label in range(len(class_names))]
    return {
        class_name: np.asarray(hash_all(split.images[rows]))
        for class_name, rows in zip(class_names, first, strict=True)
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
        at_least(1, settings[field], f"hash_study.{field}")
    originals = _originals(settings.picture, settings.other_picture)
    dataset = load_dataset(config.data)
    missing = sorted({name for pair in PAIRINGS.values() for name in pair} - {*dataset.class_names})
    if missing:
        raise ValueError(
            f"the hash study compares cats, dogs and trucks, but the data have no class "
            f"{', '.join(missing)}: see data.classes"
        )
    per_class = settings.images_per_class
    fewest = np.bincount(dataset.train.labels).min()
    if fewest < per_class:
        raise ValueError(
            f"hash_study.images_per_class is {per_class}, but a class has only {fewest} "
            "training images: lower it, or provide more of them"
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
    plot_pictures(pictures, own["average_hash"], workdir / "fig_4_1.png")
    for name, figure in FIGURES.items():
        path = workdir / f"fig_{figure.replace('.', '_')}.png"
        plot_scatter(matrices[name, "6.0"], name, settings.near, path)
    study = published_distances()
    write_json(
        workdir / "hash_study.json",
        {"hashes": own, "published_distances": study, "counts": counts},
    )
    # The published counts are those of CIFAR-10's images, at the study's settings.
    comparable = config.data.name == "cifar10" and per_class == 100 and settings.near == 10
    text = as_markdown(
        own, study, counts, near=settings.near, per_class=per_class, published=comparable
    )
    write_text(workdir / "hash_study.md", text)
    return text


def _originals(picture: str, other: str) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """The user's pictures, and drawn ones for those not given."""
    return [
        _read(path) if path else np.asarray(scene.draw(name, size=_SCENE_SIZE))
        for path, name in ((picture, "landscape"), (other, "harbour"))
    ]


def _read(path: str) -> UInt8[np.ndarray, "h w 3"]:
    try:
        with Image.open(Path(path).expanduser(), formats=safe_formats()) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"hash_study: there is no picture {path}") from error
    # Pillow's decoders raise errors of many kinds: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise ValueError(f"hash_study: {path} cannot be read as a picture: {error}") from error


def _hashes_of(pictures: Mapping[str, np.ndarray], name: str) -> dict[str, dict[str, Any]]:
    """Text of each picture's hash, and its distance from the hash of the first picture."""
    hash_one = jax.jit(HASHES[name])
    bits = np.stack([np.asarray(hash_one(picture)) for picture in pictures.values()])
    words = np.asarray(codes.pack(jax.numpy.asarray(bits)))
    return {
        title: {"hash": text, "hex_digits": digits, "bits": number}
        for title, text, (digits, number) in zip(
            pictures, codes.to_hex(bits), distances(words), strict=True
        )
    }
