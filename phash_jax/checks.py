"""Checks of config fields and of arguments: a choice from a table, a range, uint8 values."""

import math
import operator
from collections.abc import Mapping
from typing import Any, TypeVar

Choice = TypeVar("Choice")


def names(text: str) -> list[str]:
    """The names in a comma-separated config field; none in an empty one."""
    return [name.strip() for name in text.split(",") if name.strip()]


def choose(table: Mapping[str, Choice], name: Any, field: str) -> Choice:
    """``table[name]``, or a ValueError that names the config field and the valid choices."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"unknown {field} {name!r}; choose one of {', '.join(table)}")
    return table[name]


def at_least(least: float, value: float, field: str) -> None:
    """ValueError that names the config field if its value is below ``least``, or not finite."""
    if not least <= value < math.inf:
        finite = "" if math.isfinite(value) else " and finite"
        raise ValueError(f"{field} must be {least} or more{finite}, got {value}")


def within(low: float, high: float, value: float, field: str, *, below: bool = False) -> None:
    """ValueError that names the config field unless its value is from ``low`` to ``high``.

    Args:
        low: the lowest value.
        high: the highest value, or with ``below`` the lowest that is too high.
        value: of the field.
        field: dotted name of the field.
        below: whether ``high`` is too high.
    """
    if not low <= value <= high or (below and value == high):
        raise ValueError(f"{field} must be from {low} to {'below ' * below}{high}, got {value}")


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


def check_image(image: Any, what: str) -> None:
    """As ``check_uint8``, and ValueError if it is not one image: height, width and channels."""
    check_uint8(image, what)
    if image.ndim != 3:
        raise ValueError(f"{what} takes one image [H, W, C] (jax.vmap for more), got {image.shape}")


def check_uint8(image: Any, what: str) -> None:
    """TypeError, with a message that begins with ``what``, if the values are not uint8."""
    # By name: main.py, which needs the other checks, imports NumPy only when there is work to do.
    if str(getattr(image, "dtype", None)) != "uint8":
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"{what} takes uint8 values from 0 to 255, got {kind}")
