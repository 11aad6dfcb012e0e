"""A network in eval mode for a while: every layer is as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_eval_mode"]


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Let a network move no statistics and draw no random numbers; then give each layer its mode.

    Parameters
    ----------
    module : torch.nn.Module
        Its layers may be in different modes.
    """
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training
