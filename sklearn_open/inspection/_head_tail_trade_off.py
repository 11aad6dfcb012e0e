"""Accuracy of the largest and of the smallest classes, as the prior is divided out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open._checks import is_number
from sklearn_open.calibration._prior import prior_factors
from sklearn_open.inspection._base import GREY, PALETTE, check_accuracy, make_axes
from sklearn_open.inspection._estimators import adjusted_by, check_predicts, class_counts
from sklearn_open.metrics._groups import equal_groups, mean_of_known
from sklearn_open.metrics._probabilities import check_labels, check_probabilities, codes_of

__all__ = ["HeadTailTradeOffDisplay", "head_tail_trade_off"]

TAUS = tuple(np.linspace(0, 2, 9).tolist())


def head_tail_trade_off(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    taus: Sequence[float] = TAUS,
    n_groups: int | None = None,
    y_train: Any = None,
) -> Bunch:
    """Return accuracies of large and small classes as predictions are adjusted more and more.

    Probabilities are divided by the shares of the classes among the training rows, to the power
    `tau` (post-hoc logit adjustment), and the label of the largest is what is predicted. What they
    have been divided by already is multiplied back first, so `tau` is the whole strength:
    ``logit_adjustment`` of an `OPeNClassifier`, and the strength of a `LogitAdjustedClassifier`.
    Adjusted classifiers inside an ensemble or a calibrator are not looked for, and what a loss did
    while training (Balanced Softmax) is part of the classifier: its curve begins where it is.
    `X` is predicted once.

    Parameters
    ----------
    estimator : estimator
        Any fitted classifier with `predict_proba`; alone, in a search or at the end of a pipeline.
    X, y : array-like
        Test images and their labels.
    taus : sequence of float, default=(0.0, 0.25, ..., 2.0)
        Strengths. Negative ones favour large classes.
    n_groups : int or None, default=None
        The largest and the smallest of this many equal groups of classes are looked at, those of
        `equal_group_accuracy`. None is 5, or the number of classes if there are fewer.
    y_train : array-like or None, default=None
        Training labels, which give the sizes of the classes. None takes those that the classifier
        knows: its `class_count_` (`OPeNClassifier`, also from a file, `DecoupledClassifier`,
        scikit-learn's naive Bayes) or the `prior_` of a `LogitAdjustedClassifier`.

    Returns
    -------
    sklearn.utils.Bunch
        With `taus`, `large_class_accuracy`, `small_class_accuracy` and `accuracy` (the mean recall
        of all classes), each of shape (n_taus,), accuracies in [0, 1].

    Raises
    ------
    ValueError
        Where the sizes of the classes are not known, for unknown labels, one group only, or groups
        without test rows.
    TypeError
        For a classifier without probabilities.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_open.inspection import head_tail_trade_off
    >>> X, y = make_classification(1000, weights=[0.9], class_sep=0.5, random_state=0)
    >>> clf = LogisticRegression().fit(X, y)
    >>> curve = head_tail_trade_off(clf, X, y, taus=(0, 1), y_train=y)
    >>> bool(curve.small_class_accuracy[1] > curve.small_class_accuracy[0])
    True
    """
    check_predicts(estimator)
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba, which is what is adjusted. Use a "
            "classifier that has, or one in a CalibratedClassifierCV."
        )
    strengths = _checked_taus(taus)
    classes = np.asarray(estimator.classes_)
    counts = class_counts(estimator, classes, y_train)
    groups = _groups(counts, n_groups)
    codes = codes_of(y, classes, "y")
    prob = check_probabilities(estimator.predict_proba(X), len(codes), classes)
    return _curve(prob, codes, strengths, counts, groups, adjusted_by(estimator))


class HeadTailTradeOffDisplay:
    """Accuracy of the smallest classes over that of the largest, along logit adjustment.

    Dividing the prior out of predictions trades accuracy of large classes for that of small ones,
    for any classifier and without training. A method whose curve lies beyond another's (further
    right, further up) does more than move along it. Several are compared in one Axes: give each a
    `name`.

    A square marks ``tau = 0``, predictions without adjustment; a star the best balanced accuracy,
    with its `tau`. It was found on the rows that are shown, so it flatters: to choose a `tau`, use
    `LogitAdjustedClassifier` with ``tau="cv"``.

    Parameters
    ----------
    taus : array-like of shape (n_taus,)
        Strengths of the adjustment.
    large_class_accuracy, small_class_accuracy : array-like of shape (n_taus,) or (n_runs, n_taus)
        Accuracy of the largest and of the smallest classes, in [0, 1]. Of several runs (seeds) the
        mean is drawn, with standard deviations as error bars.
    accuracy : array-like of the same shape or None, default=None
        Mean recall of all classes (balanced accuracy); None marks no best `tau`.
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    line_ : matplotlib Line2D
        The curve.
    best_tau_ : float or None
        The `tau` of the star: the smallest of those with the best mean balanced accuracy.

    See Also
    --------
    head_tail_trade_off : The numbers.
    sklearn_open.calibration.LogitAdjustedClassifier : Predictions with one `tau`.

    Examples
    --------
    >>> from sklearn_open.inspection import HeadTailTradeOffDisplay
    >>> display = HeadTailTradeOffDisplay(
    ...     [0, 1, 2], [0.95, 0.9, 0.6], [0.2, 0.6, 0.8], [0.6, 0.75, 0.7], name="plain training"
    ... )
    >>> display.plot().best_tau_
    1.0
    """

    def __init__(
        self,
        taus: Any,
        large_class_accuracy: Any,
        small_class_accuracy: Any,
        accuracy: Any = None,
        *,
        name: str | None = None,
    ) -> None:
        self.taus = _checked_taus(taus)
        self.large_class_accuracy = _accuracies("large_class_accuracy", large_class_accuracy)
        self.small_class_accuracy = _accuracies("small_class_accuracy", small_class_accuracy)
        self.accuracy = None if accuracy is None else _accuracies("accuracy", accuracy)
        self.name = name
        given = (self.large_class_accuracy, self.small_class_accuracy, self.accuracy)
        shapes = [values.shape for values in given if values is not None]
        if len(set(shapes)) > 1 or shapes[0][-1] != len(self.taus):
            raise ValueError(
                f"Accuracies have the shapes {shapes}, for "
                f"{len(self.taus)} taus: pass an accuracy for each, or a row of them for each run; "
                "of all classes the same."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        taus: Sequence[float] = TAUS,
        n_groups: int | None = None,
        y_train: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> HeadTailTradeOffDisplay:
        """Predict, compute and draw.

        Parameters
        ----------
        estimator, X, y, taus, n_groups, y_train
            As for `head_tail_trade_off`.
        name : str or None, default=None
            Name for the legend; None takes that of the estimator's class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        HeadTailTradeOffDisplay
        """
        curve = head_tail_trade_off(estimator, X, y, taus=taus, n_groups=n_groups, y_train=y_train)
        name = type(estimator).__name__ if name is None else name
        return cls(**curve, name=name).plot(ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_prob: Any,
        class_counts: Any,
        *,
        labels: Any = None,
        taus: Sequence[float] = TAUS,
        n_groups: int | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> HeadTailTradeOffDisplay:
        """Compute and draw from predictions.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Test labels.
        y_prob : array-like of shape (n, n_classes)
            Predicted probabilities, or their logarithms: columns in ascending order of the labels.
            They are adjusted as they are: `tau` counts from what they have been divided by.
        class_counts : array-like of shape (n_classes,)
            Training rows of each class, in the same order.
        labels : array-like of shape (n_classes,) or None, default=None
            All classes, ascending; None takes those of `y_true`.
        taus, n_groups
            As for `head_tail_trade_off`.
        name, ax, **kwargs
            As for `from_estimator`; without `name` the curve is not in the legend.

        Returns
        -------
        HeadTailTradeOffDisplay
        """
        strengths = _checked_taus(taus)
        classes, codes = check_labels(y_true, labels)
        counts = _checked_counts(class_counts, len(classes))
        prob = check_probabilities(_without_logarithm(y_prob), len(codes), classes)
        curve = _curve(prob, codes, strengths, counts, _groups(counts, n_groups))
        return cls(**curve, name=name).plot(ax=ax, **kwargs)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> HeadTailTradeOffDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Name for the legend; None takes that of the display.
        **kwargs : dict
            Passed on to matplotlib's ``errorbar``, such as ``color``.

        Returns
        -------
        HeadTailTradeOffDisplay
            The display itself.
        """
        (ax,) = make_axes(self, ax)
        large, small = (
            100 * np.atleast_2d(values)
            for values in (self.large_class_accuracy, self.small_class_accuracy)
        )
        style = {
            "label": self.name if name is None else name,
            "color": PALETTE[len(ax.containers) % len(PALETTE)],
            "marker": ".",
            "xerr": large.std(axis=0) if len(large) > 1 else None,
            "yerr": small.std(axis=0) if len(small) > 1 else None,
            "elinewidth": 0.8,
            **kwargs,
        }
        x, y = large.mean(axis=0), small.mean(axis=0)
        self.line_ = ax.errorbar(x, y, **style)[0]
        self._mark(ax, x, y)
        ax.set(
            xlabel="accuracy of the largest classes, %",
            ylabel="accuracy of the smallest classes, %",
        )
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False)
        return self

    def _mark(self, ax: Any, x: np.ndarray, y: np.ndarray) -> None:
        """Mark the predictions as they are, and the best of the adjusted ones."""
        color, alpha = self.line_.get_color(), self.line_.get_alpha()
        style = {"color": color, "alpha": alpha, "linestyle": "none", "zorder": 3}
        for i in np.flatnonzero(self.taus == 0):
            square = {"marker": "s", "markersize": 8, "markerfacecolor": "none"}
            ax.plot(x[i], y[i], **style, **square)
            _explain(ax, "tau = 0", **square)
        self.best_tau_ = None
        if self.accuracy is not None:
            mean = np.atleast_2d(self.accuracy).mean(axis=0)
            best = min(np.flatnonzero(mean == mean.max()), key=lambda i: self.taus[i])
            self.best_tau_ = float(self.taus[best])
            star = {"marker": "*", "markersize": 11}
            ax.plot(x[best], y[best], **style, **star)
            _explain(ax, "best balanced accuracy, and its tau", **star)
            above = {"xytext": (6, 4), "textcoords": "offset points", "color": color}
            ax.annotate(f"{self.best_tau_:g}", (x[best], y[best]), fontsize="small", **above)


