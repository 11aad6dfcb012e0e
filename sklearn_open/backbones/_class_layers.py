"""The layers of a network that depend on the number of classes, whatever the network calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

__all__ = ["CLASS_NAMES", "class_layers", "tensor_shapes"]

# What networks call the number of classes.
CLASS_NAMES = ("num_classes", "n_classes")


def class_layers(maker: Callable[..., Any], params: dict[str, Any]) -> list[str]:
    """Return the names of the layers whose shapes depend on the number of classes.

    Two networks without memory are compared, one with a class more. So auxiliary heads are found,
    and no hidden layer that happens to be as wide as there are classes.

    Parameters
    ----------
    maker : callable
        Makes the network.
    params : dict
        What it is called with. Without a number of classes there are no such layers.
    """
    name = next((n for n in CLASS_NAMES if params.get(n) is not None), None)
    if name is None:
        return []
    more = {**params, name: params[name] + 1}
    own, other = (tensor_shapes(maker, p) for p in (params, more))
    changed = [n for n, shape in own.items() if other.get(n) != shape]
    return list(dict.fromkeys(n.rpartition(".")[0] or n for n in changed))


def tensor_shapes(maker: Callable[..., Any], params: dict[str, Any]) -> dict[str, torch.Size]:
    """Return names and shapes of a network's parameters and buffers; it is made without memory."""
    with torch.random.fork_rng(devices=[]):  # what is drawn later does not depend on this
        try:
            with torch.device("meta"):
                made: nn.Module = maker(**params)
        except (NotImplementedError, RuntimeError):  # it computes with its weights
            made = maker(**params)
    return {name: tensor.shape for name, tensor in made.state_dict().items()}
