"""Checks of config fields: names, choices from a table, numbers with a lower bound."""

import math
import operator
from collections.abc import Mapping
from typing import Any, TypeVar

Choice = TypeVar("Choice")


def names(text: str) -> list[str]:
    """The names in a comma-separated config field; none in an empty one."""
    return [name.strip() for name in text.split(",") if name.strip()]


def choose(table: Mapping[str, Choice], name: str, field: str) -> Choice:
    """``table[name]``, or a ValueError that names the config field and the valid choices."""
    if name not in table:
        raise ValueError(f"unknown {field} {name!r}; choose one of {', '.join(table)}")
    return table[name]


def at_least(least: float, value: float, field: str) -> None:
    """ValueError that names the config field if its value is below ``least``, or not finite."""
    if not least <= value < math.inf:
        finite = "" if math.isfinite(value) else " and finite"
        raise ValueError(f"{field} must be {least} or more{finite}, got {value}")


def whole_number(value: Any, name: str, *, least: int, most: int | None = None) -> int:
    """The argument ``name`` as Python's int, which unlike NumPy's small ones never wraps around.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is out of range.
    """
    try:
        number = operator.index(value)
    except TypeError as error:
        static = "; under jit name it in static_argnames" * type(value).__name__.endswith("Tracer")
        raise TypeError(f"{name} must be a whole number, got {value!r}{static}") from error
    if number < least or (most is not None and number > most):
        span = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} must be {span}, got {number}")
    return number
