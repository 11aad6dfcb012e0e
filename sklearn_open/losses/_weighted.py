"""The loss of every row of a batch, of any criterion that has one, and their weighted mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sklearn_open.losses._deferred import DeferredLoss

__all__ = ["at_work", "check_takes_weights", "weighted_loss"]


def at_work(criterion: nn.Module) -> nn.Module:
    """Return the loss of the running epoch: of a deferred one that whose time it is."""
    return criterion.at_work if isinstance(criterion, DeferredLoss) else criterion


def weighted_loss(
    criterion: nn.Module,
    call: Callable[[], torch.Tensor],
    weights: torch.Tensor,
    reduction: str,
) -> torch.Tensor:
    """Return the weighted loss of a batch.

    Parameters
    ----------
    criterion : torch.nn.Module
        With an attribute `reduction` that may be "none"; see `check_takes_weights`.
    call : callable
        Calls the criterion on the batch.
    weights : torch.Tensor of shape (n,)
        Of the rows.
    reduction : {"weighted_mean", "mean"}
        The sum of weighted losses is divided by the sum of the weights (as torch's losses and
        LDAM's code do), or by the number of rows (as M2m's does).
    """
    with _without_reduction(at_work(criterion)):
        rows = call()
    if rows.shape != weights.shape:
        raise ValueError(
            f"class_weight= weights the rows of a batch, and with reduction='none' "
            f"{type(criterion).__name__} returns a tensor of shape {tuple(rows.shape)} for "
            f"{len(weights)} rows. Let it return one loss for each, or pass class_weight=None."
        )
    total = (weights * rows).sum()
    if reduction == "mean":
        return total / len(rows)
    return total / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


@contextmanager
def _without_reduction(criterion: nn.Module) -> Iterator[None]:
    before = criterion.reduction
    criterion.reduction = "none"  # type: ignore[assignment]
    try:
        yield
    finally:
        criterion.reduction = before


def check_takes_weights(criterion: nn.Module, who: str = "class_weight=") -> None:
    """Refuse weights of rows for a criterion that has no rows, or has weights of its own.

    Parameters
    ----------
    criterion : torch.nn.Module
        The loss.
    who : str, default="class_weight="
        What weights the rows, for errors.

    Raises
    ------
    ValueError
        For such a criterion, or one of the two of a `DeferredLoss`.
    """
    way_out = ", or pass class_weight=None" if who == "class_weight=" else ""
    parts = (
        [criterion.early, criterion.late] if isinstance(criterion, DeferredLoss) else [criterion]
    )
    for part in parts:
        kind = type(part).__name__
        if getattr(part, "reduction", "mean") != "mean":
            raise ValueError(
                f"{who} takes the mean over a batch, and {kind} has reduction="
                f"{part.reduction!r}. Leave criterion__reduction out{way_out}."
            )
        if not hasattr(part, "reduction"):
            raise ValueError(
                f"{who} weights the rows of a batch, and {kind} gives one number for all "
                "of them. Give it an attribute `reduction`, by which 'none' means one loss for "
                f"each row{way_out}."
            )
        if getattr(part, "weight", None) is not None:
            raise ValueError(
                f"{who} and the weight= of {kind} both weight classes. Set one of them to None."
            )
