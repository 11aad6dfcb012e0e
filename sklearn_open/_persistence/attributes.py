"""What callbacks may change of networks and criteria besides weights: attributes of their layers.

A dropout rate, the momentum of a batch norm, class weights that a criterion was made without: they
are no part of a state dict, and training depends on them.
"""

from __future__ import annotations

import inspect
import io
import pickle
from typing import Any

import torch
from torch import nn

__all__ = [
    "all_attributes",
    "buffers_of",
    "kept_attributes",
    "other_attributes",
    "set_attributes",
    "set_buffers",
]

Path = tuple[str, str]  # of a layer, and the name of its attribute

# What a module keeps for torch, or for the route and mode that a step is in.
OF_TORCH = frozenset(vars(nn.Module())) | {"on_noise_route"}


def all_attributes(module: nn.Module) -> dict[Path, Any]:
    """Return the attributes of all layers, without weights, buffers, layers and what is torch's."""
    return {
        (path, name): value
        for path, layer in module.named_modules()
        for name, value in vars(layer).items()
        if name not in OF_TORCH
    }


def kept_attributes(module: nn.Module) -> dict[Path, Any]:
    """Return the attributes that a file can hold: whatever pickles, but no code and no layers."""
    return {at: value for at, value in all_attributes(module).items() if _can_be_kept(value)}


def other_attributes(module: nn.Module) -> dict[Path, str]:
    """Return what the other attributes are, and how many hooks there are: what must not change."""
    others = {
        at: getattr(value, "__qualname__", "") or type(value).__qualname__
        for at, value in all_attributes(module).items()
        if not _can_be_kept(value)
    }
    for path, layer in module.named_modules():
        for name, hooks in vars(layer).items():
            if name.endswith("_hooks") and isinstance(hooks, dict) and hooks:
                others[path, name] = str(len(hooks))
    for path, parameter in module.named_parameters():
        if hooks := getattr(parameter, "_backward_hooks", None):
            others[path, "hooks"] = str(len(hooks))
    return others


def set_attributes(module: nn.Module, reached: dict[Path, Any]) -> None:
    """Set attributes to what they were; those that were not there are removed."""
    own = kept_attributes(module)
    for (path, name), value in reached.items():
        if (path, name) not in own or not _is_same(own[path, name], value):
            setattr(module.get_submodule(path), name, value)
    for path, name in own.keys() - reached.keys():
        delattr(module.get_submodule(path), name)


class _Probe(pickle.Pickler):
    """Refuses parts of a network."""

    def persistent_id(self, obj: Any) -> None:
        if isinstance(obj, (nn.Module, nn.Parameter)):
            raise pickle.PicklingError


def _can_be_kept(value: Any) -> bool:
    if isinstance(value, type) or inspect.isroutine(value):  # code, which is where it is written
        return False
    try:
        _Probe(io.BytesIO()).dump(value)
    except Exception:  # pickling raises about anything
        return False
    return True


def _is_same(one: Any, other: Any) -> bool:
    return one is other or pickle.dumps(one) == pickle.dumps(other)


def buffers_of(module: nn.Module) -> dict[Path, torch.Tensor | None]:
    """Return all buffers, those that are None included: a criterion may be made without weights."""
    return {
        (path, name): buffer
        for path, layer in module.named_modules()
        for name, buffer in layer._buffers.items()
    }


def set_buffers(module: nn.Module, reached: dict[Path, torch.Tensor | None]) -> None:
    """Give buffers the values that they had, also where there was none, or one of another shape."""
    for (path, name), value in reached.items():
        layer = module.get_submodule(path)
        own = layer._buffers.get(name)
        if value is None or own is None or own.shape != value.shape or own.dtype != value.dtype:
            setattr(layer, name, value)
        else:
            with torch.no_grad():
                own.copy_(value)  # in place: others may hold on to it
