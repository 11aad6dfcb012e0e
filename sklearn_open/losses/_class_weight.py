"""Weights of classes in the loss, from how many rows each has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sklearn_open._checks import check_one_of, is_number, listed
from sklearn_open.losses._base import counts_without_zeros

__all__ = [
    "CLASS_WEIGHTS",
    "REDUCTIONS",
    "check_class_weight",
    "class_weights",
    "effective_number_weights",
]

# How weighted rows become one number: divided by the sum of their weights, or by how many they are.
REDUCTIONS = ("weighted_mean", "mean")


def effective_number_weights(class_counts: Any, beta: float = 0.9999) -> np.ndarray:
    r"""Return class weights by the effective number of samples [1]_.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Rows of each class.
    beta : float, default=0.9999
        From 0, all weights 1, towards 1, weights in proportion to 1 / n_c. LDAM-DRW's [2]_ is
        0.9999, M2m's 0.999.

    Returns
    -------
    ndarray of shape (n_classes,)
        In proportion to (1 - beta) / (1 - beta^n_c), of mean 1 over the classes that have rows.

    Raises
    ------
    ValueError
        If `beta` is not in [0, 1).

    References
    ----------
    .. [1] Y. Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    .. [2] K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin
       Loss", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn_open.losses import effective_number_weights
    >>> effective_number_weights([100, 10, 1]).round(4)
    array([0.0272, 0.2704, 2.7025])
    """
    if not is_number(beta) or not 0 <= beta < 1:
        raise ValueError(f"beta={beta!r}: pass a number of 0 or more and below 1, such as 0.9999.")
    counts = counts_without_zeros(np.asarray(class_counts, dtype=float))
    if beta == 0:
        return np.ones(len(counts))
    raw = 1 / -np.expm1(counts * np.log(beta))
    return _with_mean_one(raw, np.asarray(class_counts) > 0)


def balanced_weights(class_counts: Any) -> np.ndarray:
    """Return N / (C n_c), over the classes that have rows, as scikit-learn's "balanced"."""
    counts = np.asarray(class_counts, dtype=float)
    return counts.sum() / ((counts > 0).sum() * counts_without_zeros(counts))


def _with_mean_one(weights: np.ndarray, has_rows: np.ndarray) -> np.ndarray:
    if np.ptp(weights[has_rows]) == 0:
        return weights / weights[has_rows][0]  # 1, to the bit
    return weights / weights[has_rows].mean()


CLASS_WEIGHTS: dict[str, Callable[..., np.ndarray]] = {
    "balanced": balanced_weights,
    "effective": effective_number_weights,
}


def class_weights(
    class_weight: Any, class_counts: np.ndarray, classes: np.ndarray, **params: Any
) -> np.ndarray | None:
    """Return the weight of each class in the loss.

    Parameters
    ----------
    class_weight : None, str or mapping
        As of `OPeNClassifier`, checked.
    class_counts : ndarray of shape (n_classes,)
        Training rows of each class.
    classes : ndarray of shape (n_classes,)
        Labels that a mapping may name; one that it does not name has weight 1.
    **params : dict
        For what a name stands for.

    Returns
    -------
    ndarray of shape (n_classes,) or None
        None where all are 1, so that nothing is weighted.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        weights = np.array([float(class_weight.get(label, 1.0)) for label in classes.tolist()])
    else:
        weights = CLASS_WEIGHTS[class_weight](class_counts, **params)
    return None if (weights == 1).all() else weights


def check_class_weight(name: str, class_weight: Any, classes: Any = None) -> None:
    """Raise ValueError for a `class_weight` that is none.

    Parameters
    ----------
    name : str
        What errors call it.
    class_weight : object
        What was given.
    classes : ndarray or None, default=None
        Labels, once they are known.
    """
    if class_weight is None:
        return
    if not isinstance(class_weight, Mapping):
        if not isinstance(class_weight, str) or class_weight not in CLASS_WEIGHTS:
            raise ValueError(
                f"{name}={class_weight!r} is unknown. Use None, one of {listed(CLASS_WEIGHTS)}, or "
                "a dict from label to weight."
            )
        return
    bad = {k: v for k, v in class_weight.items() if not _is_weight(v)}
    if bad or not class_weight or not any(class_weight.values()):
        raise ValueError(
            f"{name}={dict(class_weight)!r} is not a weight of 0 or more for each label, not all "
            "of them 0."
        )
    unknown = [] if classes is None else [k for k in class_weight if k not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"{name} has weights for {listed(map(str, unknown))}, and the labels are "
            f"{', '.join(map(repr, classes.tolist()))}. Use labels as they are in y."
        )


def _is_weight(value: Any) -> bool:
    return is_number(value) and 0 <= float(value) < float("inf")


def check_reduction(name: str, value: Any) -> None:
    """Raise ValueError for a way of reducing weighted rows that there is not."""
    check_one_of(name, value, REDUCTIONS)
