"""One loss to begin with, another from `start_epoch` on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sklearn_open.losses._base import EpochFacts, begin_epoch
from sklearn_open.losses._names import LOSSES, find_loss

__all__ = ["DeferredLoss", "before_start"]


class DeferredLoss(nn.Module):
    """One loss for the plain epochs, another from `start_epoch` on.

    Fits whose early loss is the same share the epochs before `start_epoch` (``memory=``): with
    cross-entropy first, the base of plain training and of OPeN is the base of a deferred loss.

    Parameters
    ----------
    early : class, callable, str or torch.nn.Module, default="cross_entropy"
        The first loss; a class, or a name as for ``criterion=``, is called with ``early__...``. An
        instance is copied.
    late : class, callable, str or torch.nn.Module, default="balanced_softmax"
        The second one, with ``late__...``.
    **params : dict
        ``early__...`` and ``late__...``, as in ``criterion__late__tau=0.5``.

    Attributes
    ----------
    is_late : bool
        Whether the second one is at work. `OPeNClassifier` sets it when an epoch begins; in a
        training loop of one's own, set it.

    Raises
    ------
    TypeError
        For parameters of neither.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import DeferredLoss
    >>> loss = DeferredLoss(late__class_counts=[90, 10])
    >>> logits, codes = torch.zeros(1, 2), torch.tensor([1])
    >>> before = float(loss(logits, codes))
    >>> loss.is_late = True
    >>> round(before, 4), round(float(loss(logits, codes)), 4)
    (0.6931, 2.3026)
    """

    def __init__(
        self, early: Any = "cross_entropy", late: Any = "balanced_softmax", **params: Any
    ) -> None:
        super().__init__()
        parts = {"early": early, "late": late}
        given: dict[str, dict[str, Any]] = {"early": {}, "late": {}}
        for name, value in params.items():
            part, _, own = name.partition("__")
            if part not in parts or not own:
                raise TypeError(
                    f"DeferredLoss has no parameter {name!r}. Those of its losses are written "
                    "early__<name> and late__<name>."
                )
            given[part][own] = value
        self.early, self.late = (_made(part, parts[part], given[part]) for part in parts)
        self.is_late = False

    @property
    def at_work(self) -> nn.Module:
        """The loss of the running epoch."""
        return self.late if self.is_late else self.early

    def begin_epoch(self, facts: EpochFacts) -> None:
        """Take up what an epoch is like."""
        self.is_late = facts.is_rebalanced
        for loss in (self.early, self.late):
            begin_epoch(loss, facts)

    def forward(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch, by the loss that is at work."""
        loss: torch.Tensor = self.at_work(logits, codes)
        return loss


def before_start(criterion: Any) -> Any:
    """Return what the epochs before `start_epoch` are trained with, of any criterion.

    A late loss that learns has its weights in the optimiser from the beginning: the whole.
    """
    if isinstance(criterion, DeferredLoss) and not list(criterion.late.parameters()):
        return criterion.early
    return criterion


def _made(part: str, loss: Any, params: dict[str, Any]) -> nn.Module:
    if isinstance(loss, nn.Module):
        if params:
            raise TypeError(f"{loss!r} is made already: pass its class with {sorted(params)}.")
        return copy.deepcopy(loss)  # it will be told of epochs
    maker: Callable[..., nn.Module] = find_loss(loss)
    try:
        return maker(**params)
    except TypeError as error:
        shown = ", ".join(f"{part}__{name}={value!r}" for name, value in params.items())
        raise TypeError(
            f"{getattr(maker, '__name__', maker)} could not be made with {shown or 'nothing'}. It "
            f"said: {error}"
        ) from error


LOSSES["deferred"] = DeferredLoss  # it finds others by name, so it is above their list
