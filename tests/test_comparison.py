"""Statistics over seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from phash_jax.comparison import (
    UNDEFINED,
    holm,
    interval_of_one_more,
    mean_and_interval,
    paired_difference,
)


def test_interval_is_students():
    # 4 values, mean 2.5, standard deviation 1.29099; t(0.975, 3) = 3.18245.
    out = mean_and_interval([1.0, 2.0, 3.0, 4.0])
    assert out["mean"] == 2.5
    np.testing.assert_allclose(out["ci95"], [2.5 - 2.05426, 2.5 + 2.05426], atol=1e-5)
    assert mean_and_interval([0.5]) == {"mean": 0.5, "ci95": None}
    assert mean_and_interval([100, None]) == {"mean": None, "ci95": None}


def test_values_may_be_an_array():
    values = [0.5, 0.7, 0.6]
    assert mean_and_interval(np.array(values)) == mean_and_interval(values)
    assert mean_and_interval(np.array([])) == {"mean": None, "ci95": None}


def test_interval_of_one_more_is_wider_by_the_spread_of_one():
    out = interval_of_one_more([1.0, 2.0, 3.0, 4.0])
    half = 3.18245 * 1.29099 * (1 + 1 / 4) ** 0.5
    np.testing.assert_allclose(out["ci95"], [2.5 - half, 2.5 + half], atol=1e-4)
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2_000):
        *seen, new = rng.normal(size=5)
        low, high = interval_of_one_more(seen)["ci95"]
        inside += low <= new <= high
    # 95 % of 2,000 less or more four standard deviations.
    assert abs(inside - 1_900) < 40


def test_paired_difference_is_scipys_paired_test_over_common_seeds():
    ours, base = {2: 0.71, 0: 0.74, 1: 0.70, 9: 0.9}, {0: 0.70, 1: 0.69, 2: 0.65}
    out = paired_difference(ours, base)
    paired = np.array([[ours[seed], base[seed]] for seed in (0, 1, 2)])
    expected = stats.ttest_rel(*paired.T)
    assert out["mean"] == pytest.approx(-np.diff(paired).mean())
    assert out["p"] == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(out["ci95"], expected.confidence_interval(0.95))


def test_paired_difference_where_there_is_little_to_compare():
    one = paired_difference({0: 0.7}, {0: 0.5})
    assert one == {"mean": pytest.approx(0.2), "ci95": None, "p": None}
    assert paired_difference({0: 0.7}, {1: 0.5}) == UNDEFINED
    assert paired_difference({0: 100, 1: None}, {0: 90, 1: 90}) == UNDEFINED
    assert paired_difference({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5})["p"] == 1.0
    # Two seeds that differ by the same number of images are no certainty, however it is rounded.
    shifted = paired_difference({0: 0.4, 1: 0.3}, {0: 0.3, 1: 0.2})
    assert 0.4 - 0.3 != 0.3 - 0.2
    assert shifted == {"mean": pytest.approx(0.1), "ci95": None, "p": None}
    assert mean_and_interval([0.7, 0.7, 0.7]) == {"mean": pytest.approx(0.7), "ci95": None}


def test_what_is_not_a_number_is_not_counted():
    assert holm([math.nan, 0.01, None, 0.02]) == [None, 0.02, None, 0.02]


def test_holm_adjusts_step_by_step():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and never below the one before.
    assert holm([0.02, 0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.06, 0.04, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.01, None]) == [0.01, None]
    assert holm([]) == []
