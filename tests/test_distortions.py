"""The study's contrast."""

import jax.numpy as jnp
import numpy as np
import pytest

from phash_jax.distortions import TEST_SETS
from phash_jax.distortions.contrast import contrast_level

RAMP = jnp.arange(256, dtype=jnp.uint8).reshape(16, 16, 1)


def test_level_0_is_the_identity():
    np.testing.assert_array_equal(contrast_level(RAMP, level=0), RAMP)


def test_level_200_multiplies_distances_from_128_by_7_83():
    out = np.asarray(contrast_level(RAMP, level=200)).ravel()
    assert out.dtype == np.uint8
    assert out[128] == 128
    # 259 * 455 / (255 * 59) = 7.8328: 128 + 7.83, 128 - 78.3, and clipped at both ends.
    assert out[129] == 136
    assert out[118] == 50
    assert out[111] == 0
    assert out[145] == 255


def test_level_300_inverts_the_picture():
    out = np.asarray(contrast_level(RAMP, level=300)).ravel().astype(int)
    assert (np.diff(out) <= 0).all()
    assert out[0] == 255
    assert out[255] == 0


@pytest.mark.parametrize("level", [259, -256])
def test_levels_without_a_factor_are_refused(level):
    with pytest.raises(ValueError, match=r"must be -255 or more, got -256|must not be 259"):
        contrast_level(RAMP, level=level)


def test_named_test_sets():
    np.testing.assert_array_equal(TEST_SETS["clean"](RAMP), RAMP)
    np.testing.assert_array_equal(TEST_SETS["contrast_200"](RAMP), contrast_level(RAMP, level=200))
