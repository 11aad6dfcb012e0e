"""What a study measures of probabilities and features: functions of arrays.

Labels are 0, ..., n_classes - 1, `counts` are the training rows of every class, and shares are from
0 to 1. "smallest" and "largest" are the fifths of the classes with the fewest and most rows.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_open.calibration._prior import divided_by, prior_factors
from sklearn_open.metrics import equal_group_accuracy, expected_calibration_error

__all__ = [
    "accuracies",
    "at_strength",
    "crossed_probe",
    "probe",
    "ranking",
    "trade_off",
    "trained_probe",
]

STRENGTHS = np.linspace(-0.5, 2, 21)  # of the trade-off: those of run.py, and more between them
PROBE_C = 0.01  # inverse strength of the probes' penalty, on standardised features


def accuracies(predicted: np.ndarray, y: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Return the accuracy: overall, of the smallest and largest fifth, and of the worst class."""
    y_train = np.repeat(np.arange(len(counts)), counts)
    groups = equal_group_accuracy(y, predicted, y_train=y_train)
    found = {
        "overall": np.mean(predicted == y),
        "smallest": groups[0],
        "largest": groups[-1],
        "worst_class": min(np.mean(predicted[y == c] == c) for c in np.unique(y)),
    }
    return {name: float(value) for name, value in found.items()}


def at_strength(
    proba: np.ndarray, y: np.ndarray, counts: np.ndarray, tau: float
) -> dict[str, float]:
    """Return accuracies and calibration error of probabilities divided by the prior^tau."""
    adjusted = divided_by(proba, prior_factors(counts, tau))
    error = expected_calibration_error(y, adjusted, labels=np.arange(len(counts)))
    return {**accuracies(adjusted.argmax(axis=1), y, counts), "calibration_error": error}


def trade_off(proba: np.ndarray, y: np.ndarray, counts: np.ndarray) -> dict[str, list[float]]:
    """Return what head, tail and all classes have under every strength of logit adjustment."""
    found = [
        accuracies((proba * prior_factors(counts, tau)).argmax(axis=1), y, counts)
        for tau in STRENGTHS
    ]
    parts = ("overall", "smallest", "largest")
    return {"tau": STRENGTHS.tolist(), **{part: [one[part] for one in found] for part in parts}}


def ranking(proba: np.ndarray, y: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Return how well each pair of classes is told apart by the ranking of its rows.

    The rows of two classes are ranked by the ratio of the two probabilities. To divide by a prior
    moves all of these ratios by one factor, so it changes no ranking: this is what a network can
    tell apart, whatever prior it has. (One class against all others would be ranked by its
    probability, which depends on the prior through the sum to 1.)

    Returns
    -------
    dict
        "pairwise_auc", the mean area under the ROC curve over all pairs, and
        "pairwise_auc_smallest", that over pairs with a class of the smallest fifth.
    """
    log_proba = np.log(np.maximum(proba, np.finfo(float).tiny))
    smallest = np.argsort(counts, kind="stable")[: max(1, len(counts) // 5)]
    areas, is_small = [], []
    for one, other in combinations(range(len(counts)), 2):
        rows = np.isin(y, (one, other))
        ratios = log_proba[rows, one] - log_proba[rows, other]
        areas.append(roc_auc_score(y[rows] == one, ratios))
        is_small.append(one in smallest or other in smallest)
    return {
        "pairwise_auc": float(np.mean(areas)),
        "pairwise_auc_smallest": float(np.mean(np.array(areas)[is_small])),
    }


# --- linear probes: what a linear layer can tell apart in features that stay as they are ---


def probe() -> Any:
    """Return the probe: logistic regression with balanced weights, on standardised features."""
    regression = LogisticRegression(C=PROBE_C, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def trained_probe(
    features: np.ndarray, y: np.ndarray, features_test: np.ndarray, y_test: np.ndarray
) -> dict[str, float]:
    """Return accuracies on test rows of a probe that the training rows have trained."""
    predicted = probe().fit(features, y).predict(features_test)
    return accuracies(predicted, y_test, np.bincount(y))


def crossed_probe(
    features_test: np.ndarray, y_test: np.ndarray, counts: np.ndarray
) -> dict[str, float]:
    """Return accuracies on test rows of probes that the other four fifths of them have trained.

    The network has seen none of these rows, and they are balanced: this is what features can tell
    apart, whatever rows a head was trained on. It is no accuracy that anybody could reach without
    the labels of the test set.
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(probe(), features_test, y_test, cv=folds)
    return accuracies(predicted, y_test, counts)
