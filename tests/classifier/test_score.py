"""Accuracy, with the labels that a data set has."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier

NAMES = ["robin", "wren", "owl"]


def make(**params):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(**{**settings, **params}, verbose=0)


class Pairs(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


def test_labels_of_a_data_set(images):
    clf = make().fit(*images)
    assert clf.score(Pairs(*images)) == clf.score(*images)
    with pytest.raises(ValueError, match="y"):
        clf.score(images[0])


def test_names_of_codes_leave_scores_as_they_are(images):
    """What `predict` returns and what `y` held are of one kind."""
    X, y = images
    named, plain = make(classes=NAMES), make()
    np.testing.assert_array_equal(cross_val_score(named, X, y), cross_val_score(plain, X, y))
    scoring = ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "neg_log_loss"]
    with_names, without = (
        cross_validate(clf, X, y, scoring=scoring, error_score="raise") for clf in (named, plain)
    )
    for scorer in scoring:
        np.testing.assert_array_equal(with_names[f"test_{scorer}"], without[f"test_{scorer}"])
    GridSearchCV(named, {"delta": [0, 1]}, cv=2, error_score="raise").fit(X, y)


def test_names_go_to_reports(images, tmp_path):
    X, y = images
    clf = make(classes=NAMES).fit(X, y)
    assert accuracy_score(y, clf.predict(X)) == clf.score(X, y)
    assert "robin" in classification_report(y, clf.predict(X), target_names=clf.class_names_)
    clf.save(tmp_path / "a.safetensors")
    for again in (OPeNClassifier.load(tmp_path / "a.safetensors"), clf.partial_fit(X, y)):
        np.testing.assert_array_equal(again.class_names_, NAMES)
        np.testing.assert_array_equal(again.classes_, [0, 1, 2])


def test_names_of_classes_that_y_lacks(images):
    X, y = images
    clf = make(classes=[*NAMES, "eagle"]).fit(X, y)
    assert clf.predict_proba(X).shape == (60, 4)
    assert set(clf.predict(X)) <= {0, 1, 2, 3}
    assert list(clf.class_names_) == [*NAMES, "eagle"]


def test_labels_that_are_names_are_their_own(images):
    X, y = images
    words = np.array(NAMES)[y]
    clf = make(classes=["wren", "owl", "robin"]).fit(X, words)
    assert list(clf.classes_) == list(clf.class_names_) == ["wren", "owl", "robin"]
    assert set(clf.predict(X)) <= set(NAMES)
