"""What the displays share: axes, colours, class labels, and the estimator's own training rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_open._inputs import find_labels, is_dataset
from sklearn_open._validation import encode_labels
from sklearn_open.batching import ImageDataset, TrainSet
from sklearn_open.classifier import OPeNClassifier

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "MAX_CLASS_NAMES",
    "ORANGE",
    "PALETTE",
    "fitted_classifier",
    "largest_first",
    "legend_on_top",
    "make_axes",
    "name_classes",
    "name_groups",
    "open_classifier",
    "training_set",
]

# Okabe and Ito's colours, which all kinds of colour vision tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#555555"
PALETTE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#D55E00", "#000000")

MAX_CLASS_NAMES = 20  # more do not fit below an axis


def make_axes(
    display: Any, ax: Any, n_panels: int = 1, figsize: tuple[float, float] = (6.4, 4.0)
) -> np.ndarray:
    """Return the axes to draw in, and note them on the display as `ax_` and `figure_`.

    Parameters
    ----------
    display : object
        Gets `figure_`, and `ax_`: the axes, or an array of them where there are several panels.
    ax : matplotlib Axes, sequence of Axes or None
        None makes a figure. Where several panels are needed, one Axes is divided among them.
    n_panels : int, default=1
        Panels, side by side.
    figsize : tuple of float
        Size of a figure that is made, in inches.

    Returns
    -------
    numpy.ndarray of shape (n_panels,), dtype object

    Raises
    ------
    ImportError
        When a figure is to be made and matplotlib is not installed.
    ValueError
        For a number of axes that does not fit.
    """
    name = type(display).__name__
    if ax is None:
        figure = _pyplot(name).figure(figsize=figsize, layout="constrained")
        axes = figure.subplots(1, n_panels, squeeze=False)[0]
    else:
        axes = np.array(ax, dtype=object).ravel()
        if len(axes) == 1 and n_panels > 1:
            axes = _divided(axes[0], n_panels, name)
    if len(axes) != n_panels:
        raise ValueError(f"{name} draws in {n_panels} axes and was given {len(axes)}.")
    display.ax_ = axes[0] if n_panels == 1 else axes
    display.figure_ = axes[0].figure
    return axes


def _pyplot(name: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{name} draws with matplotlib, which is not installed. Run "
            "pip install 'sklearn-open[plot]'."
        ) from error
    return pyplot


def _divided(ax: Any, n_panels: int, name: str) -> np.ndarray:
    place = ax.get_subplotspec()
    if place is None:  # axes that were put anywhere
        raise ValueError(
            f"{name} draws in {n_panels} axes, and these axes cannot be divided. Pass axes of "
            f"plt.subplots, an array of {n_panels} axes, or ax=None."
        )
    ax.set_axis_off()
    grid = place.subgridspec(1, n_panels)
    return np.array([ax.figure.add_subplot(grid[i]) for i in range(n_panels)], dtype=object)


def legend_on_top(ax: Any, top: float = 0.0, n_columns: int = 3) -> None:
    """Put the legend of a bar chart inside its axes, in room made above the bars.

    Parameters
    ----------
    ax : matplotlib Axes
        Its y axis gets the limits: from 0 to where the room ends.
    top : float, default=0.0
        What the y axis shows at least.
    n_columns : int, default=3
        Entries in a line.
    """
    handles, _ = ax.get_legend_handles_labels()
    n_lines = -(-len(handles) // n_columns)
    ax.set_ylim(0, max(top, ax.dataLim.y1, 1e-12) * (1.05 + 0.1 * n_lines))
    if handles:
        columns = min(n_columns, len(handles))
        legend = ax.legend(loc="upper center", ncols=columns, frameon=False)
        legend.set_in_layout(False)  # in narrow axes it may stand over, but must not squeeze them


def largest_first(counts: np.ndarray) -> np.ndarray:
    """Return the order of classes from the largest to the smallest; equal ones keep theirs."""
    return np.argsort(-np.asarray(counts), kind="stable")


def name_classes(ax: Any, names: Sequence[Any], room: int = 60) -> None:
    """Write names of classes, given largest first, below the bars at 0, 1, 2, ...

    Names are slanted if that many of the longest one have more than `room` characters.
    """
    texts = [str(name) for name in names]
    if len(texts) > MAX_CLASS_NAMES:
        ax.set_xlabel(f"{len(texts)} classes, largest first")
        return
    ax.set_xlabel("class, largest first")
    ax.set_xticks(np.arange(len(texts)), texts)
    if len(texts) * max(map(len, texts)) > room:
        ax.set_xticks(np.arange(len(texts)), texts, rotation=45, ha="right", rotation_mode="anchor")


def name_groups(n_groups: int) -> list[str]:
    """Return names of equal groups of classes, smallest first."""
    if n_groups == 1:
        return ["all classes"]
    bounds = [round(100 * g / n_groups) for g in range(n_groups + 1)]
    middle = [f"{a}-{b}%" for a, b in pairwise(bounds[1:-1])]
    return [f"smallest {bounds[1]}%", *middle, f"largest {100 - bounds[-2]}%"]


def fitted_classifier(estimator: Any) -> OPeNClassifier:
    """Return the fitted `OPeNClassifier` that an estimator is, or that a search has chosen.

    Raises
    ------
    NotFittedError
        When it was not fitted.
    TypeError
        For any other estimator, a pipeline among them, whose steps change what `X` is.
    """
    classifier = open_classifier(estimator)
    check_is_fitted(estimator)
    if not hasattr(classifier, "planner_"):  # initialized only
        raise NotFittedError(
            f"This {type(classifier).__name__} instance was initialized but never fitted. Call "
            "'fit' with the training data first."
        )
    return classifier


def open_classifier(estimator: Any) -> OPeNClassifier:
    """Return the classifier that an estimator is, or that a search is for, fitted or not.

    Raises
    ------
    TypeError
        For any other estimator.
    """
    is_search = hasattr(estimator, "cv") and hasattr(estimator, "estimator")
    chosen = getattr(estimator, "best_estimator_", estimator.estimator if is_search else estimator)
    if isinstance(chosen, OPeNClassifier):
        return chosen
    raise TypeError(
        f"{type(chosen).__name__} is not an OPeNClassifier, whose network and plan this is about. "
        "Of a pipeline pass the last step, with X as the steps before return it."
    )


def training_set(estimator: Any, X: Any, y: Any) -> tuple[OPeNClassifier, TrainSet]:
    """Return a copy of a classifier together with the rows that it trains on, as it sees them.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted or not; not changed. One that was not fitted is initialised, not trained.
    X, y : array-like
        The training data, as given to `fit`.

    Returns
    -------
    classifier : OPeNClassifier
        With `module_`, `transform_` and `planner_`.
    train : TrainSet
        Rows and plans, without those that `train_split` holds out.

    Raises
    ------
    ValueError
        When `y` is not what the estimator was fitted on.
    """
    if not hasattr(estimator, "planner_"):
        classifier = clone(estimator)
        data = classifier._check_training_data(X, y, goes_on=False)
        classifier.initialize()
        return classifier, classifier.get_split_datasets(data, data.y)[0]
    if is_dataset(X) or is_dataset(y):
        y = find_labels(X, y)
    classifier = copy.copy(estimator)
    images = classifier.get_dataset(X).X
    _, codes, labels = encode_labels(y, classifier.classes_, one_class=True)
    train, _ = classifier.get_split_datasets(ImageDataset(images, codes, labels), labels)
    if not np.array_equal(train.planner.codes, estimator.planner_.codes):
        raise ValueError(
            "X and y are not the data that the estimator was fitted on: their classes differ. "
            "Pass the training data, in the order they had in fit."
        )
    return classifier, train
