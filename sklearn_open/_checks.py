"""Small checks that all parts share, and what their errors say."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeGuard

__all__ = [
    "check_one_of",
    "check_whole",
    "is_number",
    "is_whole",
    "listed",
    "near_names",
    "shortened",
]


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_whole(name: str, value: Any, least: int, hint: str = "") -> int:
    """Return a whole number of `least` or more as an int.

    Parameters
    ----------
    name : str
        What errors call it.
    value : object
        What was given.
    least : int
        The smallest number allowed.
    hint : str, default=""
        What an error adds.

    Raises
    ------
    ValueError
        For anything else.
    """
    if not is_whole(value) or value < least:
        raise ValueError(f"{name}={value!r}: pass a whole number of {least} or more{hint}.")
    return int(value)


def check_one_of(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError unless a value is one of some names."""
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown. Use one of {listed(allowed)}.")


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence lists them."""
    return ", ".join(map(repr, names))


def near_names(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the question whether a near name was meant, or "" where none is near.

    Parameters
    ----------
    name : str
        A name that is not known.
    known : iterable of str
        Names that are; upper and lower case do not matter.
    prefix : str, default=""
        What is written before a name that is known.
    """
    lower = {candidate.lower(): candidate for candidate in known}
    near = [prefix + lower[match] for match in get_close_matches(name.lower(), lower, n=3)]
    return f" Is it {' or '.join(map(repr, near))}?" if near else ""


def shortened(text: str, length: int = 60) -> str:
    """Return a text, cut off where it is long."""
    return text if len(text) <= length else f"{text[: length - 3]}..."
