"""What callbacks may change of networks and criteria besides weights: attributes of their layers.

A dropout rate, the momentum of a batch norm, class weights that a criterion was made without: they
are no part of a state dict, and training depends on them.
"""

from __future__ import annotations

import pickle
from typing import Any

import torch
from torch import nn

__all__ = ["attributes_of", "buffers_of", "others_of", "set_attributes", "set_buffers"]

Path = tuple[str, str]  # of a layer, and the name of its attribute

# What a module keeps for torch, or for the route and mode that a step is in.
OF_TORCH = frozenset(vars(nn.Module())) | {"on_noise_route"}


def attributes_of(module: nn.Module) -> dict[Path, Any]:
    """Return the attributes of all layers that are plain values: numbers, text, arrays, tensors."""
    return {
        (path, name): value
        for path, layer in module.named_modules()
        for name, value in vars(layer).items()
        if name not in OF_TORCH and _is_plain(value)
    }


def others_of(module: nn.Module) -> dict[Path, str]:
    """Return what the attributes are that are no plain values: functions and other objects."""
    return {
        (path, name): f"{type(value).__module__}.{getattr(value, '__qualname__', type(value))}"
        for path, layer in module.named_modules()
        for name, value in vars(layer).items()
        if name not in OF_TORCH and not _is_plain(value)
    }


def set_attributes(module: nn.Module, reached: dict[Path, Any]) -> None:
    """Set attributes to what they were; those that were not there are removed."""
    for (path, name), value in reached.items():
        layer = module.get_submodule(path)
        if name not in vars(layer) or not _is_same(vars(layer)[name], value):
            setattr(layer, name, value)
    for path, name in attributes_of(module).keys() - reached.keys():
        delattr(module.get_submodule(path), name)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list, set, frozenset)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, (torch.Tensor, torch.device, torch.dtype, torch.Size)):
        return not isinstance(value, nn.Parameter)
    module = type(value).__module__
    return value is None or (module == "builtins" and _pickles(value)) or module == "numpy"


def _pickles(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, str, bytes, range, slice))


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
