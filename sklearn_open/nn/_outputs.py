"""What networks return: logits, or a structure of tensors with logits among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

__all__ = ["main_output", "map_rows"]

LOGITS = ("logits", "out")  # "out": torchvision's segmentation networks, and many loops


def main_output(output: Any) -> torch.Tensor:
    """Return the logits of what a network returned.

    They are the output itself, what it calls "logits" (Hugging Face's outputs, mappings, data
    classes), or the first of several.
    """
    for name in LOGITS:
        if isinstance(output, Mapping) and name in output:
            return output[name]
        if not isinstance(output, torch.Tensor) and isinstance(
            getattr(output, name, None), torch.Tensor
        ):
            return getattr(output, name)
    return output[0] if isinstance(output, (tuple, list)) else output


def map_rows(fn: Any, *outputs: Any) -> Any:
    """Apply `fn` to the list of corresponding tensors of network outputs of one structure."""
    first = outputs[0]
    if isinstance(first, torch.Tensor):
        return fn(list(outputs))
    if isinstance(first, Mapping):
        return type(first)({k: _map_part(fn, [o[k] for o in outputs]) for k in first})  # type: ignore[call-arg]
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return replace(first, **{n: _map_part(fn, [getattr(o, n) for o in outputs]) for n in names})
    if isinstance(first, (tuple, list)):
        parts = [map_rows(fn, *group) for group in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if first is None:  # torchvision's auxiliary heads, when switched off
        return None
    raise TypeError(
        f"the network returned a {type(first).__name__}; rows can be merged for tensors and for "
        "tuples, lists and mappings of tensors."
    )


def _map_part(fn: Any, parts: list[Any]) -> Any:
    """Apply `fn` to a part that has a name; what is not of rows (a loss, a text) is the first's."""
    first = parts[0]
    of_rows = not isinstance(first, (str, bool, int, float)) and getattr(first, "ndim", 1) > 0
    return map_rows(fn, *parts) if of_rows else first
