"""Auxiliary norm layers come and go; the optimisers of a net follow.

Their gammas and betas are trained with the settings of the layers beside them (learning rate,
weight decay), but in groups of their own: they get gradients from `start_epoch` on only, and fused
SGD cannot have parameters with and without momentum in one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from sklearn_open.nn._aux_bn import auxiliary_layers

__all__ = ["add_auxiliary", "drop_auxiliary", "without_auxiliary"]


def add_auxiliary(net: Any) -> None:
    """Let the optimisers train the auxiliary layers."""
    pairs = [
        (layer.get_parameter(name), second)
        for layer in _layers(net)
        for name, second in layer.auxiliary.named_parameters()
    ]
    for optimizer in _optimizers(net):
        trained = {p for group in optimizer.param_groups for p in group["params"]}
        for group in list(optimizer.param_groups):
            mine = set(group["params"])
            new = [second for first, second in pairs if first in mine and second not in trained]
            if new:
                settings = {name: value for name, value in group.items() if name != "params"}
                optimizer.add_param_group({**settings, "params": new})


def drop_auxiliary(net: Any) -> None:
    """Let the optimisers forget the auxiliary layers."""
    second = _parameters(net)
    for optimizer in _optimizers(net):
        groups = optimizer.param_groups
        groups[:] = [group for group in groups if second.isdisjoint(group["params"])]
        for parameter in second:
            optimizer.state.pop(parameter, None)


def without_auxiliary(net: Any, named: Iterable[Any]) -> Iterator[Any]:
    """Yield named parameters, except those of auxiliary layers."""
    second = _parameters(net)
    return ((name, parameter) for name, parameter in named if parameter not in second)


def _layers(net: Any) -> list[Any]:
    module = getattr(net, "module_", None)  # nets of skorch's kind may name theirs otherwise
    return [] if module is None else list(auxiliary_layers(module))


def _parameters(net: Any) -> set[torch.Tensor]:
    return {p for layer in _layers(net) for p in layer.auxiliary.parameters()}


def _optimizers(net: Any) -> list[Any]:
    return [getattr(net, f"{name}_") for name in net._optimizers]
