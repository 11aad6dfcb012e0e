"""Whether a classifier is as sure as it is right: expected calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from sklearn_open._checks import check_whole
from sklearn_open.metrics._probabilities import check_labels, check_probabilities

__all__ = ["expected_calibration_error"]


def expected_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    labels: Any = None,
    n_bins: int = 15,
    sample_weight: Any = None,
) -> float:
    r"""Return how far confidence and accuracy are apart: the expected calibration error (ECE).

    The confidence of a row is the probability of its predicted class, the largest of the row. Rows
    are put into bins of equal width by confidence, and the differences of accuracy and mean
    confidence in each bin are averaged [1]_:

    .. math:: \sum_b \frac{n_b}{n} \left| \mathrm{acc}(b) - \mathrm{conf}(b) \right|

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Test labels.
    y_prob : array-like of shape (n, n_classes) or (n,)
        Predicted probabilities, as of `predict_proba`: columns in ascending order of the labels. Of
        two classes, those of the second alone will do.
    labels : array-like of shape (n_classes,) or None, default=None
        All classes, ascending. None takes those of `y_true`; pass them (`classes_`) where some have
        no test rows.
    n_bins : int, default=15
        Bins of equal width from 0 to 1; the upper end of each is in it, the lower is not.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows; None weighs all alike.

    Returns
    -------
    float
        In [0, 1]; 0 is perfect.

    Raises
    ------
    ValueError
        For probabilities that are none, a number of columns that is not that of the classes,
        unknown labels, and weights that are negative or all 0.

    Notes
    -----
    Few rows in a bin make the error larger than it is, so compare values of the same rows and the
    same number of bins. Rows that are as long-tailed as those of training say most of the large
    classes; use balanced ones, or weights, where all classes matter alike.

    References
    ----------
    .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> from sklearn_open.metrics import expected_calibration_error
    >>> y_prob = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]
    >>> round(expected_calibration_error([0, 0, 1, 1], y_prob), 3)
    0.225

    Two of three that are 90% sure are right: 0.233 apart, with a weight of 3/4. The last is 80%
    sure and right: 0.2, with a weight of 1/4.
    """
    check_whole("n_bins", n_bins, 1)
    classes, codes = check_labels(y_true, labels)
    prob = check_probabilities(y_prob, len(codes), classes)
    weight = _checked_weight(sample_weight, len(codes))
    confidence = prob.max(axis=1)
    inner_edges = np.linspace(0, 1, n_bins + 1)[1:-1]
    surplus = confidence - (prob.argmax(axis=1) == codes)
    bins = np.searchsorted(inner_edges, confidence)
    # The share of a bin times the difference of two means in it is one sum, over all rows' weight.
    return float(np.abs(np.bincount(bins, weight * surplus)).sum() / weight.sum())


def _checked_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n_rows)
    weight = column_or_1d(sample_weight, dtype=np.float64)
    check_consistent_length(np.empty(n_rows), weight)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError(
            "sample_weight has to be finite, not negative, and not 0 for all rows: pass a weight "
            "for each row, or None."
        )
    return weight
