"""What the displays share: axes, colours, the order of classes, and what numbers they take."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "MAX_CLASS_NAMES",
    "ORANGE",
    "PALETTE",
    "check_accuracy",
    "has_layout_engine",
    "largest_first",
    "make_axes",
]

# Okabe and Ito's colours, which all kinds of colour vision tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#555555"
PALETTE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#D55E00", "#000000")

MAX_CLASS_NAMES = 20  # more do not fit below an axis


def check_accuracy(name: str, values: Any) -> np.ndarray:
    """Return accuracies as an array, or raise ValueError if they do not lie in [0, 1]."""
    accuracy = np.asarray(values, dtype=float)
    wrong = accuracy[(accuracy < 0) | (accuracy > 1)]  # nan, for what is not known, is neither
    if len(wrong):
        raise ValueError(
            f"{name} holds {wrong[0]:g}: accuracies lie in [0, 1]. Divide percentages by 100."
        )
    return accuracy


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
    TypeError
        For what is no Axes.
    """
    name = type(display).__name__
    if ax is None:
        figure = _pyplot(name).figure(figsize=figsize, layout="constrained")
        axes = figure.subplots(1, n_panels, squeeze=False)[0]
    else:
        axes = np.array(ax, dtype=object).ravel()
        _check_are_axes(axes, ax)
        if len(axes) == 1 and n_panels > 1:
            axes = _divided(axes[0], n_panels, name)
    if len(axes) != n_panels:
        raise ValueError(f"{name} draws in {n_panels} axes and was given {len(axes)}.")
    display.ax_ = axes[0] if n_panels == 1 else axes
    display.figure_ = axes[0].figure
    return axes


def _check_are_axes(axes: np.ndarray, given: Any) -> None:
    for one in axes:
        if not hasattr(one, "transAxes"):
            raise TypeError(
                f"ax={given!r} is no Axes of matplotlib (it holds a {type(one).__name__}). Pass "
                "what plt.subplots() returns, or ax=None for a new figure."
            )


def _pyplot(name: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{name} draws with matplotlib, which is not installed. Run pip install matplotlib."
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
    # Room for the labels of the panels, which only a layout engine makes by itself.
    grid = place.subgridspec(1, n_panels, wspace=None if has_layout_engine(ax) else 0.5)
    return np.array([ax.figure.add_subplot(grid[i]) for i in range(n_panels)], dtype=object)


def has_layout_engine(ax: Any) -> bool:
    """Whether its figure makes room for what stands beside the axes (constrained, tight)."""
    return ax.figure.canvas.figure.get_layout_engine() is not None


def largest_first(counts: np.ndarray) -> np.ndarray:
    """Return the order of classes from the largest to the smallest; equal ones keep theirs."""
    return np.argsort(-np.asarray(counts), kind="stable")
