"""The prior is divided out of probabilities: one formula, for arrays and for tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_open.losses._base import counts_without_zeros, relative_log_prior

__all__ = ["PriorDividedOut", "divided_by", "prior_factors"]


def prior_factors(class_counts: Any, tau: float) -> np.ndarray:
    """Return what the probability of each class is multiplied by: n_c^-tau, 1 at most.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training rows of each class, or their shares; a class without rows counts as one row, or as
        the smallest of the others.
    tau : float
        Strength; 0 changes nothing.
    """
    counts = np.asarray(class_counts, dtype=float)
    if counts.sum() <= 1 + 1e-9:  # shares
        counts = np.where(counts == 0, counts[counts > 0].min(), counts)
    exponents = -tau * relative_log_prior(counts_without_zeros(counts))
    return np.exp(exponents - exponents.max())  # none beyond what a float holds


def divided_by(probabilities: Any, factors: Any) -> Any:
    """Return probabilities (n, n_classes) times factors, of sum 1 again."""
    adjusted = probabilities * factors
    return adjusted / adjusted.sum(-1)[..., None]


class PriorDividedOut(nn.Module):
    """From logits to probabilities without the prior of the training rows.

    Parameters
    ----------
    nonlinearity : callable
        From logits to probabilities.
    class_counts : array-like of shape (n_classes,)
        Training rows of each class.
    tau : float
        Strength.
    """

    factors: torch.Tensor

    def __init__(self, nonlinearity: Any, class_counts: Any, tau: float) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        factors = torch.tensor(prior_factors(class_counts, tau), dtype=torch.float32)
        self.register_buffer("factors", factors)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return probabilities (n, n_classes)."""
        return divided_by(self.nonlinearity(logits), self.factors.to(logits.device))
