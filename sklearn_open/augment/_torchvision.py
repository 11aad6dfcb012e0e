"""Whether a user's augmentation is of torchvision, or holds a transform of it.

Those draw once per call, the same for all images of a batch. They may stand inside of functions and
objects, so what these refer to is looked at; nothing is called for that.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

__all__ = ["draws_once_per_call"]

DEPTH = 4  # a function in an object in a list in ...


def draws_once_per_call(function: Any) -> bool:
    """Whether a call of a function draws for a batch as a whole."""
    return any(
        type(part).__module__.startswith("torchvision.transforms")
        for part in _within(function, DEPTH, set())
    )


def _within(value: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """Yield a value and what it refers to."""
    if id(value) in seen or isinstance(value, (type, types.ModuleType, torch.Tensor)):
        return
    seen.add(id(value))
    yield value
    if depth:
        for part in _parts(value):
            yield from _within(part, depth - 1, seen)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        used = [value.__globals__.get(name) for name in value.__code__.co_names]
        held = [_content(cell) for cell in value.__closure__ or ()]
        return [*used, *held, *(value.__defaults__ or ())]
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, torch.nn.Module):
        return [*value.children(), *vars(value).values()]
    return list(getattr(value, "__dict__", {}).values())


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None
