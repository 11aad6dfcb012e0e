"""Whether a difference between two methods is more than chance: paired over folds, corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["PairedDifference", "corrected_standard_error", "holm", "paired_difference"]


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference of two methods' scores on the same folds, and what it is worth.

    Attributes
    ----------
    mean : float
        First minus second.
    standard_error : float
        Corrected for the rows that folds train on in common; nan of a single fold.
    p_value : float
        Two-sided, of the corrected resampled t-test; nan of a single fold, and of differences that
        are the same on all folds (but 1 of none), which do not say how much is chance.
    interval : tuple of float
        Of 95 % confidence; nan where `p_value` is.
    """

    mean: float
    standard_error: float
    p_value: float
    interval: tuple[float, float]


def paired_difference(first: Any, second: Any, test_share: float = 0.0) -> PairedDifference:
    r"""Compare two methods on the same folds by the corrected resampled t-test [1]_.

    Folds train on rows in common, so their scores are not independent, and the usual paired t-test
    finds differences that are not there. The test of Nadeau and Bengio widens the variance of the
    mean from :math:`s^2 / J` to :math:`s^2 (1 / J + n_{test} / n_{train})`.

    Parameters
    ----------
    first, second : array-like of shape (n_folds,)
        Scores, fold by fold.
    test_share : float, default=0.0
        Rows tested on over rows trained on: 0.25 with five folds. 0 is the usual paired t-test, as
        `scipy.stats.ttest_rel`.

    Returns
    -------
    PairedDifference

    Raises
    ------
    ValueError
        For scores of different folds, or no scores.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52,
       2003, section 3.

    Examples
    --------
    >>> from sklearn_open.comparison import paired_difference
    >>> found = paired_difference([0.8, 0.7, 0.9], [0.7, 0.65, 0.75], test_share=0.5)
    >>> print(f"{found.mean:.3f} +- {found.standard_error:.3f}, p = {found.p_value:.2f}")
    0.100 +- 0.046, p = 0.16
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            f"Scores of shapes {first.shape} and {second.shape} cannot be paired: pass one score a "
            "fold of each, in the order of the folds."
        )
    differences = first - second
    mean, error = float(differences.mean()), corrected_standard_error(differences, test_share)
    if error == 0 and np.allclose(first, second, rtol=0, atol=1e-12):
        return PairedDifference(0.0, error, 1.0, (0.0, 0.0))
    if np.isnan(error) or error == 0:  # as few test images easily have it: it is no certainty
        return PairedDifference(mean, error, np.nan, (np.nan, np.nan))
    freedom = len(differences) - 1
    half = float(stats.t.ppf(0.975, freedom)) * error
    p_value = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return PairedDifference(mean, error, p_value, (mean - half, mean + half))


def corrected_standard_error(scores: Any, test_share: float) -> float:
    """Return the standard error of the mean over folds, corrected for rows trained on in common.

    Parameters
    ----------
    scores : array-like of shape (n_folds,)
    test_share : float
        Rows tested on over rows trained on.

    Returns
    -------
    float
        nan for a single fold, which does not know how much scores vary, and for scores of which
        one is nan.
    """
    scores = np.asarray(scores, dtype=float)
    if len(scores) < 2:
        return np.nan
    spread = float(scores.std(ddof=1))
    if np.allclose(scores, scores[0], rtol=0, atol=1e-12):  # rounding is no spread
        spread = 0.0
    return spread * float(np.sqrt(1 / len(scores) + test_share))


def holm(p_values: Any) -> np.ndarray:
    """Return p-values of several comparisons, adjusted as Holm (1979) does.

    Parameters
    ----------
    p_values : array-like of shape (n_comparisons,)
        nan stays nan, and does not count as a comparison.

    Returns
    -------
    ndarray of shape (n_comparisons,)
        That any of those below 0.05 is a chance find has a probability of at most 0.05.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = p_values.copy()
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * factors))
    return adjusted
