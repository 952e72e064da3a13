"""Distortions of uint8 images by key and severity, and the named test sets without either."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Array, Int32, Key, UInt8

from phash_jax.choices import choose, names
from phash_jax.distortions.cifar10c import CIFAR10C, EXTRA
from phash_jax.distortions.contrast import contrast_level
from phash_jax.distortions.study import STUDY

# What is not distorted, among distortions and test sets.
CLEAN = "clean"

# (key, image, severity) -> image; severity 0 is the identity, 1 to 5 ever stronger.
Distortion = Callable[
    [Key[Array, ""], UInt8[Array, "h w c"], Int32[Array, ""]], UInt8[Array, "h w c"]
]

DISTORTIONS: dict[str, Distortion] = {**CIFAR10C, **EXTRA, **STUDY}
GROUPS: dict[str, tuple[str, ...]] = {
    "cifar10c": tuple(CIFAR10C),
    "extra": tuple(EXTRA),
    "study": tuple(STUDY),
}


def choices() -> dict[str, tuple[str, ...]]:
    """What a list of distortions may have in it, and the distortions that each of it stands for."""
    return GROUPS | {name: (name,) for name in DISTORTIONS}


def distortion_names(text: str) -> list[str]:
    """Keys of ``DISTORTIONS`` that ``config.distortions.names``, with commas, stands for.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    known = choices()
    found = [name for part in names(text) for name in choose(known, part, "distortions.names")]
    if not found:
        raise ValueError(f"distortions.names is empty: choose some of {', '.join(known)}")
    return list(dict.fromkeys(found))


def clean(image: UInt8[Array, "h w c"]) -> UInt8[Array, "h w c"]:
    """The image as it is."""
    return image


TEST_SETS: dict[str, Callable[[UInt8[Array, "h w c"]], UInt8[Array, "h w c"]]] = {
    CLEAN: clean,
    "contrast_200": partial(contrast_level, level=200),
    "contrast_300": partial(contrast_level, level=300),
}
