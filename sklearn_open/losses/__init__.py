"""Losses for long-tailed data: those that know how many rows each class has, and deferred ones.

As ``criterion=`` of the classifier they are told the counts; names will do
(``criterion="balanced_softmax"``). In a training loop of one's own they take ``class_counts=``.
"""

from sklearn_open.losses._balanced_softmax import BalancedSoftmaxLoss
from sklearn_open.losses._base import ClassCountLoss, EpochFacts, ShiftedLogitsLoss
from sklearn_open.losses._class_weight import effective_number_weights
from sklearn_open.losses._deferred import DeferredLoss
from sklearn_open.losses._focal import FocalLoss
from sklearn_open.losses._label_aware_smoothing import LabelAwareSmoothingLoss
from sklearn_open.losses._lade import LADELoss
from sklearn_open.losses._ldam import LDAMLoss

__all__ = [
    "BalancedSoftmaxLoss",
    "ClassCountLoss",
    "DeferredLoss",
    "EpochFacts",
    "FocalLoss",
    "LADELoss",
    "LDAMLoss",
    "LabelAwareSmoothingLoss",
    "ShiftedLogitsLoss",
    "effective_number_weights",
]
