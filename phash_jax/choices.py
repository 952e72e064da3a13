"""Checks of config fields: names, choices from a table, numbers that have a least value."""

import math
from collections.abc import Mapping
from typing import TypeVar

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
        raise ValueError(f"{field} must be {least} or more, got {value}")
