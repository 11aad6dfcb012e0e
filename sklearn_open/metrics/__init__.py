"""Accuracy by class size, as functions and as scorers, and calibration."""

from sklearn_open.metrics._calibration import expected_calibration_error
from sklearn_open.metrics._groups import equal_group_accuracy, shot_accuracy
from sklearn_open.metrics._scorers import (
    EqualGroupScorer,
    ShotScorer,
    geometric_mean_scorer,
    make_group_scorer,
    make_shot_scorer,
)

__all__ = [
    "EqualGroupScorer",
    "ShotScorer",
    "equal_group_accuracy",
    "expected_calibration_error",
    "geometric_mean_scorer",
    "make_group_scorer",
    "make_shot_scorer",
    "shot_accuracy",
]
