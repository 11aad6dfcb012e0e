"""Labels and predicted probabilities that belong together, or what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

__all__ = ["check_labels", "check_probabilities", "codes_of"]

# Half precision and a thousand classes stay within it; logits, percentages and the probabilities
# of several labels at once do not.
SUM_TOLERANCE = 1e-3
RANGE_TOLERANCE = 1e-6  # a softmax in single precision may return a little more than 1


def check_labels(y_true: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that columns of probabilities stand for, and the codes of some labels.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    labels : array-like of shape (n_classes,) or None
        All classes, ascending; None takes those of `y_true`.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : ndarray of shape (n,), dtype int64
        Positions in `classes`.

    Raises
    ------
    ValueError
        For classes that do not ascend, and labels that are none of them.
    """
    y_true = column_or_1d(y_true)
    classes = np.unique(y_true) if labels is None else column_or_1d(labels)
    if not np.array_equal(np.unique(classes), classes):
        raise ValueError(
            f"labels={_shown(classes)}: pass every class once, in ascending order, which is the "
            "order of the columns (the classes_ of a classifier of scikit-learn)."
        )
    return classes, codes_of(y_true, classes)


def codes_of(y_true: Any, classes: np.ndarray, name: str = "y_true") -> np.ndarray:
    """Return the positions of labels among classes.

    Raises
    ------
    ValueError
        For labels that are none of them.
    """
    # Not by sorting: NumPy would take the text "1" for the number 1.
    code_of = {label: code for code, label in enumerate(np.asarray(classes).tolist())}
    given = column_or_1d(y_true).tolist()
    unknown = list(dict.fromkeys(label for label in given if label not in code_of))
    if unknown:
        raise ValueError(
            f"{name} has labels that no column of the probabilities stands for: {unknown[:3]}. "
            f"There are columns for {_shown(classes)}; leave out the rows of other classes."
        )
    return np.array([code_of[label] for label in given], dtype=np.int64)


def check_probabilities(y_prob: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Return probabilities as float64, a column for each class.

    Parameters
    ----------
    y_prob : array-like of shape (n, n_classes) or (n,)
        Probabilities; of two classes those of the second will do.
    n_rows : int
        Labels that there are.
    classes : ndarray of shape (n_classes,)
        What the columns stand for.

    Raises
    ------
    ValueError
        For another shape, and for what are no probabilities.
    """
    prob = check_array(y_prob, dtype=np.float64, ensure_2d=False, input_name="y_prob")
    check_consistent_length(np.empty(n_rows), prob)
    if prob.ndim == 1 and len(classes) == 2:
        prob = np.column_stack([1 - prob, prob])
    if prob.ndim != 2 or prob.shape[1] != len(classes) or len(classes) < 2:
        raise ValueError(
            f"y_prob has the shape {prob.shape}, and there are {len(classes)} classes: "
            f"{_shown(classes)}. Pass a column for each of two or more classes; where some have no "
            "rows in y_true, pass all of them as labels=[...]."
        )
    _check_range(prob)
    return prob


def _check_range(prob: np.ndarray) -> None:
    wrong = prob[(prob < -RANGE_TOLERANCE) | (prob > 1 + RANGE_TOLERANCE)]
    if len(wrong):
        raise ValueError(
            f"y_prob holds {wrong[0]:g}: probabilities lie in [0, 1]. Pass what predict_proba "
            "returns; logits need a softmax first, percentages are to be divided by 100."
        )
    sums = prob.sum(axis=1)
    (rows,) = np.nonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(rows):
        raise ValueError(
            f"Row {rows[0]} of y_prob has the sum {sums[rows[0]]:g}: the probabilities of a row "
            "sum to 1. Divide each row by its sum, if these are shares of one another."
        )


def _shown(classes: np.ndarray) -> str:
    names = classes.tolist()
    return f"[{', '.join(map(repr, names[:10]))}{', ...' if len(names) > 10 else ''}]"
