"""What `fit` was given besides images and labels: for the network's `forward`, or for the split."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["check_fit_params", "those_taken_by"]

INSTEAD = {
    "sample_weight": (
        "Rows are not weighted one by one: weight classes with criterion__weight=..., or repeat "
        "rows with a resampler. (A network whose forward takes sample_weight gets it.)"
    ),
    "groups": (
        "Groups are for holding rows out: pass train_split=ValidSplit(GroupKFold(5)), or use them "
        "in cross_val_score(..., groups=groups)."
    ),
}
OTHERWISE = "Leave it out, or pass a network whose forward takes it."


def those_taken_by(function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a function can be called with by name."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return params
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return params
    return {name: value for name, value in params.items() if name in known}


def check_fit_params(forward: Any, split: Any, params: dict[str, Any]) -> None:
    """Refuse what neither the network nor the split takes.

    Raises
    ------
    TypeError
        With what to do instead.
    """
    takers = [forward, split] if split else [forward]
    taken = {name for taker in takers for name in those_taken_by(taker, params)}
    given = {name for name in params if not name.startswith("_")}  # skorch's own
    for name in given - taken:
        raise TypeError(
            f"fit was given {name}=..., which neither the network's forward nor train_split takes. "
            f"{INSTEAD.get(name, OTHERWISE)}"
        )
