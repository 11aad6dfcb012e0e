"""LDAM: margins that grow as classes get smaller."""

from __future__ import annotations

from typing import Any

import torch

from sklearn_open._checks import is_number
from sklearn_open._constants import constant
from sklearn_open.losses._base import ShiftedLogitsLoss

__all__ = ["LDAMLoss"]


class LDAMLoss(ShiftedLogitsLoss):
    r"""Cross-entropy with a margin for each class, for networks with a cosine head [1]_.

    The logit of a row's own class is lowered by a margin in proportion to n_c^(-1/4). With
    ``class_weight="effective"`` from `start_epoch` on this is LDAM-DRW.

    Parameters
    ----------
    max_margin : float, default=0.5
        Margin of the smallest class, in units of cosines (0.3 for iNaturalist in [1]_).
    scale : float, default=30
        What cosines are multiplied by in the loss. 10 does as well.
    logit_scale : float or None, default=None
        What the network has multiplied cosines by already. None is 1 in a training loop of one's
        own: logits are cosines, in [-1, 1], as in the authors' code. In `OPeNClassifier` it is that
        of the network's `CosineClassifier`, which has to be fixed (``module__head="cosine"``:
        30), so that the network predicts by the softmax of its logits. A network with cosines of
        another kind needs ``criterion__logit_scale``.
    class_counts, weight, reduction
        See `ClassCountLoss`.

    Raises
    ------
    ValueError
        For numbers that are not above 0 (`max_margin` may be 0).

    Notes
    -----
    With a cosine c the loss of a row of class y is cross-entropy of
    :math:`s (c - m_y e_y)`, :math:`m_j = m_{max} (n_{min} / n_j)^{1/4}`.

    References
    ----------
    .. [1] K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin
       Loss", NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.losses import LDAMLoss
    >>> loss = LDAMLoss(class_counts=[100, 10, 1])
    >>> cosines = torch.tensor([[0.3, 0.4, 0.5]])
    >>> round(float(loss(cosines, torch.tensor([1]))), 4)
    11.4376
    """

    def __init__(
        self,
        max_margin: float = 0.5,
        scale: float = 30.0,
        logit_scale: float | None = None,
        class_counts: Any = None,
        weight: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_counts, weight, reduction)
        _check_number("max_margin", max_margin, or_zero=True)
        _check_number("scale", scale)
        if logit_scale is not None:
            _check_number("logit_scale", logit_scale)
        self.max_margin = max_margin
        self.scale = scale
        self.logit_scale = logit_scale
        self.logit_scale_of_head: float | None = None

    def take_cosine_scale(self, scale: float) -> None:
        """Take up what the head of the network multiplies cosines by, unless `logit_scale` says."""
        self.logit_scale_of_head = scale

    def shifted(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return scaled cosines, that of a row's own class lowered by its margin."""
        counts = self.counts(logits)
        margins = self.max_margin * (counts.min() / counts) ** 0.25
        own = torch.nn.functional.one_hot(codes, len(counts)).bool()
        margin = constant(self.scale * margins, logits.device, logits.dtype)
        scaled = logits if self._factor == 1 else self._factor * logits
        return torch.where(own, scaled - margin, scaled)

    @property
    def _factor(self) -> float:
        """What logits are multiplied by so that they are `scale` times cosines."""
        known = self.logit_scale if self.logit_scale is not None else self.logit_scale_of_head
        return self.scale / (1.0 if known is None else known)

    def extra_repr(self) -> str:
        """Return what is printed between the parentheses."""
        return f"max_margin={self.max_margin}, scale={self.scale}, {super().extra_repr()}"


def _check_number(name: str, value: Any, or_zero: bool = False) -> None:
    if not is_number(value) or not (0 <= value < float("inf")) or (value == 0 and not or_zero):
        raise ValueError(f"{name}={value!r}: pass a number above 0.")
