"""Distortions of uint8 images by key and severity, and the named test sets, which take neither.

Random draws use 32 bits even where 64-bit types are enabled.
"""

import functools
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key, UInt8

from phash_jax.checks import check_uint8, choose, names, whole_number
from phash_jax.distortions.cifar10c import CIFAR10C, EXTRA
from phash_jax.distortions.contrast import contrast_level
from phash_jax.distortions.severity import MAX_SEVERITY
from phash_jax.distortions.study import STUDY

# What is not distorted, among distortions and test sets.
CLEAN = "clean"

# (key, image, severity) -> image; severity 0 is the identity, 1 to 5 are ever stronger. Any other
# number is an error if it comes from Python or NumPy; in a JAX array it is clipped to 1 to 5.
Distortion = Callable[
    [Key[Array, ""], UInt8[Array, "h w 3"], Int32[Array, ""]], UInt8[Array, "h w 3"]
]


def _distort(name, distortion, key, image, severity):
    check_uint8(image, name)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"{name} takes one image [H, W, 3] (jax.vmap for more), got {image.shape}")
    if not isinstance(severity, jax.Array):
        severity = whole_number(severity, "severity", least=0, most=MAX_SEVERITY)
    elif severity.shape or not jnp.issubdtype(severity.dtype, jnp.integer):
        raise TypeError(
            f"severity must be one whole number, got {severity.dtype} of shape {severity.shape}"
        )
    return distortion(key, image, severity)


def _checked(name: str, distortion: Distortion) -> Distortion:
    """The distortion of what it is made for; TypeError and ValueError for anything else."""
    # A partial, unlike an inner function, can be pickled for the processes of a data loader, if it
    # has no annotations.
    described = ("__module__", "__name__", "__qualname__", "__doc__")
    return functools.update_wrapper(partial(_distort, name, distortion), distortion, described)


DISTORTIONS: dict[str, Distortion] = {
    name: _checked(name, distortion) for name, distortion in (CIFAR10C | EXTRA | STUDY).items()
}
GROUPS: dict[str, tuple[str, ...]] = {
    "cifar10c": tuple(CIFAR10C),
    "extra": tuple(EXTRA),
    "study": tuple(STUDY),
}


def choices() -> dict[str, tuple[str, ...]]:
    """The names that a list of distortions may contain, and the distortions each stands for."""
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