def _explain(ax: Any, meaning: str, **marker: Any) -> None:
    """Put a marker into the legend, once for all curves."""
    if meaning not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], color=GREY, linestyle="none", label=meaning, **marker)


# --- the numbers ---


def _curve(
    prob: np.ndarray,
    codes: np.ndarray,
    taus: np.ndarray,
    counts: np.ndarray,
    groups: list[np.ndarray],
    adjusted_by: Any = 1.0,
) -> Bunch:
    """Return the accuracies for each strength.

    Parameters
    ----------
    prob : ndarray of shape (n, n_classes)
    codes : ndarray of shape (n,)
        Columns of the true classes.
    taus : ndarray of shape (n_taus,)
    counts : ndarray of shape (n_classes,)
    groups : list of ndarray
        Classes of each group, smallest first.
    adjusted_by : ndarray of shape (n_classes,) or float, default=1.0
        What the probabilities were multiplied by already.
    """
    tested = np.bincount(codes, minlength=len(counts))
    for which, group in (("largest", groups[-1]), ("smallest", groups[0])):
        if not tested[group].any():
            raise ValueError(
                f"There are no test rows of the {which} classes ({len(group)} of {len(counts)}), "
                "so their accuracy is not known. Pass test rows of all classes, or a smaller "
                "n_groups."
            )
    rows = []
    for tau in taus:
        predicted = (prob * (prior_factors(counts, tau) / adjusted_by)).argmax(axis=1)
        right = np.bincount(codes[predicted == codes], minlength=len(counts))
        recalls = np.divide(right, tested, out=np.full(len(counts), np.nan), where=tested > 0)
        parts = (groups[-1], groups[0], np.concatenate(groups))
        rows.append([mean_of_known(recalls[part]) for part in parts])
    large, small, accuracy = np.array(rows).T
    return Bunch(
        taus=taus, large_class_accuracy=large, small_class_accuracy=small, accuracy=accuracy
    )


