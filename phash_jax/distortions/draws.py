"""Distorting a test set: the key of each image's draw, and checks of what is asked for."""

import zlib

import jax
from jaxtyping import Array, Key

from phash_jax.checks import names, whole_number
from phash_jax.distortions import Distortion
from phash_jax.distortions.severity import MAX_SEVERITY


def distortion_key(seed: int, distortion: str, draw: int) -> Key[Array, ""]:
    """The key of one distortion's draw; folded with an image's number it is that image's own.

    The same at every severity, so that severities of one image differ in strength only.
    """
    # Named: what "rbg" draws for one image of a batch depends on the others.
    key = jax.random.key(seed, impl="threefry2x32")
    key = jax.random.fold_in(key, zlib.crc32(distortion.encode()))
    return jax.random.fold_in(key, draw)


def distort_batch(distortion: Distortion, key, images, numbers, severity):
    """Distorts images ``[N, H, W, 3]``, each with the key folded with its number."""
    keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
    return jax.vmap(distortion, in_axes=(0, 0, None))(keys, images, severity)


def undistorted(key, image, severity):
    """The image as it is: the distortion for ``CLEAN``."""
    return image


def severities_of(text: str) -> list[int]:
    """The numbers in ``config.distortions.severities``, ascending; ValueError if not 1 to 5."""
    found = names(text)
    possible = [str(severity) for severity in range(1, MAX_SEVERITY + 1)]
    if not found or any(name not in possible for name in found):
        raise ValueError(
            f"distortions.severities must be some of 1 to {MAX_SEVERITY}, got {text!r}"
        )
    return sorted({int(name) for name in found})


def check_seed(seed: int) -> None:
    """ValueError for a ``config.distortions.seed`` that is not from 0 to 2**32 - 1."""
    whole_number(seed, "distortions.seed", least=0, most=2**32 - 1)
