"""Numbers, commands and pictures as the report writes them."""

import re
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from phash_jax.checks import names
from phash_jax.report.collect import Run

_ONLY = "--config.only="


def percent(value: float) -> str:
    """A fraction as percent."""
    return f"{100 * value:.1f} %"


def percent_with_interval(statistic: dict[str, Any], *, lowest: float = 0.0) -> str:
    """The mean of a fraction, and its interval where there is one, cut at what a fraction can be.

    Args:
        statistic: as ``mean_and_interval`` gives it.
        lowest: that it can be; 1 is the highest.
    """
    if statistic["mean"] is None:
        return "-"
    if statistic["ci95"] is None:
        return percent(statistic["mean"])
    low, high = (min(max(bound, lowest), 1.0) for bound in statistic["ci95"])
    return f"{percent(statistic['mean'])} [{100 * low:.1f}, {100 * high:.1f}]"


def points(statistic: dict[str, Any]) -> str:
    """The mean of a difference between fractions in points, signed, and its interval.

    Below zero, however little, it is -0.0: on which side of zero an interval ends is to be seen.
    """
    if statistic["mean"] is None:
        return "-"
    values = [statistic["mean"], *(statistic["ci95"] or [])]
    # Zero itself may have a sign, which says nothing.
    mean, *low_high = (f"{100 * value + 0.0:+.1f}" for value in values)
    return f"{mean} [{', '.join(low_high)}]" if low_high else mean


def without_interval(statistic: dict[str, Any]) -> dict[str, Any]:
    """For long lists, where an interval for each would hide the names."""
    return {**statistic, "ci95": None}


def number_with_interval(statistic: dict[str, Any]) -> str:
    """A mean of four decimals, and its interval where there is one."""
    low_high = statistic["ci95"]
    interval = f" [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
    return f"{statistic['mean']:.4f}{interval}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def commands(runs: Sequence[Run]) -> str:
    """The commands that made some runs, as a block; one for those that differ in ``only`` alone."""
    asked_for: dict[str, list[str]] = {}
    for command in dict.fromkeys(run.starts[-1]["command"] for run in runs if run.starts):
        for_all, only = _without_only(command)
        asked_for.setdefault(for_all, []).append(only)
    lines = []
    for command, asked in asked_for.items():
        found = dict.fromkeys(name for only in asked for name in names(only))
        # A command without ``only`` made all of the runs.
        lines.append(command + (f" {shlex.quote(_ONLY + ','.join(found))}" if all(asked) else ""))
    return "```sh\n" + "\n".join(lines) + "\n```\n\n" if lines else ""


def _without_only(command: str) -> tuple[str, str]:
    """A command without its ``--config.only=``, and what that asks for."""
    try:
        words = shlex.split(command)
    except ValueError:  # not one of ours
        return command, ""
    only = [word for word in words if word.startswith(_ONLY)]
    if not only:
        return command, ""
    return shlex.join(word for word in words if word not in only), only[-1].removeprefix(_ONLY)


def picture(caption: str, file: str) -> str:
    """A picture in the folder ``figures``, whatever its name, as Markdown."""
    escaped = re.sub(r"([\[\]\\])", r"\\\1", caption)
    return f"![{escaped}](figures/{quote(file)})\n\n"