def _groups(counts: np.ndarray, n_groups: int | None) -> list[np.ndarray]:
    """Return the classes of each group, smallest first; those without training rows are in none."""
    (known,) = np.nonzero(counts)
    groups = [known[group] for group in equal_groups(counts[known], n_groups)]
    if len(groups) < 2:
        raise ValueError(
            f"n_groups={n_groups!r} and {len(known)} classes with training rows: pass n_groups of "
            "2 or more, as the largest classes are compared with the smallest."
        )
    return groups


def _without_logarithm(y_prob: Any) -> Any:
    """Return probabilities, of which logarithms are told apart by their signs."""
    values = np.asarray(y_prob)
    if values.dtype.kind == "f" and len(values) and (values <= 0).all():
        return np.exp(values.astype(np.float64))
    return y_prob


# --- checks ---


def _checked_taus(taus: Any) -> np.ndarray:
    good = not isinstance(taus, str) and np.ndim(taus) == 1 and len(taus)
    if not good or not all(is_number(tau) and np.isfinite(tau) for tau in taus):
        raise ValueError(f"taus={taus!r}: pass a sequence of numbers, such as (0, 0.5, 1.0).")
    return np.asarray(taus, dtype=float)


def _checked_counts(class_counts: Any, n_classes: int) -> np.ndarray:
    counts = np.asarray(class_counts, dtype=float)
    if counts.shape != (n_classes,) or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(
            f"class_counts={class_counts!r}: pass the number of training rows of each of "
            f"{n_classes} classes, in the order of the columns. Where some classes have no rows in "
            "y_true, pass all of them as labels=[...]."
        )
    return counts


def _accuracies(name: str, values: Any) -> np.ndarray:
    accuracy = check_accuracy(name, values)
    if accuracy.ndim not in (1, 2) or not accuracy.size or np.isnan(accuracy).any():
        raise ValueError(
            f"{name}={values!r}: pass a known accuracy for each tau, or a row of them for each run."
        )
    return accuracy
