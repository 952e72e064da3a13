"""Numbers as the report writes them."""

from typing import Any


def percent(value: float) -> str:
    """A fraction as percent."""
    return f"{100 * value:.1f} %"


def percent_with_interval(statistic: dict[str, Any]) -> str:
    """The mean of a fraction, and its interval where there is one."""
    if statistic["mean"] is None:
        return "-"
    low_high = statistic["ci95"]
    return percent(statistic["mean"]) + (
        f" [{100 * low_high[0]:.1f}, {100 * low_high[1]:.1f}]" if low_high else ""
    )


def points(statistic: dict[str, Any]) -> str:
    """The mean of a difference between fractions in points, signed, and its interval."""
    if statistic["mean"] is None:
        return "-"
    low_high = statistic["ci95"]
    return f"{100 * statistic['mean']:+.1f}" + (
        f" [{100 * low_high[0]:+.1f}, {100 * low_high[1]:+.1f}]" if low_high else ""
    )


def number_with_interval(statistic: dict[str, Any]) -> str:
    """A mean of four decimals, and its interval where there is one."""
    low_high = statistic["ci95"]
    interval = f" [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
    return f"{statistic['mean']:.4f}{interval}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
