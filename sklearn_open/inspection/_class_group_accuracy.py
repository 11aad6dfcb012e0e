"""Accuracy by class size (Fig. 7 of the paper)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_open.inspection._base import PALETTE, check_accuracy, make_axes
from sklearn_open.inspection._estimators import check_predicts
from sklearn_open.inspection._texts import legend_on_top, name_groups, write_names
from sklearn_open.metrics._groups import equal_group_accuracy
from sklearn_open.metrics._scorers import training_labels

__all__ = ["ClassGroupAccuracyDisplay"]


class ClassGroupAccuracyDisplay:
    """Accuracy on equal groups of classes, smallest classes first (Fig. 7).

    Several models are compared in one Axes: give each a `name` and an `offset`.

    Parameters
    ----------
    group_accuracy : array-like of shape (n_groups,) or (n_runs, n_groups)
        Mean recall of each group's classes, in [0, 1], as `equal_group_accuracy` returns it. Of
        several runs (seeds) the mean is drawn, with the standard deviation as error bars.
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    bars_ : matplotlib BarContainer
        The bars.

    See Also
    --------
    sklearn_open.metrics.equal_group_accuracy : The numbers.

    Examples
    --------
    >>> from sklearn_open.inspection import ClassGroupAccuracyDisplay
    >>> plain = ClassGroupAccuracyDisplay([0.5, 0.9], name="plain training")
    >>> noisy = ClassGroupAccuracyDisplay([0.7, 0.9], name="OPeN")
    >>> ax = plain.plot(offset=-0.2, width=0.4).ax_
    >>> noisy.plot(ax=ax, offset=0.2, width=0.4)
    <...>
    """

    def __init__(self, group_accuracy: Any, *, name: str | None = None) -> None:
        self.group_accuracy = check_accuracy("group_accuracy", group_accuracy)
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        y_train: Any = None,
        n_groups: int | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ClassGroupAccuracyDisplay:
        """Predict, compute and draw.

        Parameters
        ----------
        estimator : estimator
            Any fitted classifier.
        X, y : array-like
            Test images and their labels.
        y_train : array-like or None, default=None
            Training labels, which give the sizes of the classes. None takes those that an
            `OPeNClassifier` was fitted on (alone, in a search or at the end of a pipeline). One
            that was loaded from a file does not know them.
        n_groups : int or None, default=None
            Number of groups; None is 5, or the number of classes if there are fewer.
        name : str or None, default=None
            Name for the legend; None takes that of the estimator's class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        ClassGroupAccuracyDisplay
        """
        check_predicts(estimator)
        return cls.from_predictions(
            y,
            estimator.predict(X),
            y_train=training_labels(estimator) if y_train is None else y_train,
            n_groups=n_groups,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        y_train: Any,
        n_groups: int | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ClassGroupAccuracyDisplay:
        """Compute and draw from predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
            Test labels, and those predicted.
        y_train : array-like of shape (n_train,)
            Training labels, which give the sizes of the classes.
        n_groups, name, ax, **kwargs
            As for `from_estimator`; without `name` there is no legend.

        Returns
        -------
        ClassGroupAccuracyDisplay
        """
        accuracy = equal_group_accuracy(y_true, y_pred, y_train=y_train, n_groups=n_groups)
        return cls(accuracy, name=name).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        offset: float = 0.0,
        width: float = 0.8,
        **kwargs: Any,
    ) -> ClassGroupAccuracyDisplay:
        """Draw a bar for each group.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Name for the legend; None takes that of the display.
        offset : float, default=0.0
            How far to move the bars to the right; groups are 1 apart.
        width : float, default=0.8
            Width of a bar.
        **kwargs : dict
            Passed on to matplotlib's ``bar``, such as ``color``.

        Returns
        -------
        ClassGroupAccuracyDisplay
            The display itself.
        """
        (ax,) = make_axes(self, ax)
        runs = 100 * np.atleast_2d(self.group_accuracy)
        n_groups = runs.shape[1]
        n_models = sum(hasattr(container, "patches") for container in ax.containers)
        settings = {
            "label": self.name if name is None else name,
            "color": PALETTE[n_models % len(PALETTE)],
            "yerr": runs.std(axis=0) if len(runs) > 1 else None,
            "capsize": 3,
            **kwargs,
        }
        self.bars_ = ax.bar(np.arange(n_groups) + offset, runs.mean(axis=0), width, **settings)
        ax.set(xlabel="classes by training size", ylabel="accuracy, %", yticks=range(0, 101, 20))
        write_names(ax, name_groups(n_groups))
        legend_on_top(ax, top=100)
        return self
