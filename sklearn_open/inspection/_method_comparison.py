"""Methods compared: scores with lines from fold to fold, and accuracy by class size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_open.comparison._result import FEW_CLASSES, MethodComparison
from sklearn_open.comparison._sentences import in_percent, words_for
from sklearn_open.inspection._base import BLUE, GREY, check_accuracy, make_axes
from sklearn_open.inspection._texts import name_groups, short_name, write_names

__all__ = ["MethodComparisonDisplay"]

NAME_LENGTH = 28
ROW_HEIGHT, MARGINS = 0.45, 1.6  # inches


class MethodComparisonDisplay:
    """Methods in rows, the best on top: their scores fold by fold, and their accuracy by class.

    On the left a line joins what the methods reach on one fold, so that lines which run alike show
    differences that are real though the folds differ; a dot with an error bar is the mean with its
    standard error. On the right is the mean recall of each class, or, of more than 8, of each fifth
    of the classes by size.

    Parameters
    ----------
    scores : array-like of shape (n_methods, n_folds)
        What methods are compared by.
    class_accuracy : array-like of shape (n_methods, n_columns)
        Recall in [0, 1] of each class, or group of classes, smallest first; nan is not known.
    methods : sequence of str of length n_methods
        Names.
    columns : sequence of str of length n_columns
        Names of the classes or groups.
    standard_errors : array-like of shape (n_methods,) or None, default=None
        Of the mean scores; None draws none.
    score_name : str, default="score"
        Label of the axis.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes of shape (2,)
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    order_ : ndarray of shape (n_methods,)
        Positions of the methods from top to bottom.

    See Also
    --------
    sklearn_open.comparison.compare_methods : The numbers.

    Examples
    --------
    >>> from sklearn_open.inspection import MethodComparisonDisplay
    >>> display = MethodComparisonDisplay(
    ...     [[62, 64], [70, 73]], [[0.3, 0.9], [0.6, 0.8]], methods=["erm", "open"],
    ...     columns=["crack", "good"], score_name="balanced accuracy, %",
    ... )
    >>> display.plot().order_
    array([1, 0])
    """

    def __init__(
        self,
        scores: Any,
        class_accuracy: Any,
        *,
        methods: Sequence[str],
        columns: Sequence[str],
        standard_errors: Any = None,
        score_name: str = "score",
    ) -> None:
        self.scores = np.asarray(scores, dtype=float)
        self.class_accuracy = check_accuracy("class_accuracy", class_accuracy)
        self.methods = list(methods)
        self.columns = list(columns)
        self.standard_errors = standard_errors
        self.score_name = score_name
        expected = (len(self.methods), len(self.columns))
        if self.scores.ndim != 2 or len(self.scores) != expected[0]:
            raise ValueError(
                f"scores have the shape {self.scores.shape}: pass a row for each of "
                f"{expected[0]} methods, and in it a score for each fold."
            )
        if self.class_accuracy.shape != expected:
            raise ValueError(
                f"class_accuracy has the shape {self.class_accuracy.shape}, and there are "
                f"{expected[0]} methods and {expected[1]} columns."
            )

    @classmethod
    def from_comparison(
        cls, comparison: MethodComparison, *, ax: Any = None
    ) -> MethodComparisonDisplay:
        """Draw what `compare_methods` has found.

        Parameters
        ----------
        comparison : MethodComparison
        ax : matplotlib Axes, sequence of two Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        MethodComparisonDisplay
        """
        scale = 100 if in_percent(comparison.scoring) else 1
        accuracy, columns = _by_class(comparison)
        unit = ", %" if scale == 100 else ""
        display = cls(
            scale * comparison.scores_,
            accuracy,
            methods=comparison.methods_,
            columns=columns,
            standard_errors=scale * comparison.standard_errors_,
            score_name=f"{words_for(comparison.scoring)}{unit}",
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> MethodComparisonDisplay:
        """Draw both panels.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of two Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        MethodComparisonDisplay
            The display itself.
        """
        height = MARGINS + ROW_HEIGHT * len(self.methods)
        left, right = make_axes(self, ax, 2, figsize=(9.0, height))
        means = self.scores.mean(axis=1)
        self.order_ = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
        rows = np.arange(len(self.order_))
        self._draw_scores(left, rows, means[self.order_])
        self._draw_classes(right, rows)
        _write_methods(left, self._names())
        # Side by side in one figure, the rows of the right panel are those of the left.
        _write_methods(right, self._names() if right.figure is not left.figure else [])
        return self

    def _names(self) -> list[str]:
        return [short_name(self.methods[i], NAME_LENGTH) for i in self.order_]

    def _draw_scores(self, ax: Any, rows: np.ndarray, means: np.ndarray) -> None:
        for fold in self.scores[self.order_].T:
            ax.plot(fold, rows, color=GREY, alpha=0.5, linewidth=0.8, marker=".", markersize=4)
        errors = self.standard_errors
        bars = None if errors is None else np.nan_to_num(np.asarray(errors, float)[self.order_])
        ax.errorbar(means, rows, xerr=bars, fmt="o", color=BLUE, capsize=3, zorder=3)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlabel(f"{self.score_name} (lines: folds)")
        ax.grid(axis="x", alpha=0.3)

    def _draw_classes(self, ax: Any, rows: np.ndarray) -> None:
        shown = 100 * self.class_accuracy[self.order_]
        ax.imshow(shown, aspect="auto", cmap="Blues", vmin=0, vmax=100)
        for row, column in np.ndindex(*shown.shape):
            value = shown[row, column]
            dark = value > 60
            text = "-" if np.isnan(value) else f"{value:.0f}"
            ax.text(column, row, text, ha="center", va="center", color="w" if dark else "k")
        ax.set_xlabel("recall, %, smallest class first")
        write_names(ax, [short_name(name, 16) for name in self.columns])


def _write_methods(ax: Any, names: Sequence[str]) -> None:
    ax.set_yticks(np.arange(len(names)), names)


def _by_class(comparison: MethodComparison) -> tuple[np.ndarray, list[str]]:
    """Return recalls of the classes, or of groups of them, smallest first, with their names."""
    if len(comparison.classes_) > FEW_CLASSES:
        found = comparison.group_accuracy_
        names = name_groups(found.shape[2])
    else:
        order = np.argsort(comparison.class_count_, kind="stable")
        found = comparison.recalls_[:, :, order]
        names = [str(comparison.class_names_[i]) for i in order]
    known = ~np.isnan(found)
    sums, counts = np.where(known, found, 0).sum(axis=1), known.sum(axis=1)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0), names
