"""Weights of the last layer that may not grow beyond a length."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import torch
from skorch.callbacks import Callback

from sklearn_open._checks import is_number

__all__ = ["MaxNorm"]


class MaxNorm(Callback):
    """Shortens, after every step, weight vectors that are longer than a limit: MaxNorm [1]_.

    Large classes get long weight vectors in the last layer, and so larger logits. With a stronger
    weight decay of that layer (``optimizer__param_groups=[("fc*", {"weight_decay": 5e-3})]``) this
    is the weight balancing of [1]_.

    Parameters
    ----------
    max_norm : float, default=1.0
        Longest length of a row of a weight matrix.
    names : str, default="fc.weight"
        Pattern of the parameters of the network that are meant; their first axis is that of the
        classes.

    References
    ----------
    .. [1] S. Alshammari et al., "Long-Tailed Recognition via Weight Balancing", CVPR 2022.

    Examples
    --------
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.callbacks import MaxNorm
    >>> clf = OPeNClassifier(
    ...     callbacks=[("max_norm", MaxNorm(0.5))],
    ...     optimizer__param_groups=[("fc*", {"weight_decay": 5e-3})],
    ... )
    """

    def __init__(self, max_norm: float = 1.0, names: str = "fc.weight") -> None:
        self.max_norm = max_norm
        self.names = names

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Refuse a limit that is none, and a pattern that fits nothing."""
        if not is_number(self.max_norm) or not 0 < self.max_norm < float("inf"):
            raise ValueError(f"max_norm={self.max_norm!r}: pass a length above 0.")
        if not self._matrices(net):
            known = ", ".join(name for name, p in net.module_.named_parameters() if p.ndim > 1)
            raise ValueError(
                f"MaxNorm(names={self.names!r}) fits no weight matrix of the network. It has "
                f"{known}."
            )

    def on_batch_end(self, net: Any, training: bool = True, **kwargs: Any) -> None:
        """Shorten what a step has made too long."""
        if training:
            self._shorten(net)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Shorten what is too long in an average of weights."""
        self._shorten(net)

    @torch.no_grad()
    def _shorten(self, net: Any) -> None:
        for weight in self._matrices(net):
            weight.copy_(torch.renorm(weight, p=2, dim=0, maxnorm=self.max_norm))

    def _matrices(self, net: Any) -> list[torch.Tensor]:
        named = net.module_.named_parameters()
        return [p for name, p in named if p.ndim > 1 and fnmatch(name, self.names)]
