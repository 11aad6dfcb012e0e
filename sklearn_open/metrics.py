"""Accuracy by class size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import recall_score

__all__ = ["equal_group_accuracy"]


def equal_group_accuracy(
    y_true: Any, y_pred: Any, *, y_train: Any, n_groups: int = 5
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
    n_groups : int, default=5
        Number of groups; sizes differ by one class at most when it does not divide the classes.

    Returns
    -------
    ndarray of shape (n_groups,)
        Mean recall of each group's classes; nan for a group without test samples.

    Raises
    ------
    ValueError
        When there are fewer classes than groups.

    Examples
    --------
    >>> from sklearn_open.metrics import equal_group_accuracy
    >>> equal_group_accuracy([0, 0, 1, 1], [0, 0, 0, 1], y_train=[0, 0, 0, 1], n_groups=2)
    array([0.5, 1. ])
    """
    classes, counts = np.unique(np.asarray(y_train), return_counts=True)
    if not 1 <= n_groups <= len(classes):
        raise ValueError(
            f"n_groups={n_groups}, but y_train has {len(classes)} classes: pass a number from 1 to "
            f"{len(classes)}."
        )
    recalls = recall_score(y_true, y_pred, labels=classes, average=None, zero_division=np.nan)
    smallest_first = np.lexsort((-np.arange(len(classes)), counts))
    groups = np.array_split(recalls[smallest_first], n_groups)
    return np.array([_mean_of_known(group) for group in groups])


def _mean_of_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
