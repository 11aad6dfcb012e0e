"""Accuracy by class size as scorers: called with an estimator, images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import make_scorer

from sklearn_open.metrics._groups import N_GROUPS, equal_group_accuracy, shot_accuracy
from sklearn_open.metrics._shots import FEW, MANY, SHOTS, check_shots

__all__ = [
    "EqualGroupScorer",
    "ShotScorer",
    "geometric_mean_scorer",
    "make_group_scorer",
    "make_shot_scorer",
    "training_labels",
]


def make_group_scorer(
    group: int = 0, *, n_groups: int | None = None, y_train: Any = None
) -> EqualGroupScorer:
    """Make a scorer of the accuracy on one of equal groups of classes, smallest first.

    Parameters
    ----------
    group : int, default=0
        Number of the group, 0 the smallest classes; negative numbers count from the largest.
    n_groups : int or None, default=None
        Number of groups; see `equal_group_accuracy`.
    y_train : array-like of shape (n_train,) or None, default=None
        Labels that give the sizes of the classes. None takes those that the estimator was fitted
        on: each fold's own, where there are folds. An `OPeNClassifier` knows them, also at the end
        of a `Pipeline` or inside a fitted search.

    Returns
    -------
    EqualGroupScorer
        Called as ``scorer(estimator, X, y)``; `GridSearchCV`, `cross_validate` and every other
        ``scoring`` of scikit-learn take it.

    Raises
    ------
    ValueError
        For a group that there is not. Where the classes are fewer than five and `n_groups` is
        None, the scorer raises it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> from sklearn_open.metrics import make_group_scorer
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=10)
    >>> clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0)
    >>> cross_val_score(clf, X, y, scoring=make_group_scorer(0), cv=3).shape
    (3,)
    """
    _check_group(group, N_GROUPS if n_groups is None else n_groups)
    return EqualGroupScorer(y_train, group, n_groups)


def _check_group(group: Any, n_groups: Any) -> None:
    whole = all(isinstance(n, (int, np.integer)) for n in (group, n_groups))
    if not whole or not -n_groups <= group < n_groups:
        raise ValueError(
            f"group={group!r} is not one of {n_groups} groups: pass an int from 0, the smallest "
            f"classes, to n_groups - 1, the largest."
        )


def make_shot_scorer(
    shot: str = "few", *, many: int = MANY, few: int = FEW, y_train: Any = None
) -> ShotScorer:
    """Make a scorer of the accuracy on many-shot, medium-shot or few-shot classes.

    A group without classes scores nan. Mind that `many` and `few` are counted in a fold's training
    rows, of which there are fewer than in all; pass `y_train` to keep one grouping for all folds.

    Parameters
    ----------
    shot : {"many", "medium", "few"}, default="few"
        The group.
    many, few : int, default=100, 20
        Bounds of the groups; see `shot_accuracy`.
    y_train : array-like of shape (n_train,) or None, default=None
        As for `make_group_scorer`.

    Returns
    -------
    ShotScorer
        Called as ``scorer(estimator, X, y)``.

    Raises
    ------
    ValueError
        For an unknown group, or bounds that overlap.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> from sklearn_open.metrics import make_shot_scorer
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20)
    >>> clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(X, y)
    >>> score = make_shot_scorer("medium")(clf, digits.images, digits.target)
    >>> 0 <= score <= 1
    True
    """
    if shot not in SHOTS:
        raise ValueError(f"shot={shot!r} is unknown. Use one of {', '.join(map(repr, SHOTS))}.")
    check_shots(many, few)
    return ShotScorer(y_train, shot, many, few)


geometric_mean_scorer = make_scorer(geometric_mean_score)
"""Scorer of imbalanced-learn's geometric mean of the recalls of all classes."""


@dataclass(frozen=True, eq=False)
class EqualGroupScorer:
    """What `make_group_scorer` makes."""

    y_train: Any
    group: int
    n_groups: int | None

    def __call__(self, estimator: Any, X: Any, y_true: Any) -> float:
        """Return the accuracy of a fitted estimator on the group."""
        y_train = training_labels(estimator) if self.y_train is None else self.y_train
        groups = equal_group_accuracy(
            y_true, estimator.predict(X), y_train=y_train, n_groups=self.n_groups
        )
        _check_group(self.group, len(groups))
        return float(groups[self.group])


@dataclass(frozen=True, eq=False)
class ShotScorer:
    """What `make_shot_scorer` makes."""

    y_train: Any
    shot: str
    many: int
    few: int

    def __call__(self, estimator: Any, X: Any, y_true: Any) -> float:
        """Return the accuracy of a fitted estimator on the group."""
        y_train = training_labels(estimator) if self.y_train is None else self.y_train
        accuracy = shot_accuracy(
            y_true, estimator.predict(X), y_train=y_train, many=self.many, few=self.few
        )
        return accuracy[self.shot]


def training_labels(estimator: Any) -> np.ndarray:
    """Return the labels that a fitted estimator was trained on, before any resampling."""
    classifier = estimator
    while True:
        if hasattr(classifier, "best_estimator_"):  # GridSearchCV and the like
            classifier = classifier.best_estimator_
        elif hasattr(classifier, "steps"):
            _refuse_samplers(classifier)
            classifier = classifier[-1]
        else:
            break
    if not hasattr(classifier, "planner_"):
        if hasattr(classifier, "transform_"):  # of an OPeNClassifier that `load` returned
            raise ValueError(
                f"This {type(classifier).__name__} was loaded from a file, which holds no training "
                "labels, so the sizes of its classes are not known: pass the labels that it was "
                "trained on as y_train=, as in make_shot_scorer(y_train=y), or fit again."
            )
        raise ValueError(
            f"The sizes of the classes that {type(classifier).__name__} was trained on are not "
            "known: a fitted OPeNClassifier keeps them, alone, at the end of a Pipeline or in a "
            "search; for anything else pass the training labels as y_train=, as in "
            "make_shot_scorer(y_train=y)."
        )
    return classifier.classes_[classifier.planner_.codes]


def _refuse_samplers(pipeline: Any) -> None:
    for name, step in pipeline.steps[:-1]:
        if hasattr(step, "fit_resample"):
            raise ValueError(
                f"Step {name!r} of the pipeline resamples, so its classifier has not seen the "
                "true sizes of the classes: pass the training labels as y_train=, as in "
                "make_shot_scorer(y_train=y)."
            )
