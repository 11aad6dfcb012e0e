"""The last layer of a network: linear, or the cosine classifier."""

from __future__ import annotations

from torch import nn

from sklearn_open._checks import check_one_of
from sklearn_open.backbones._cosine import CosineClassifier

__all__ = ["make_head"]

HEADS = ("linear", "cosine")


def make_head(in_features: int, num_classes: int, head: str, scale: str | float) -> nn.Module:
    """Return a last layer from features (n, in_features) to logits (n, num_classes).

    Parameters
    ----------
    in_features, num_classes : int
        Length of a feature vector, and number of logits.
    head : {"linear", "cosine"}
        A linear layer with offsets, or a `CosineClassifier`.
    scale : {"learnable", "oltr", "ldam"} or float
        Of the cosine classifier.

    Raises
    ------
    ValueError
        For an unknown head, and a scale that is none.
    """
    check_one_of("head", head, HEADS)
    if head == "cosine":
        return CosineClassifier(in_features, num_classes, scale)
    return nn.Linear(in_features, num_classes)
