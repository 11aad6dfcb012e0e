"""From a loss's name, as `criterion` may be given, to its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from sklearn_open._checks import listed, near_names
from sklearn_open.losses._balanced_softmax import BalancedSoftmaxLoss
from sklearn_open.losses._focal import FocalLoss
from sklearn_open.losses._label_aware_smoothing import LabelAwareSmoothingLoss
from sklearn_open.losses._lade import LADELoss
from sklearn_open.losses._ldam import LDAMLoss

__all__ = ["LOSSES", "find_loss"]

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "balanced_softmax": BalancedSoftmaxLoss,
    "ldam": LDAMLoss,
    "lade": LADELoss,
    "label_aware_smoothing": LabelAwareSmoothingLoss,
    "focal": FocalLoss,
}


def find_loss(name: Any) -> Any:
    """Return the class of a loss's name; what is no name is returned as it is.

    Parameters
    ----------
    name : str or object
        One of `LOSSES`.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if not isinstance(name, str):
        return name
    if name not in LOSSES:
        near = near_names(name, LOSSES)
        raise ValueError(
            f"criterion={name!r} is no loss.{near} Use one of {listed(LOSSES)}, or pass a class."
        )
    return LOSSES[name]
