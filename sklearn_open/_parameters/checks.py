"""Values that single parameters may have: a function for each kind, called with name and value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from typing import Any

from sklearn_open._checks import check_one_of, is_number, is_whole, listed
from sklearn_open.losses._names import LOSSES, find_loss
from sklearn_open.over_sampling._pure_noise import check_delta
from sklearn_open.plan import check_epoch

__all__ = [
    "Check",
    "above_zero_or_none",
    "batch_rows",
    "criterion",
    "decay",
    "epochs",
    "folder",
    "is_auto",
    "milestones",
    "mode_of_compile",
    "number",
    "one_of",
    "one_of_or_none",
    "or_auto",
    "period",
    "share",
]

Check = Callable[[str, Any], None]
"""Raises ValueError, saying what is needed, for a value that a parameter cannot have."""


def is_auto(value: Any) -> bool:
    """Whether a value is the word "auto"."""
    return isinstance(value, str) and value == "auto"


def or_auto(check: Check) -> Check:
    """Return a check that lets "auto" pass, too."""
    return partial(_or_auto, check)


def _or_auto(check: Check, name: str, value: Any) -> None:
    if is_auto(value):
        return
    try:
        check(name, value)
    except ValueError as error:
        raise ValueError(f"{error} Or pass 'auto'.") from None


def one_of(allowed: Iterable[str]) -> Check:
    """Return a check for one of several names: those that are listed when it is called."""
    return partial(_one_of, allowed)


def _one_of(allowed: Iterable[str], name: str, value: Any) -> None:
    check_one_of(name, value, allowed)


def share(name: str, value: Any) -> None:
    """Check a share of noise, or None."""
    if value is not None:
        check_delta(value)


def above_zero_or_none(name: str, value: Any) -> None:
    """Check a number above 0, or None."""
    if value is not None and (not is_number(value) or not 0 < float(value) < float("inf")):
        raise ValueError(f"{name}={value!r}: pass a number above 0, such as 1.0, or None.")


def number(name: str, value: Any) -> None:
    """Check a number that is finite."""
    if not is_number(value) or not abs(float(value)) < float("inf"):
        raise ValueError(f"{name}={value!r} is not a number. Pass one, such as 1.0, or 0.")


def criterion(name: str, value: Any) -> None:
    """Check a loss: a class, an instance, or a name."""
    if not callable(find_loss(value)):
        raise ValueError(
            f"{name}={value!r} is no loss. Pass a class, such as torch.nn.CrossEntropyLoss, or a "
            f"name: {listed(LOSSES)}."
        )


def one_of_or_none(allowed: Iterable[str]) -> Check:
    """Return a check for None or one of several names."""
    return partial(_one_of_or_none, allowed)


def _one_of_or_none(allowed: Iterable[str], name: str, value: Any) -> None:
    if value is not None:
        check_one_of(name, value, allowed)


def epochs(name: str, value: Any) -> None:
    """Check a number of epochs to train for."""
    if not is_whole(value) or value < 0:
        raise ValueError(f"{name}={value!r} is not a number of epochs. Pass an int of 0 or more.")


def period(name: str, value: Any) -> None:
    """Check a number of epochs from one event to the next."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name}={value!r} is not a number of epochs. Pass an int of 1 or more.")


def milestones(name: str, value: Any) -> None:
    """Check a sequence of epochs, or shares of all epochs."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{name}={value!r} is not a sequence of epochs.")
    for milestone in value:
        check_epoch(f"{name} entry", milestone)


def decay(name: str, value: Any) -> None:
    """Check a factor above 0, or the name of a decay."""
    if isinstance(value, str) and value == "cosine":
        return
    if not is_number(value) or not float(value) > 0:
        raise ValueError(f"{name}={value!r} is not a factor. Pass a number above 0, or 'cosine'.")


def batch_rows(name: str, value: Any) -> None:
    """Check a number of rows, or -1 for all."""
    if not is_whole(value) or (value < 1 and value != -1):
        raise ValueError(
            f"{name}={value!r} is not a number of rows. Pass an int of 1 or more, or -1 for all "
            "rows in one batch."
        )


def true_or_false(name: str, value: Any) -> None:
    """Check a bool."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} is unknown. Pass True or False.")


def mode_of_compile(name: str, value: Any) -> None:
    """Check whether to compile, or a mode to do it in."""
    if not isinstance(value, (bool, str)):
        raise ValueError(
            f"{name}={value!r} is unknown. Pass True, False or a mode of torch.compile, such as "
            "'reduce-overhead'."
        )


def folder(name: str, value: Any) -> None:
    """Check the path of a folder, or None."""
    if value == "" or not isinstance(value, (str, PathLike, type(None))):
        raise ValueError(f"{name}={value!r} is not a folder. Pass a path or None.")
