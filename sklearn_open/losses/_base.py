"""What a loss is that knows how many rows each class has, and what it is told of an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open._checks import check_one_of
from sklearn_open._constants import constant

__all__ = [
    "ClassCountLoss",
    "EpochFacts",
    "ShiftedLogitsLoss",
    "begin_epoch",
    "check_prior",
    "counts_without_zeros",
    "is_told_of_epochs",
    "relative_log_prior",
]

REDUCTIONS = ("mean", "sum", "none")
PRIORS = ("train", "drawn")


@dataclass(frozen=True)
class EpochFacts:
    """What losses are told when an epoch begins; in `OPeNClassifier` by the estimator.

    Parameters
    ----------
    epoch : int
        Its number, 0 the first.
    is_rebalanced : bool
        Whether `start_epoch` has come.
    class_counts : array-like of shape (n_classes,)
        Training rows of each class.
    drawn_counts : array-like of shape (n_classes,) or None, default=None
        In which shares the epoch draws the classes, noise rows by their labels: those of the
        training rows before `start_epoch`, then those of the rebalanced set that epochs are taken
        from. None where nobody knows, as a data loader of one's own draws.
    """

    epoch: int
    is_rebalanced: bool
    class_counts: Any
    drawn_counts: Any = None


def begin_epoch(criterion: nn.Module, facts: EpochFacts) -> None:
    """Tell a criterion, and the losses in it, what an epoch is like; those of torch do not ask."""
    tell = getattr(criterion, "begin_epoch", None)
    if tell is not None:
        tell(facts)
        return
    for part in criterion.children():
        begin_epoch(part, facts)


def is_told_of_epochs(criterion: Any) -> bool:
    """Whether a criterion, or a loss in it, wants to know what an epoch is like."""
    parts = criterion.modules() if isinstance(criterion, nn.Module) else ()
    return any(hasattr(part, "begin_epoch") for part in parts)


class ClassCountLoss(nn.Module, ABC):
    """Base of losses that know how many training rows each class has.

    A subclass writes `losses`. As ``criterion=`` of `OPeNClassifier` a loss is told the counts when
    an epoch begins; in a training loop of one's own they are given. Neither counts nor weights are
    part of its state dict, so the state of one training fits into another.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,) or None, default=None
        Training rows of each class. A class without rows counts as one row. What is given is kept
        whatever an estimator says.
    weight : array-like of shape (n_classes,) or None, default=None
        Weight of each class, as of `torch.nn.CrossEntropyLoss`.
    reduction : {"mean", "sum", "none"}, default="mean"
        As of `torch.nn.CrossEntropyLoss`: the mean is that of weighted rows.

    Raises
    ------
    ValueError
        For counts or weights that are none, and for an unknown reduction.
    """

    def __init__(
        self, class_counts: Any = None, weight: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        check_one_of("reduction", reduction, REDUCTIONS)
        # In double precision, and no buffers, which networks' casts would round.
        self.class_counts = None if class_counts is None else _counts("class_counts", class_counts)
        self.counts_are_given = class_counts is not None
        self.weight = None if weight is None else _counts("weight", weight)
        self.reduction = reduction

    @abstractmethod
    def losses(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, without class weights.

        Parameters
        ----------
        logits : torch.Tensor of shape (n, n_classes)
            In float32 or float64.
        codes : torch.Tensor of shape (n,), dtype int64
            Classes 0 to n_classes - 1.

        Returns
        -------
        torch.Tensor of shape (n,)
        """

    def begin_epoch(self, facts: EpochFacts) -> None:
        """Take up what an epoch is like.

        Parameters
        ----------
        facts : EpochFacts
            Counts that were given to the loss are kept.
        """
        if not self.counts_are_given:
            self.class_counts = _counts("class_counts", facts.class_counts)

    def forward(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        logits : torch.Tensor of shape (n, n_classes)
            What the network returns. Half precisions are taken to float32 first.
        codes : torch.Tensor of shape (n,), dtype int64
            Classes 0 to n_classes - 1.

        Returns
        -------
        torch.Tensor
            A number, or (n,) with ``reduction="none"``.
        """
        rows = self.losses(at_least_float32(logits), codes)
        if self.weight is None:
            return _reduced(rows, self.reduction)
        weights = constant(self.weight, rows.device, rows.dtype)[codes]
        if self.reduction == "mean":
            return (weights * rows).sum() / weights.sum()
        return _reduced(weights * rows, self.reduction)

    def counts(self, logits: torch.Tensor) -> np.ndarray:
        """Return how many rows each class has, one at least.

        Parameters
        ----------
        logits : torch.Tensor of shape (n, n_classes)
            What they are for.

        Raises
        ------
        ValueError
            If nobody has said, or the logits are of other classes.
        """
        return checked_for(self.class_counts, logits, type(self).__name__)

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"reduction={self.reduction!r}"


class ShiftedLogitsLoss(ClassCountLoss):
    """Base of losses that are cross-entropy on logits that were shifted: same bits where they are
    not.
    """

    @abstractmethod
    def shifted(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) that cross-entropy is taken of."""

    def losses(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, without class weights."""
        return F.cross_entropy(self.shifted(logits, codes), codes, reduction="none")

    def forward(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch; see `ClassCountLoss.forward`."""
        shifted = self.shifted(at_least_float32(logits), codes)
        weight = self.weight
        weights = None if weight is None else constant(weight, shifted.device, shifted.dtype)
        return F.cross_entropy(shifted, codes, weights, reduction=self.reduction)


def _reduced(rows: torch.Tensor, reduction: str) -> torch.Tensor:
    if reduction == "none":
        return rows
    return rows.mean() if reduction == "mean" else rows.sum()


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Return logits in a precision that a prior can be added in."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def counts_without_zeros(counts: np.ndarray) -> np.ndarray:
    """Return counts in which a class without rows has one."""
    return np.where(counts == 0, 1.0, counts)


def relative_log_prior(counts: np.ndarray) -> np.ndarray:
    """Return log(n_c / n_max): the log prior up to a constant, 0 for all where counts are equal."""
    return np.log(counts / counts.max())


def checked_for(counts: np.ndarray | None, logits: torch.Tensor, who: str) -> np.ndarray:
    """Return counts of the classes of some logits, one row at least."""
    if counts is None:
        raise ValueError(
            f"{who} does not know how many rows each class has. Inside OPeNClassifier it is told; "
            "in a training loop of your own, pass class_counts=[...], a number for each class."
        )
    if logits.ndim != 2 or len(counts) != logits.shape[1]:
        raise ValueError(
            f"{who} has the counts of {len(counts)} classes, and logits are of shape "
            f"{tuple(logits.shape)}. Needed is (n, n_classes), and a count for each class."
        )
    return counts_without_zeros(counts)


def _counts(name: str, values: Any) -> np.ndarray:
    values = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    array = np.asarray(values, dtype=np.float64)
    good = array.ndim == 1 and array.size and np.isfinite(array).all() and (array >= 0).all()
    if not good or array.max() <= 0:
        raise ValueError(
            f"{name}={values!r} is not a number of 0 or more for each class, not all of them 0."
        )
    return array


def check_prior(prior: str) -> None:
    """Raise ValueError unless `prior` is one that there is."""
    check_one_of("prior", prior, PRIORS)
