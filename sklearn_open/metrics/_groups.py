"""Accuracy by class size, as functions and as scorers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import make_scorer, recall_score

from sklearn_open.metrics._shots import FEW, MANY, SHOTS, check_shots, shot_masks

__all__ = [
    "equal_group_accuracy",
    "geometric_mean_scorer",
    "make_group_scorer",
    "make_shot_scorer",
    "shot_accuracy",
]

N_GROUPS = 5  # of classes, in the paper's Fig. 7 and appendix C


def equal_group_accuracy(
    y_true: Any, y_pred: Any, *, y_train: Any, n_groups: int | None = None
) -> np.ndarray:
    """Return the accuracy on groups of classes of equal number, smallest classes first.

    The groups of appendix C and Fig. 7 of the paper: with five groups, the first is the 20% of
    classes that have the fewest training samples ("Group 1").

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Test labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    y_train : array-like of shape (n_train,)
        Training labels, which give the size of every class. Classes of one size are taken in
        reverse label order, so that of equal classes the later label counts as the smaller.
    n_groups : int or None, default=None
        Number of groups; sizes differ by one class at most when it does not divide the classes.
        None is 5, or the number of classes if there are fewer.

    Returns
    -------
    ndarray of shape (n_groups,)
        Mean recall of each group's classes; nan for a group without test samples.

    Raises
    ------
    ValueError
        When there are fewer classes than `n_groups`.

    Examples
    --------
    >>> from sklearn_open.metrics import equal_group_accuracy
    >>> equal_group_accuracy([0, 0, 1, 1], [0, 0, 0, 1], y_train=[0, 0, 0, 1], n_groups=2)
    array([0.5, 1. ])
    """
    classes, sizes = np.unique(np.asarray(y_train), return_counts=True)
    groups = equal_groups(sizes, n_groups)
    recalls = recall_score(y_true, y_pred, labels=classes, average=None, zero_division=np.nan)
    return np.array([mean_of_known(recalls[group]) for group in groups])


def equal_groups(sizes: np.ndarray, n_groups: int | None) -> list[np.ndarray]:
    """Return the positions of classes in each group, those of smallest size first.

    Raises
    ------
    ValueError
        When there are fewer classes than groups.
    """
    n_groups = check_n_groups(n_groups, len(sizes))
    return np.array_split(np.lexsort((-np.arange(len(sizes)), sizes)), n_groups)


def check_n_groups(n_groups: int | None, n_classes: int) -> int:
    """Return the number of groups that is meant; None is `N_GROUPS`, or the number of classes.

    Raises
    ------
    ValueError
        For what is not a number from 1 to that of classes.
    """
    if n_groups is None:
        return min(N_GROUPS, n_classes)
    whole = isinstance(n_groups, (int, np.integer)) and not isinstance(n_groups, bool)
    if not whole or not 1 <= n_groups <= n_classes:
        raise ValueError(
            f"n_groups={n_groups!r}, but the training labels have {n_classes} classes: pass a "
            f"number from 1 to {n_classes}, or None for {min(N_GROUPS, n_classes)}."
        )
    return int(n_groups)


def shot_accuracy(
    y_true: Any, y_pred: Any, *, y_train: Any, many: int = MANY, few: int = FEW
) -> dict[str, float]:
    """Return the accuracy on many-shot, medium-shot and few-shot classes.

    The groups in which results on ImageNet-LT and Places-LT are reported. They are computed from
    the training labels, never from fixed ranges of classes.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Test labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    y_train : array-like of shape (n_train,)
        Training labels, which give the size of every class. A class of `y_true` that has none
        counts as few-shot.
    many : int, default=100
        A class with more training samples than this is many-shot.
    few : int, default=20
        A class with fewer training samples than this is few-shot. The others, both ends included,
        are medium-shot.

    Returns
    -------
    dict of str to float
        Mean recall of the classes of each group, under "many", "medium" and "few"; nan for a group
        without classes, or without test samples.

    Raises
    ------
    ValueError
        When `few` is greater than `many` + 1, so that a class could be in two groups.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_open.metrics import shot_accuracy
    >>> y_train = np.repeat(["cat", "dog", "owl"], [300, 50, 5])
    >>> shot_accuracy(["cat", "dog", "owl", "owl"], ["cat", "cat", "owl", "cat"], y_train=y_train)
    {'many': 1.0, 'medium': 0.0, 'few': 0.5}
    """
    check_shots(many, few)
    classes = np.unique(np.concatenate([np.asarray(y_train), np.asarray(y_true)]))
    counts = (np.asarray(y_train) == classes[:, None]).sum(axis=1)
    recalls = recall_score(y_true, y_pred, labels=classes, average=None, zero_division=np.nan)
    return {
        shot: mean_of_known(recalls[mask]) for shot, mask in shot_masks(counts, many, few).items()
    }


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


def mean_of_known(values: np.ndarray) -> float:
    """Return the mean of the values that are not nan; nan if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
