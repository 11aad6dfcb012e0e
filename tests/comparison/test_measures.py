"""Measures of a fold, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
    roc_auc_score,
)

from sklearn_open.comparison._measures import FoldMeasures, measure


class Known(ClassifierMixin, BaseEstimator):
    def __init__(self, probabilities=None, classes=None):
        self.probabilities = probabilities
        self.classes = classes
        self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.probabilities[X]

    def predict(self, X):
        return self.classes[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture
def known():
    rng = np.random.RandomState(0)
    classes = np.array(["a", "b", "c"])
    return Known(rng.dirichlet([2, 1, 1], 90), classes), rng.choice(classes, 90, p=[0.6, 0.3, 0.1])


def test_measures_are_scikit_learns(known):
    estimator, y = known
    rows = np.arange(90)
    score, confusion, ranking = measure(estimator, rows, y, estimator.classes, "accuracy")
    found = FoldMeasures(score, confusion, ranking, 0, 0, 0)
    values, y_pred = found.values(largest=0), estimator.predict(rows)
    assert score == values["accuracy"] == accuracy_score(y, y_pred)
    assert values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, y_pred))
    assert values["macro_f1"] == pytest.approx(f1_score(y, y_pred, average="macro"))
    assert values["false_alarms"] == pytest.approx(np.mean(y_pred[y == "a"] != "a"))
    np.testing.assert_allclose(found.recalls, recall_score(y, y_pred, average=None))
    expected = roc_auc_score(y, estimator.probabilities, multi_class="ovr")
    assert values["ranking"] == pytest.approx(expected)


def test_a_class_that_is_not_tested_counts_nowhere(known):
    estimator, y = known
    rows = np.flatnonzero(y != "c")
    score, confusion, ranking = measure(
        estimator, rows, y[rows], estimator.classes, "balanced_accuracy"
    )
    found = FoldMeasures(score, confusion, ranking, 0, 0, 0)
    assert np.isnan(found.recalls[2])
    assert found.values(0)["balanced_accuracy"] == pytest.approx(score)
    y_pred = estimator.predict(rows)
    assert found.values(0)["macro_f1"] == pytest.approx(f1_score(y[rows], y_pred, average="macro"))
    assert np.isnan(found.values(2)["false_alarms"])


def test_one_class_alone_cannot_be_ranked(known):
    estimator, y = known
    rows = np.flatnonzero(y == "a")
    assert np.isnan(measure(estimator, rows, y[rows], estimator.classes, "accuracy")[2])
