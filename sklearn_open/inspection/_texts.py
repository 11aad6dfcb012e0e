"""Names, titles and legends that fit into axes: they are measured, as axes may have any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sklearn_open.inspection._base import MAX_CLASS_NAMES

__all__ = [
    "fit_labels",
    "legend_on_top",
    "name_classes",
    "name_groups",
    "short_name",
    "write_names",
]

CLASS_NAME_LENGTH = 16
SMALLEST_TEXT = 5.0  # points
GAP = 4.0  # points that are left between texts


def short_name(name: Any, length: int) -> str:
    """Return a name of at most that many characters, without its middle: ends tell names apart."""
    text = str(name)
    if len(text) <= length:
        return text
    n_last = (length - 1) // 2
    return f"{text[: length - 1 - n_last]}\N{HORIZONTAL ELLIPSIS}{text[-n_last:]}"


def name_classes(ax: Any, names: Sequence[Any]) -> None:
    """Write names of classes, given largest first, below the bars at 0, 1, 2, ...

    More than `MAX_CLASS_NAMES` are only counted.
    """
    if len(names) > MAX_CLASS_NAMES:
        ax.set_xlabel(f"{len(names)} classes, largest first")
        return
    ax.set_xlabel("class, largest first")
    write_names(ax, [short_name(name, CLASS_NAME_LENGTH) for name in names])


def name_groups(n_groups: int) -> list[str]:
    """Return names of equal groups of classes, smallest first."""
    if n_groups == 1:
        return ["all classes"]
    bounds = [round(100 * g / n_groups) for g in range(n_groups + 1)]
    middle = [f"{a}-{b}%" for a, b in pairwise(bounds[1:-1])]
    return [f"smallest {bounds[1]}%", *middle, f"largest {100 - bounds[-2]}%"]


def write_names(ax: Any, names: Sequence[str]) -> None:
    """Write names below the bars at 0, 1, 2, ...; slanted, if they would run into one another."""
    places = np.arange(len(names))
    ax.set_xticks(places, names, rotation=0, ha="center", rotation_mode="default")
    _lay_out(ax)
    labels = ax.get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    if any(right.x0 - left.x1 < _pixels(ax, GAP) for left, right in pairwise(boxes)):
        distance = np.ptp(ax.transData.transform([(0, 0), (1, 0)])[:, 0]) / _pixels(ax, 1)
        # Lines of slanted text are that much nearer to one another than their ends.
        size = min(labels[0].get_fontsize(), max(SMALLEST_TEXT, distance * np.sin(np.pi / 4)))
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "fontsize": size}
        ax.set_xticks(places, names, **slanted)


def legend_on_top(ax: Any, top: float = 0.0, n_columns: int = 3) -> None:
    """Put the legend of a bar chart inside its axes, in room made above the bars.

    Parameters
    ----------
    ax : matplotlib Axes
        Its y axis gets the limits: from 0 to where the room ends.
    top : float, default=0.0
        What the y axis shows at least.
    n_columns : int, default=3
        Entries in a line; fewer where they do not fit.
    """
    highest = 1.05 * max(top, ax.dataLim.y1, 1e-12)
    ax.set_ylim(0, highest)
    handles, _ = ax.get_legend_handles_labels()
    if not handles:
        return
    box = _lay_out(ax)
    sizes = [(n, "medium") for n in range(min(n_columns, len(handles)), 0, -1)]
    for columns, size in [*sizes, (1, "small"), (1, "x-small"), (1, "xx-small")]:
        legend = ax.legend(loc="upper center", ncols=columns, fontsize=size, frameon=False)
        legend.set_in_layout(False)  # it has its room, and must not squeeze the axes
        extent = legend.get_window_extent()
        if extent.width <= box.width:
            break
    share = (extent.height + 2 * _pixels(ax, GAP)) / box.height
    ax.set_ylim(0, highest / (1 - min(share, 0.75)))


def fit_labels(axes: Iterable[Any]) -> None:
    """Make titles and labels of the y axis smaller where they are longer than their axes."""
    for ax in axes:
        box = _lay_out(ax)
        title, label = ax.title.get_window_extent(), ax.yaxis.label.get_window_extent()
        _shrink(ax.title, title.width, box.width + 4 * _pixels(ax, GAP))
        _shrink(ax.yaxis.label, label.height, box.height)


def _shrink(text: Any, length: float, room: float) -> None:
    if length > room:
        text.set_fontsize(text.get_fontsize() * room / length)


def _lay_out(ax: Any) -> Any:
    """Give everything in the figure its place, and return that of the axes, in pixels."""
    ax.figure.canvas.figure.draw_without_rendering()
    return ax.get_window_extent()


def _pixels(ax: Any, points: float) -> float:
    return points * ax.figure.canvas.figure.dpi / 72
