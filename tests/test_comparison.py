"""Statistics over seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from phash_jax.comparison import holm, interval_of_one_more, mean_and_interval, paired_difference


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
    ours, base = [0.71, 0.74, 0.70, 0.9], [0.65, 0.70, 0.69]
    out = paired_difference(ours, base, our_seeds=[2, 0, 1, 9], base_seeds=[2, 0, 1])
    expected = stats.ttest_rel(ours[:3], base)
    assert out["seeds"] == 3
    assert out["mean"] == pytest.approx(np.mean(np.array(ours[:3]) - base))
    assert out["p"] == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(out["ci95"], expected.confidence_interval(0.95))


def test_paired_difference_where_there_is_little_to_compare():
    one = paired_difference([0.7], [0.5], our_seeds=[0], base_seeds=[0])
    assert one == {"mean": pytest.approx(0.2), "ci95": None, "p": None, "seeds": 1}
    none = paired_difference([0.7], [0.5], our_seeds=[0], base_seeds=[1])
    assert none == {"mean": None, "ci95": None, "p": None, "seeds": 0}
    never = paired_difference([100, None], [90, 90], our_seeds=[0, 1], base_seeds=[0, 1])
    assert never["mean"] is None
    same = paired_difference([0.5, 0.5], [0.5, 0.5], our_seeds=[0, 1], base_seeds=[0, 1])
    assert same["p"] == 1.0
    # Two seeds that differ by the same number of images are no certainty, however it is rounded.
    shifted = paired_difference([0.4, 0.3], [0.3, 0.2], our_seeds=[0, 1], base_seeds=[0, 1])
    assert 0.4 - 0.3 != 0.3 - 0.2
    assert shifted == {"mean": pytest.approx(0.1), "ci95": None, "p": None, "seeds": 2}
    assert mean_and_interval([0.7, 0.7, 0.7]) == {"mean": pytest.approx(0.7), "ci95": None}


def test_what_is_not_a_number_is_not_counted_and_a_seed_counts_once():
    adjusted = holm([math.nan, 0.01, None, 0.02])
    assert adjusted == [None, 0.02, None, 0.02]
    with pytest.raises(ValueError, match="a seed occurs twice: 0, 0"):
        paired_difference([1, 2], [1, 2], our_seeds=[0, 0], base_seeds=[0, 1])


def test_holm_adjusts_step_by_step():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and never below the one before.
    assert holm([0.02, 0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.06, 0.04, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.01, None]) == [0.01, None]
    assert holm([]) == []
