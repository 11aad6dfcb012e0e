"""Balanced Softmax, and logit adjustment at other strengths: a prior in the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklearn_open._checks import is_number
from sklearn_open._constants import constant
from sklearn_open.losses._base import (
    EpochFacts,
    ShiftedLogitsLoss,
    check_prior,
    checked_for,
    relative_log_prior,
)

__all__ = ["BalancedSoftmaxLoss"]


class BalancedSoftmaxLoss(ShiftedLogitsLoss):
    r"""Cross-entropy of logits plus tau log n_c, which learns what a balanced set would teach.

    With ``tau=1`` Balanced Softmax [1]_, at other strengths the logit-adjusted loss [2]_. The
    network predicts by its raw logits.

    Parameters
    ----------
    tau : float, default=1.0
        Strength. 0 is cross-entropy, bit for bit.
    prior : {"train", "drawn"}, default="train"
        Whose shares n_c are. "train": of the training rows, right for rows drawn by instance
        (``resampler=None``). "drawn": of what the running epoch draws. Once epochs are balanced
        this is uniform, and the loss is cross-entropy: correcting balanced rows by the prior of the
        training rows would correct twice.
    class_counts, weight, reduction
        See `ClassCountLoss`.

    Notes
    -----
    The loss of a row of class y is :math:`-\log\frac{n_y^\tau e^{z_y}}{\sum_c n_c^\tau e^{z_c}}`.
    Counts enter as n_c / n_max, which changes nothing, so that equal counts give the bits of
    cross-entropy.

    References
    ----------
    .. [1] J. Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.
    .. [2] A. K. Menon et al., "Long-Tail Learning via Logit Adjustment", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import BalancedSoftmaxLoss
    >>> loss = BalancedSoftmaxLoss(class_counts=[100, 10, 1])
    >>> round(float(loss(torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([2]))), 4)
    5.3504
    """

    def __init__(
        self,
        tau: float = 1.0,
        prior: str = "train",
        class_counts: Any = None,
        weight: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_counts, weight, reduction)
        check_prior(prior)
        if not is_number(tau) or not abs(float(tau)) < float("inf"):
            raise ValueError(f"tau={tau!r} is not a number. Pass a strength, such as 1.0.")
        self.tau = tau
        self.prior = prior
        self.drawn_counts: Any = None

    def begin_epoch(self, facts: EpochFacts) -> None:
        """Take up what an epoch is like."""
        super().begin_epoch(facts)
        self.drawn_counts = facts.drawn_counts
        if self.prior == "drawn" and facts.drawn_counts is None:
            raise ValueError(
                "prior='drawn' follows the plan of the epochs, and here a data loader of your own "
                "(iterator_train) rules what is drawn. Use prior='train', and class_counts=[...] "
                "if the loader draws in other shares."
            )

    def counts(self, logits: torch.Tensor) -> np.ndarray:
        """Return the counts of the prior, one at least; see `ClassCountLoss.counts`."""
        if self.prior == "drawn" and self.drawn_counts is not None:
            drawn = np.asarray(self.drawn_counts, dtype=float)
            return checked_for(drawn, logits, type(self).__name__)
        return super().counts(logits)

    def shifted(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the logits plus the log prior."""
        counts = self.counts(logits)
        if self.tau == 0:
            return logits
        shift = self.tau * relative_log_prior(counts)
        return logits + constant(shift, logits.device, logits.dtype)

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"tau={self.tau}, prior={self.prior!r}, {super().extra_repr()}"
