"""Accuracy of groups of classes by size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import recall_score

from sklearn_open._checks import is_whole
from sklearn_open.metrics._shots import FEW, MANY, check_shots, shot_masks

__all__ = [
    "N_GROUPS",
    "check_n_groups",
    "equal_group_accuracy",
    "equal_groups",
    "mean_of_known",
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
    if not is_whole(n_groups) or not 1 <= n_groups <= n_classes:
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


def mean_of_known(values: np.ndarray) -> float:
    """Return the mean of the values that are not nan; nan if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
