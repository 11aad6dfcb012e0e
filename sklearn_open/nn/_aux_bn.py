"""Auxiliary batch norm: a second layer of its own for noise rows.

From Xie et al., "Adversarial Examples Improve Image Recognition" (AdvProp), CVPR 2020; the second
row of the OPeN paper's Table 4.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import nn

from sklearn_open.nn._routed import RoutedNorm, is_single_value
from sklearn_open.nn._synced import is_synced

__all__ = ["AuxNorm", "auxiliary_keys", "auxiliary_layers", "named_layers"]


class AuxNorm(RoutedNorm):
    """What gives a batch norm layer a second one for noise rows; mixed in before its own class.

    On the natural route, and always in eval mode, the layer is its base class, bit for bit. On
    the noise route of training mode, rows go through `auxiliary` and touch nothing of the layer
    itself. Gradients flow to the parameters of `auxiliary` and to earlier layers.

    Attributes
    ----------
    auxiliary : torch.nn.Module
        A layer of the base class, with gamma, beta and running statistics of its own. It begins as
        a new layer does (gamma 1, beta 0), whatever the layer beside it has learnt.
    on_noise_route : bool
        Whether calls are noise rows now. Set by `noise_route`, not by hand.

    Notes
    -----
    The state dict has the keys of the base class, and ``auxiliary.`` ones. An optimizer that was
    made before the conversion does not know of the parameters of `auxiliary`.
    """

    prefix: ClassVar[str] = "Aux"
    auxiliary: nn.Module

    def _normalize_noise(self, x: torch.Tensor) -> torch.Tensor:
        if is_single_value(x) and not is_synced():
            return self._normalize_noise(torch.cat([x, x]))[:1]
        return self.auxiliary(x)

    def take_over(self) -> None:
        self.auxiliary = _new_twin(self)
        super().take_over()

    def give_back(self) -> None:
        super().give_back()
        del self.auxiliary


def _new_twin(layer: Any) -> nn.Module:
    """Return a layer like another one, as if it were new, without its hooks."""
    twin = object.__new__(layer.base_class)
    nn.Module.__init__(twin)
    for name, value in vars(layer).items():
        vars(twin).setdefault(name, value)  # eps, momentum and the like
    for name, parameter in layer._parameters.items():
        if parameter is not None:
            parameter = nn.Parameter(torch.empty_like(parameter), parameter.requires_grad)
        twin.register_parameter(name, parameter)
    for name, buffer in layer._buffers.items():
        persistent = name not in layer._non_persistent_buffers_set
        twin.register_buffer(name, None if buffer is None else buffer.clone(), persistent)
    for name, part in layer._modules.items():  # the activation of timm's BatchNormAct2d
        twin.add_module(name, copy.deepcopy(part))
    for part in twin.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return twin.train(layer.training)


def auxiliary_layers(module: nn.Module) -> Iterator[AuxNorm]:
    """Yield the layers of a network that have a second one for noise rows."""
    return (layer for layer in module.modules() if isinstance(layer, AuxNorm))


def auxiliary_keys(module: nn.Module) -> set[str]:
    """Return the keys of the second layers in ``module.state_dict()``."""
    return {
        f"{path}.auxiliary.{key}" if path else f"auxiliary.{key}"
        for path, layer in module.named_modules(remove_duplicate=False)
        if isinstance(layer, AuxNorm)
        for key in layer.auxiliary.state_dict()
    }


def named_layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return what ``module.named_modules()`` yields, without the second layers."""
    second = {part for layer in auxiliary_layers(module) for part in layer.auxiliary.modules()}
    return [(path, layer) for path, layer in module.named_modules() if layer not in second]
