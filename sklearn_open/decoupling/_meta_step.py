"""The bilevel step of BALMS: what a step of the optimiser would do, differentiated by the rates."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

__all__ = ["check_is_differentiable", "gradient_through_step", "stepped"]


def check_is_differentiable(optimizer: torch.optim.Optimizer) -> None:
    """Refuse optimisers whose step torch cannot differentiate.

    Raises
    ------
    ValueError
        For those.
    """
    if "differentiable" not in optimizer.defaults:
        raise ValueError(
            f"the meta sampler learns through a step of the optimizer, and torch cannot "
            f"differentiate a step of {type(optimizer).__name__}. Use torch.optim.SGD or Adam."
        )


def stepped(
    optimizer: torch.optim.Optimizer, gradients: dict[torch.Tensor, torch.Tensor]
) -> dict[torch.Tensor, torch.Tensor]:
    """Return what a step of an optimiser would make of parameters, as a function of gradients.

    Neither parameters nor optimiser change. It is the optimiser's own step, with its momentum, its
    weight decay and the learning rates of its groups, on copies that torch can differentiate.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        See `check_is_differentiable`.
    gradients : dict of torch.Tensor to torch.Tensor
        Of each parameter; with a graph.
    """
    copies = {parameter: parameter.detach().clone() for parameter in gradients}
    twin = copy.copy(optimizer)
    twin.defaults = {**optimizer.defaults, "differentiable": True}
    ways = {"differentiable": True, "foreach": False, "fused": None}
    twin.param_groups = [
        {
            **group,
            **{name: way for name, way in ways.items() if name in group},
            "params": [copies[p] for p in group["params"] if p in copies],
        }
        for group in optimizer.param_groups
    ]
    twin.state = defaultdict(dict)
    for parameter, own in copies.items():
        gradient = gradients[parameter]
        # Optimisers that divide by a root have no derivative where nothing moves: NaN, which would
        # spoil all others. That number does not depend on the rates.
        own.grad = torch.where(gradient == 0, gradient.detach(), gradient)
        twin.state[own] = {
            name: value.clone() if isinstance(value, torch.Tensor) else value
            for name, value in optimizer.state.get(parameter, {}).items()
        }
    _begin_momentum(twin)
    twin.step()
    return copies


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD the momentum that makes its first step what it is.

    torch copies the first gradient without its graph, so the step would not depend on it.
    """
    for group in optimizer.param_groups:
        if "dampening" in group and group["momentum"]:
            for parameter in group["params"]:
                state = optimizer.state[parameter]
                if state.get("momentum_buffer") is None:
                    share = group["dampening"] / group["momentum"]
                    state["momentum_buffer"] = parameter.grad * share


def gradient_through_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    inner_loss: torch.Tensor,
    outer_loss: Callable[[Callable[[torch.Tensor], Any]], torch.Tensor],
    theta: torch.Tensor,
) -> torch.Tensor:
    """Return the gradient, by `theta`, of a loss of the network after a step on another loss.

    Parameters
    ----------
    network : torch.nn.Module
        Its trained parameters are those that take a gradient.
    optimizer : torch.optim.Optimizer
        That of the network.
    inner_loss : torch.Tensor
        Of the network as it is; it depends on `theta`.
    outer_loss : callable
        Called with the network after the step, a function; returns its loss.
    theta : torch.Tensor
        What the gradient is by.
    """
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(
        inner_loss, list(trained.values()), create_graph=True, allow_unused=True
    )
    pairs = zip(trained.values(), found, strict=True)
    after = stepped(optimizer, {p: g for p, g in pairs if g is not None})
    # One entry for each layer and parameter: torch would not put back a layer that has two names,
    # nor find a parameter that two layers share.
    changed = {
        f"{path}.{name}".lstrip("."): after[p]
        for path, layer in network.named_modules()
        for name, p in layer.named_parameters(recurse=False)
        if p in after
    }
    loss = outer_loss(lambda x: functional_call(network, changed, (x,), tie_weights=False))
    (gradient,) = torch.autograd.grad(loss, theta)
    return gradient
