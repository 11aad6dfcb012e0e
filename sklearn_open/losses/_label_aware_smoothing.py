"""Label-aware smoothing: labels of large classes are trusted less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from sklearn_open._checks import check_one_of, is_number
from sklearn_open._constants import constant
from sklearn_open.losses._base import ClassCountLoss, counts_without_zeros

__all__ = ["LabelAwareSmoothingLoss"]

FORMS = ("code", "paper")
# From u = (n - n_min) / (n_max - n_min), and a power, to the share of the way from tail to head.
SHAPES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "concave": lambda u, _: np.sin(np.pi * u / 2),
    "linear": lambda u, _: u,
    "convex": lambda u, _: 1 + np.sin(1.5 * np.pi + np.pi * u / 2),
    "exp": lambda u, power: u**power,
}


class LabelAwareSmoothingLoss(ClassCountLoss):
    r"""Cross-entropy with label smoothing that grows with the class, from `tail` to `head` [1]_.

    Parameters
    ----------
    head : float, default=0.3
        Smoothing of the largest class, in [0, 1]. In the authors' code 0.3 for CIFAR-10 and 0.4 for
        CIFAR-100 at an imbalance of 100.
    tail : float, default=0.0
        Smoothing of the smallest class, in [0, 1]; 0 and 0.1.
    shape : {"concave", "linear", "convex", "exp"}, default="concave"
        How it grows between them.
    form : {"code", "paper"}, default="code"
        What is smoothed to: all classes evenly, as the authors' code does, or the other classes, as
        the paper says.
    power : float, default=2.0
        Exponent of the shape "exp".
    class_counts, weight, reduction
        See `ClassCountLoss`.

    Raises
    ------
    ValueError
        For shares that are none and unknown names.

    Notes
    -----
    Where all classes have one size nobody is head or tail, and nothing is smoothed: the loss is
    cross-entropy.

    References
    ----------
    .. [1] Z. Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021
       (MiSLAS), Eqs. 8 and 9.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import LabelAwareSmoothingLoss
    >>> loss = LabelAwareSmoothingLoss(head=0.4, tail=0.1, class_counts=[100, 10, 1])
    >>> [round(float(eps), 4) for eps in loss.smoothing()]
    [0.4, 0.1427, 0.1]
    """

    def __init__(
        self,
        head: float = 0.3,
        tail: float = 0.0,
        shape: str = "concave",
        form: str = "code",
        power: float = 2.0,
        class_counts: Any = None,
        weight: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_counts, weight, reduction)
        for name, value in (("head", head), ("tail", tail)):
            if not is_number(value) or not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r} is not a share of smoothing, from 0 to 1.")
        if not is_number(power) or not 0 < power < float("inf"):
            raise ValueError(f"power={power!r}: pass a number above 0.")
        check_one_of("shape", shape, SHAPES)
        check_one_of("form", form, FORMS)
        self.head = head
        self.tail = tail
        self.shape = shape
        self.form = form
        self.power = power

    def smoothing(self, counts: np.ndarray | None = None) -> np.ndarray:
        """Return the share that is smoothed away of each class.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,) or None, default=None
            Rows of each class; None for those that the loss knows.
        """
        counts = np.asarray(self.class_counts if counts is None else counts, dtype=float)
        counts = counts_without_zeros(counts)
        spread = counts.max() - counts.min()
        if spread == 0:
            return np.zeros(len(counts))
        way = SHAPES[self.shape]((counts - counts.min()) / spread, self.power)
        return self.tail + (self.head - self.tail) * way

    def losses(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, without class weights."""
        eps = constant(self.smoothing(self.counts(logits)), logits.device, logits.dtype)[codes]
        minus_log_p = -F.log_softmax(logits, dim=1)
        own = minus_log_p.gather(1, codes[:, None]).squeeze(1)
        if self.form == "code":
            return (1 - eps) * own + eps * minus_log_p.mean(dim=1)
        n_others = logits.shape[1] - 1
        return (1 - eps) * own + eps * (minus_log_p.sum(dim=1) - own) / n_others

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"head={self.head}, tail={self.tail}, {super().extra_repr()}"
