"""Corrections of trained classifiers that cost no training."""

from sklearn_open.calibration._logit_adjusted import LogitAdjustedClassifier

__all__ = ["LogitAdjustedClassifier"]
