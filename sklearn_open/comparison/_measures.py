"""What is measured of the predictions of one fold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, confusion_matrix, roc_auc_score

__all__ = ["MEASURES", "FoldMeasures", "measure"]

# Of a fold, beside the score that methods are chosen by.
MEASURES = {
    "balanced_accuracy": "mean recall of the classes",
    "macro_f1": "mean F1 of the classes",
    "accuracy": "share of images that are right",
    "false_alarms": "share of images of the largest class that are called another",
    "ranking": "mean area under the ROC curve, each class against the rest",
}


@dataclass(frozen=True)
class FoldMeasures:
    """What a method reaches on a fold.

    Attributes
    ----------
    score : float
        By what methods are chosen.
    confusion : ndarray of shape (n_classes, n_classes), dtype int64
        Tested rows: of which class they are, and which was predicted.
    ranking : float
        See `MEASURES`; nan where no class can be ranked.
    fit_time, score_time : float
        Seconds: of training alone, epochs that were shared included; and of predicting.
    n_epochs : int
        Epochs that were trained.
    notes : tuple of str
        Warnings of the fit.
    """

    score: float
    confusion: np.ndarray
    ranking: float
    fit_time: float
    score_time: float
    n_epochs: int
    notes: tuple[str, ...] = ()

    @classmethod
    def failed(cls, n_classes: int, note: str) -> FoldMeasures:
        """Return what is known of a fit, or a score, that failed: nothing but why."""
        nothing = np.zeros((n_classes, n_classes), dtype=np.int64)
        return cls(np.nan, nothing, np.nan, np.nan, np.nan, 0, (note,))

    @property
    def recalls(self) -> np.ndarray:
        """Recall of each class, nan for those that were not tested; shape (n_classes,)."""
        tested = self.confusion.sum(axis=1)
        return _divided(np.diag(self.confusion), tested)

    def values(self, largest: int) -> dict[str, float]:
        """Return all of `MEASURES`.

        Parameters
        ----------
        largest : int
            Position of the largest class, whose images give false alarms.
        """
        if not self.confusion.any():
            return dict.fromkeys(MEASURES, np.nan)
        right, tested = np.diag(self.confusion), self.confusion.sum(axis=1)
        seen = (tested > 0) | (self.confusion.sum(axis=0) > 0)
        f1 = _divided(2 * right, tested + self.confusion.sum(axis=0))
        return {
            "balanced_accuracy": float(np.mean(self.recalls[tested > 0])),
            "macro_f1": float(np.mean(f1[seen])),
            "accuracy": float(right.sum() / tested.sum()),
            "false_alarms": float(1 - self.recalls[largest]),
            "ranking": self.ranking,
        }


def measure(
    estimator: Any, X: Any, y: np.ndarray, classes: np.ndarray, scoring: Any
) -> tuple[float, np.ndarray, float]:
    """Return score, confusion and ranking of a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X, y
        Rows to test on.
    classes : ndarray of shape (n_classes,)
        All labels there are, sorted.
    scoring : str or callable
        As of scikit-learn.
    """
    with warnings.catch_warnings():
        # A fold that lacks a class scores the others.
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        score = float(check_scoring(estimator, scoring=scoring)(estimator, X, y))
        confusion = confusion_matrix(y, estimator.predict(X), labels=classes)
    return score, confusion, _ranking(estimator, X, y)


def _ranking(estimator: Any, X: Any, y: np.ndarray) -> float:
    """Return the mean area under the ROC curves of the classes that are tested, not all rows."""
    probabilities = estimator.predict_proba(X)
    areas = [
        roc_auc_score(y == label, probabilities[:, column])
        for column, label in enumerate(estimator.classes_)
        if 0 < np.count_nonzero(y == label) < len(y)
    ]
    return float(np.mean(areas)) if areas else np.nan


def _divided(numbers: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.divide(numbers, by, out=np.full(len(by), np.nan), where=by > 0)
