"""Norm layers of a network in training are converted; its optimisers follow.

The gammas and betas of auxiliary layers are trained with the settings of the layers beside them
(learning rate, weight decay), but in groups of their own: they get gradients from `start_epoch` on
only, and fused SGD cannot have parameters with and without momentum in one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sklearn_open.nn._aux_bn import auxiliary_layers
from sklearn_open.nn._convert import convert_norm, revert_norm
from sklearn_open.nn._routed import RoutedNorm

__all__ = [
    "add_auxiliary",
    "convert_in_training",
    "drop_auxiliary",
    "ordinary_norm",
    "without_auxiliary",
]


def convert_in_training(
    module: nn.Module, optimizers: Sequence[Optimizer], norm: str, noise_grad: str
) -> None:
    """Convert norm layers (see `convert_norm`), and let optimisers train what is new."""
    if norm != "aux":
        drop_auxiliary(module, optimizers)
    convert_norm(module, norm, noise_grad=noise_grad)
    add_auxiliary(module, optimizers)


@contextmanager
def ordinary_norm(
    module: nn.Module, optimizers: Sequence[Optimizer], norm: str, noise_grad: str
) -> Iterator[None]:
    """Undo the conversion for a while: fits without noise have ordinary batch norm.

    For networks that have not trained with noise: auxiliary layers are new ones afterwards.
    """
    converted = any(isinstance(layer, RoutedNorm) for layer in module.modules())
    drop_auxiliary(module, optimizers)
    revert_norm(module)
    try:
        yield
    finally:
        if converted:
            convert_in_training(module, optimizers, norm, noise_grad)


def add_auxiliary(module: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Let optimisers train the auxiliary layers."""
    pairs = [
        (layer.get_parameter(name), second)  # type: ignore[attr-defined]
        for layer in auxiliary_layers(module)
        for name, second in layer.auxiliary.named_parameters()
    ]
    for optimizer in optimizers:
        trained = {p for group in optimizer.param_groups for p in group["params"]}
        for group in list(optimizer.param_groups):
            mine = set(group["params"])
            new = [second for first, second in pairs if first in mine and second not in trained]
            if new:
                settings = {name: value for name, value in group.items() if name != "params"}
                optimizer.add_param_group({**settings, "params": new})


def drop_auxiliary(module: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Let optimisers forget the auxiliary layers."""
    second = _parameters(module)
    for optimizer in optimizers:
        groups = optimizer.param_groups
        groups[:] = [group for group in groups if second.isdisjoint(group["params"])]
        for parameter in second:
            optimizer.state.pop(parameter, None)


def without_auxiliary(module: nn.Module, named: Iterable[Any]) -> Iterator[Any]:
    """Yield named parameters, except those of auxiliary layers."""
    second = _parameters(module)
    return ((name, parameter) for name, parameter in named if parameter not in second)


def _parameters(module: nn.Module) -> set[torch.Tensor]:
    return {p for layer in auxiliary_layers(module) for p in layer.auxiliary.parameters()}
