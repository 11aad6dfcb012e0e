"""SGD in one pass over all weights, where some get their first gradient later than others."""

from __future__ import annotations

import torch
from torch.optim import SGD, Optimizer

__all__ = ["begin_momentum"]


def begin_momentum(optimizer: Optimizer) -> None:
    """Let fused SGD step a group in which some weights have momentum and others not yet.

    It takes groups of one kind only: layers that are unfrozen later, or that early steps skip, make
    it fail. Momentum that begins at zero is what SGD begins with: m * 0 + gradient.
    """
    if not isinstance(optimizer, SGD):
        return
    n_weights = sum(len(group["params"]) for group in optimizer.param_groups)
    if len(optimizer.state) in (0, n_weights):  # none has momentum yet, or all have
        return
    for group in optimizer.param_groups:
        if not group.get("fused") or not group["momentum"] or group["dampening"]:
            continue
        state = [optimizer.state.get(p, {}).get("momentum_buffer") for p in group["params"]]
        if all(buffer is None for buffer in state):  # the first step
            continue
        for parameter, buffer in zip(group["params"], state, strict=True):
            if buffer is None and parameter.requires_grad:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
