"""Focal loss: rows that are right already count less."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from sklearn_open._checks import is_number
from sklearn_open.losses._base import ClassCountLoss

__all__ = ["FocalLoss"]


class FocalLoss(ClassCountLoss):
    r"""Cross-entropy times (1 - p_y)^gamma, of the probability p_y of the row's class [1]_.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent; 0 is cross-entropy.
    class_counts
        Not needed: the loss looks at probabilities only.
    weight, reduction
        See `ClassCountLoss`; `weight` is the alpha of [1]_.

    Raises
    ------
    ValueError
        For an exponent below 0.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import FocalLoss
    >>> round(float(FocalLoss(gamma=2)(torch.zeros(1, 2), torch.tensor([0]))), 4)
    0.1733
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_counts: Any = None,
        weight: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_counts, weight, reduction)
        if not is_number(gamma) or not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma={gamma!r}: pass a number of 0 or more.")
        self.gamma = gamma

    def losses(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, without class weights."""
        cross_entropy = F.cross_entropy(logits, codes, reduction="none")
        if self.gamma == 0:
            return cross_entropy
        # 1 - p without the digits that p near 1 has lost; of 0 a root has no slope.
        missed = -torch.expm1(-cross_entropy)
        return missed.clamp_min(torch.finfo(missed.dtype).tiny) ** self.gamma * cross_entropy

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"gamma={self.gamma}, {super().extra_repr()}"
