"""Photon counts beside the Poisson distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from phash_jax.distortions import noise


def table_probabilities(severity):
    """What the table makes of uniform bits: a probability for each value and count."""
    packed = noise._alias_tables()[0].reshape(5, 256, 512)[severity - 1]
    share, alias = (packed >> 9) / 2**23, packed & 511
    share = np.where(alias == np.arange(512), 1, share)
    probabilities = share / 512
    rows = np.repeat(np.arange(256), 512)
    np.add.at(probabilities, (rows, alias.ravel()), ((1 - share) / 512).ravel())
    return probabilities


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_table_is_poissons_distribution(severity):
    photons = (500, 250, 100, 75, 50)[severity - 1]
    means = photons * np.arange(256)[:, None] / 255
    exact = stats.poisson.pmf(np.arange(512), means)
    exact[:, -1] += stats.poisson.sf(511, means[:, 0])
    away = np.abs(table_probabilities(severity) - exact).sum(1) / 2
    assert away.max() < 1e-7


@pytest.mark.parametrize(("value", "severity"), [(255, 1), (128, 3), (7, 5), (200, 4)])
def test_draws_are_poissons(value, severity):
    photons = (500, 250, 100, 75, 50)[severity - 1]
    image = jnp.full((1000, 1000, 1), value, jnp.uint8)
    distorted = np.asarray(noise.shot_noise(jax.random.key(1), image, severity)).ravel()
    counts = np.arange(4 * photons + 100)
    as_byte = (np.clip(counts / photons, 0, 1) * 255).astype(np.uint8)
    probabilities = np.zeros(256)
    np.add.at(probabilities, as_byte, stats.poisson.pmf(counts, photons * value / 255))
    expected = 1e6 * probabilities / probabilities.sum()
    seen = np.bincount(distorted, minlength=256)
    # What is expected less than 10 times is taken together.
    rare = expected < 10
    seen = [*seen[~rare], seen[rare].sum()]
    expected = [*expected[~rare], expected[rare].sum()]
    assert stats.chisquare(seen, expected).pvalue > 1e-4
