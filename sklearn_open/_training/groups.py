"""Parameter groups of optimizers: patterns that fit nothing, and groups by number, are refused."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from typing import Any

__all__ = ["check_groups", "check_no_group_by_number"]


def check_groups(parameter: str, groups: Iterable[Any], names: list[str]) -> None:
    """Refuse a pattern that selects nothing: skorch would train those layers like all others."""
    left = names
    for pattern, _ in groups:
        selected = [name for name in left if fnmatch(name, pattern)]
        if not selected:
            layers = ", ".join(repr(f"{layer}*") for layer in _first_parts(names))
            raise ValueError(
                f"{parameter} has a group for {pattern!r}, which fits no parameter of the network "
                "that an earlier group has left. Use patterns that fit whole names of parameters; "
                f"this network has {layers}."
            )
        left = [name for name in left if name not in selected]


def check_no_group_by_number(parameter: str) -> None:
    """Refuse a setting of a group of an optimizer that does not run yet: skorch would forget it."""
    groups, number, _ = parameter.partition("__param_groups__")
    if number:
        raise ValueError(
            f"{parameter} sets a group of a running optimizer, by its number, and this estimator "
            f"has none before fit. Pass {groups}__param_groups=[(pattern, settings), ...] as a "
            "whole; a search goes over several such lists."
        )


def _first_parts(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name.split(".")[0] for name in names))
