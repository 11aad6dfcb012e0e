"""The networks of a second stage: a head on a frozen backbone, or on features of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_open.decoupling._heads import put_head

__all__ = ["BackboneOutput", "HeadOnBackbone", "HeadOnFeatures"]


class _Elsewhere(nn.Module):
    """Calls a layer that is registered somewhere else, so that it has one name only.

    Parameters
    ----------
    layer : torch.nn.Module
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = (layer,)  # torch does not look into tuples

    def __getattr__(self, name: str) -> Any:
        if name == "layer":  # not set yet
            raise AttributeError(name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.layer[0], name)  # networks may ask their head for its dtype

    def forward(self, *args: Any) -> Any:
        """Return what the layer returns."""
        return self.layer[0](*args)


class HeadOnBackbone(nn.Module):
    """A network of which only the head is trained.

    Its parameters are named ``head.weight`` and so on, whatever the network calls its head, and the
    backbone's ``network. ...``.

    Parameters
    ----------
    network : torch.nn.Module
        The whole, trained. Taken as it is, and its backbone is frozen.
    name : str
        Which of its layers the head is.
    head : torch.nn.Module
        What is trained in the place of that layer.
    shift_norm : bool
        Whether running statistics of batch norm go on moving. The head is then trained on features
        that are normalised by the batch.
    """

    def __init__(self, network: nn.Module, name: str, head: nn.Module, *, shift_norm: bool) -> None:
        super().__init__()
        network.requires_grad_(False)
        self.head = head.requires_grad_(True)
        put_head(network, name, _Elsewhere(head))
        self.network = network
        self.name = name
        self.shift_norm = shift_norm

    def train(self, mode: bool = True) -> HeadOnBackbone:
        """Let the head train, and the statistics if they are to; the rest stays in eval mode."""
        self.training = mode
        self.network.eval()
        if self.shift_norm:
            for layer in self.network.modules():
                if isinstance(layer, _BatchNorm):
                    layer.train(mode)
        self.head.train(mode)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network returns."""
        return self.network(x)


class HeadOnFeatures(nn.Module):
    """A head whose backbone has done its part already.

    Parameters
    ----------
    head : torch.nn.Module
        From features (n, n_features) to logits.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head.requires_grad_(True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes)."""
        return self.head(features)


class BackboneOutput(nn.Module):
    """A network up to its head: from rows to features.

    Parameters
    ----------
    network : torch.nn.Module
        The whole. Taken as it is.
    name : str
        Which of its layers the head is.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, n_features): what the head is called with."""
        seen: list[torch.Tensor] = []
        head = self.network.get_submodule(self.name)
        hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            self.network(x)
        finally:
            hook.remove()
        return seen[-1]
