"""The four noises of CIFAR-10-C.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py).
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt8, UInt32

from phash_jax.distortions.lookup import look_up
from phash_jax.distortions.random_keys import normal, unrolled
from phash_jax.distortions.severity import Severity, at_severity, from_unit, to_unit, unless_clean

_GAUSSIAN = (0.04, 0.06, 0.08, 0.09, 0.10)
_SPECKLE = (0.06, 0.1, 0.12, 0.16, 0.2)
_IMPULSE = (0.01, 0.02, 0.03, 0.05, 0.07)
_PHOTONS = (500, 250, 100, 75, 50)


def gaussian_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Adds a normal deviate to every value.

    Args:
        key: decides the noise, ``jax.random.normal(key, image.shape)``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    noise = at_severity(_GAUSSIAN, severity) * normal(key, image.shape)
    return unless_clean(severity, image, from_unit(to_unit(image) + noise))


def speckle_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Adds to every value itself times a normal deviate.

    Args:
        key: decides the noise, ``jax.random.normal(key, image.shape)``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    unit = to_unit(image)
    noise = at_severity(_SPECKLE, severity) * normal(key, image.shape)
    return unless_clean(severity, image, from_unit(unit + unit * noise))


def impulse_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Makes some values 255 and as many 0, each channel by itself.

    One uniform deviate a value decides: below half the share it is 255, up to the share 0. The
    original draws two, which of the values and which of the two extremes; the distribution is the
    same.

    Args:
        key: decides which, ``jax.random.uniform(key, image.shape)``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    share = at_severity(_IMPULSE, severity)
    uniform = jax.random.uniform(unrolled(key), image.shape, jnp.float32)
    peppered = jnp.where(uniform < share, jnp.uint8(0), image)
    salted = jnp.where(uniform < share / 2, jnp.uint8(255), peppered)
    return unless_clean(severity, image, salted)


def shot_noise(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    """Counts photons: a value v of 0..1 becomes a Poisson deviate of mean ``c v``, divided by c.

    Deviates come from 32 random bits and a table made in double precision by the alias method
    (Walker, 1977): their distribution is Poisson's to within 1e-7 in total variation, and what has
    a probability below 2^-33 does not occur.

    Args:
        key: decides the counts, ``jax.random.bits(key, image.shape, jnp.uint32)``.
        image: one uint8 image, 0 to 255, any size.
        severity: 0 (the identity) to 5.
    """
    bits = jax.random.bits(unrolled(key), image.shape, jnp.uint32)
    noisy = _photons(bits, image, severity)
    return unless_clean(severity, image, noisy)


def _photons(
    bits: UInt32[Array, "h w c"], image: UInt8[Array, "h w c"], severity: Severity
) -> UInt8[Array, "h w c"]:
    level = at_severity(np.arange(len(_PHOTONS)), severity)
    columns, bytes_of = _alias_tables()
    column = (bits >> _FRACTION_BITS).astype(jnp.int32)
    packed = look_up(columns, (level * 256 + image) * _COLUMNS + column)
    own = (bits & jnp.uint32(2**_FRACTION_BITS - 1)) < packed >> _COLUMN_BITS
    count = jnp.where(own, column, (packed & jnp.uint32(_COLUMNS - 1)).astype(jnp.int32))
    return look_up(bytes_of, level * _COLUMNS + count)


# More photons than _PHOTONS give 255 anyway, so 512 columns hold every count that matters.
_COLUMN_BITS = 9
_COLUMNS = 2**_COLUMN_BITS
_FRACTION_BITS = 32 - _COLUMN_BITS


@functools.cache
def _alias_tables() -> tuple[np.ndarray, np.ndarray]:
    """Per severity, value and column its share (23 bits) and alias (9 bits); per count its byte.

    A deviate is a column drawn with probability 1/512 or, beyond the column's share, its alias.
    """
    counts = np.arange(_COLUMNS)
    log_factorial = np.array([math.lgamma(count + 1) for count in counts])
    probabilities, bytes_of = [], []
    for photons in _PHOTONS:
        mean = photons * np.arange(256)[:, None] / 255
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithm = np.where(counts > 0, counts * np.log(mean), 0) - mean - log_factorial
        rows = np.exp(logarithm)
        # What is beyond the last column is as white as the last.
        rows[:, -1] += np.maximum(0, 1 - rows.sum(1))
        probabilities.append(rows)
        bytes_of.append((np.clip(counts / photons, 0, 1) * 255).astype(np.uint8))
    rows = np.concatenate(probabilities)
    share, alias = _alias(rows / rows.sum(1, keepdims=True))
    whole = np.rint(share * 2**_FRACTION_BITS)
    # A column that needs no alias has itself for one, so that the full share fits the bits.
    full = whole >= 2**_FRACTION_BITS
    whole, alias = np.where(full, 0, whole), np.where(full, counts, alias)
    packed = whole.astype(np.uint32) << np.uint32(_COLUMN_BITS) | alias.astype(np.uint32)
    return packed.ravel(), np.concatenate(bytes_of)


def _alias(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share and alias of every column, for rows of probabilities: Vose's method, all rows at once.

    In each step every row lets one column that is too small borrow from one that is too large.
    """
    number, size = rows.shape
    share, alias = rows * size, np.tile(np.arange(size), (number, 1))
    # Two stacks per row: small columns from the left, large ones from the right.
    order = np.argsort(share >= 1, axis=1, kind="stable")
    small = np.sum(share < 1, axis=1)
    stacks = order.copy()
    large = small.copy()
    every = np.arange(number)
    for _ in range(size):
        active = every[(small > 0) & (large < size)]
        if not active.size:
            break
        little = stacks[active, small[active] - 1]
        big = stacks[active, large[active]]
        alias[active, little] = big
        share[active, big] -= 1 - share[active, little]
        small[active] -= 1
        # One that has become small moves to the other stack.
        shrunk = active[share[active, big] < 1]
        moved = stacks[shrunk, large[shrunk]]
        large[shrunk] += 1
        stacks[shrunk, small[shrunk]] = moved
        small[shrunk] += 1
    # What rounding has left on either stack is full.
    for row in every[small > 0]:
        share[row, stacks[row, : small[row]]] = 1
    for row in every[large < size]:
        share[row, stacks[row, large[row] :]] = 1
    return share, alias
