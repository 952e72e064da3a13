"""Statistics of networks trained with the same seeds: paired differences, intervals, Holm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

# A number for each seed.
OfSeeds = Mapping[int, float | None]
# The difference of what has none.
UNDEFINED: dict[str, Any] = {"mean": None, "ci95": None, "p": None}


def mean_and_interval(
    values: Sequence[float | None] | Float[np.ndarray, " seeds"],
) -> dict[str, Any]:
    """Mean over seeds and its 95 % interval from Student's t.

    Args:
        values: one per seed; None (a seed that never reached a mark) leaves both undefined.

    Returns:
        ``{"mean": m, "ci95": [low, high]}``; None where undefined (the interval of one seed, or of
        equal values, which do not show how far apart other seeds would be).
    """
    return _around_mean(values, lambda n: 1 / n)


def interval_of_one_more(values: Sequence[float]) -> dict[str, Any]:
    """As ``mean_and_interval``, but the interval holds one more run 95 times out of 100.

    The study trained every network once. This interval tells whether its number could have been one
    of our runs; the interval of the mean shrinks to a point with many seeds.
    """
    return _around_mean(values, lambda n: 1 + 1 / n)


def _around_mean(values, share_of_variance) -> dict[str, Any]:
    if not len(values) or any(value is None for value in values):
        return {"mean": None, "ci95": None}
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return {"mean": mean, "ci95": None}
    spread = _spread(values) * share_of_variance(n) ** 0.5
    if not spread:
        return {"mean": mean, "ci95": None}
    half = float(special.stdtrit(n - 1, 0.975)) * spread
    return {"mean": mean, "ci95": [mean - half, mean + half]}


def _spread(values: Sequence[float] | Float[np.ndarray, " seeds"]) -> float:
    """Standard deviation; 0 where values differ by rounding only."""
    spread = float(np.std(values, ddof=1))
    return spread if spread > 1e-9 * max(map(abs, values)) else 0.0


def paired_difference(ours: OfSeeds, base: OfSeeds) -> dict[str, Any]:
    """Mean of ours minus base over the seeds that both have.

    A seed has the same initial weights and the same batches in both, so that whatever luck lies in
    these cancels out; between networks trained in different ways that is little.

    Args:
        ours: a value for each seed; None leaves the difference undefined.
        base: what they are compared with, likewise.

    Returns:
        ``mean``, ``ci95`` (Student's t) and ``p`` (two-sided paired t-test); None where undefined.
        Where all seeds differ by the same amount, ``p`` is None, or 1 if that amount is 0.
    """
    pairs = [(value, base[seed]) for seed, value in ours.items() if seed in base]
    if any(value is None for pair in pairs for value in pair):
        return UNDEFINED
    # Else two equal differences of fractions could differ by rounding.
    differences = [round(a - b, 12) for a, b in pairs]
    return mean_and_interval(differences) | {"p": _p_value(differences)}


def _p_value(differences: list[float]) -> float | None:
    n = len(differences)
    if n < 2:
        return None
    error = _spread(differences) / n**0.5
    mean = float(np.mean(differences))
    if not error:
        return None if mean else 1.0
    return float(2 * special.stdtr(n - 1, -abs(mean) / error))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for their number by the step-down method of Holm (1979).

    Rejecting where the adjusted value is below 0.05 is wrong about any of them at most 5 times out
    of 100, however the tests depend on one another. None and NaN become None and are not counted.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None and not np.isnan(p))
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted
