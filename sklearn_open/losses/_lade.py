"""LADE: Balanced Softmax, and a regulariser that estimates the log likelihood of each class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from sklearn_open._checks import check_one_of, is_number
from sklearn_open._constants import constant
from sklearn_open.losses._balanced_softmax import BalancedSoftmaxLoss
from sklearn_open.losses._base import at_least_float32

__all__ = ["LADELoss"]

FORMS = ("code", "paper", "rows")


class LADELoss(BalancedSoftmaxLoss):
    r"""Label distribution disentangling loss [1]_: Balanced Softmax + alpha times a regulariser.

    The network predicts by its raw logits, for a balanced test set.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight of the regulariser: 0.1 for CIFAR-100 at an imbalance of 100 and 0.01 at 50, 0.05
        for ImageNet-LT, 0.005 for Places-LT. 0 is Balanced Softmax, bit for bit.
    lambda_ : float, default=0.01
        Penalty within it: 0.01 for CIFAR-100, 0.5 for ImageNet-LT, 0.1 for Places-LT. Large sets
        need it.
    form : {"code", "paper", "rows"}, default="code"
        Whose importance weights. "code": the authors' code, p_u(c) / p_s(c) for the column of
        class c. "paper": Eqs. 13 and 16, p_u(y_i) / p_s(y_i) for row i, and a sum over the classes
        in the batch. "rows": weights of rows, and a sum over all classes.
    prior, class_counts, weight, reduction
        See `BalancedSoftmaxLoss`; both parts follow `prior`. `weight` is for Balanced Softmax.
        With ``reduction="none"`` every row has all of the regulariser, and so class weights of the
        estimator scale it by the mean weight of the batch if ``class_weight__reduction="mean"``.

    Raises
    ------
    ValueError
        For numbers below 0 and unknown names.

    Notes
    -----
    The regulariser is :math:`-\sum_c p_s(c) (T_{1,c} - T_{2,c} - \lambda T_{2,c}^2)`, with the mean
    :math:`T_{1,c}` of logit c over rows of class c (0 without such rows) and
    :math:`T_{2,c} = \log \frac1B \sum_i w_{ic} e^{z_{ic}}`.

    References
    ----------
    .. [1] Y. Hong et al., "Disentangling Label Distribution for Long-Tailed Visual Recognition",
       CVPR 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import LADELoss
    >>> loss = LADELoss(class_counts=[60, 30, 10])
    >>> bool(loss(torch.zeros(3, 3), torch.tensor([0, 1, 2])) > 0)
    True
    """

    def __init__(
        self,
        alpha: float = 0.1,
        lambda_: float = 0.01,
        form: str = "code",
        prior: str = "train",
        class_counts: Any = None,
        weight: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(1.0, prior, class_counts, weight, reduction)
        check_one_of("form", form, FORMS)
        for name, value in (("alpha", alpha), ("lambda_", lambda_)):
            if not is_number(value) or not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value!r}: pass a number of 0 or more.")
        self.alpha = alpha
        self.lambda_ = lambda_
        self.form = form

    def forward(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch; see `ClassCountLoss.forward`."""
        loss = super().forward(logits, codes)
        if self.alpha == 0:
            return loss
        return loss + self.alpha * self.regularizer(at_least_float32(logits), codes)

    def regularizer(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the regulariser of a batch, without `alpha`."""
        counts = self.counts(logits)
        log_prior = np.log(counts / counts.sum())
        log_ratio = constant(-math.log(len(counts)) - log_prior, logits.device, logits.dtype)
        present, means = _class_means(logits, codes)
        weighted = logits + (log_ratio if self.form == "code" else log_ratio[codes][:, None])
        log_mean = torch.logsumexp(weighted, dim=0) - math.log(len(logits))
        bound = means - log_mean - self.lambda_ * log_mean.square()
        if self.form == "paper":
            bound = torch.where(present, bound, 0.0)
        return -(constant(np.exp(log_prior), logits.device, logits.dtype) * bound).sum()

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"alpha={self.alpha}, lambda_={self.lambda_}, {super().extra_repr()}"


def _class_means(logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which classes have rows, and the mean logit of each class over its own rows."""
    own = F.one_hot(codes, logits.shape[1]).to(logits.dtype)
    n_rows = own.sum(dim=0)
    return n_rows > 0, (own * logits).sum(dim=0) / n_rows.clamp_min(1)
