"""Pictures of a reproduction: Figs. 3, 6 and 7 of the paper, from the numbers of its tables."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from runs import Kind, Setting, standard_error
from table import LADDER, NAMES

from sklearn_open.inspection import ClassGroupAccuracyDisplay

METHODS = {"erm": "#555555", "drs": "#E69F00", "open": "#0072B2"}
WIDTH = 0.27  # of a bar; a group of three is less than 1 wide


def figure_3(setting: Setting) -> Figure | None:
    """Draw overall accuracy by augmentation and method."""
    given = {a: None if a == setting.own_augment else a for a in LADDER}
    shown = [a for a in given if all(len(setting.runs(Kind(m, given[a]))) for m in METHODS)]
    if len(shown) < 2:
        return None
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    for place, (method, color) in enumerate(METHODS.items()):
        runs = [setting.runs(Kind(method, given[a]))[:, 0] for a in shown]
        means = [found.mean() for found in runs]
        errors = [standard_error(found) for found in runs]
        where = np.arange(len(shown)) + (place - 1) * 0.1
        ax.errorbar(where, means, errors, fmt="o", capsize=4, color=color, label=NAMES[method])
    ax.set(ylabel="accuracy, %", xlim=(-0.5, len(shown) - 0.5))
    ax.set_xticks(range(len(shown)), shown)
    ax.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, ncols=3, loc="outside upper center")
    return figure


def figure_6(setting: Setting) -> Figure | None:
    """Draw accuracy against the strength of additive noise; dashed: smallest 20% of classes."""
    lines = {
        "DAR-BN": (setting.additive("open"), METHODS["open"]),
        "standard BN": (setting.additive("open-standard"), METHODS["drs"]),
    }
    lines = {norm: (found, color) for norm, (found, color) in lines.items() if found}
    if not lines:
        return None
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    for norm, (found, color) in lines.items():
        pure = found.pop(np.inf, None)
        for column, style in ((0, "-"), (1, "--")):
            runs = [some[:, column] for some in found.values()]
            means, errors = [some.mean() for some in runs], [standard_error(some) for some in runs]
            name = norm + (", smallest 20%" if column else "")
            look = {"ls": style, "marker": "o", "color": color, "label": name}
            ax.errorbar([*found], means, None if np.isnan(errors).all() else errors, **look)
            if pure is not None:  # where the line ends with ever more noise
                ax.plot(1.1 * max(found), pure[:, column].mean(), "*", ms=10, color=color)
    ax.set(xlabel="standard deviation of the added noise (pixels: 0 to 255)", ylabel="accuracy, %")
    ax.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, ncols=2, loc="outside upper center", title="stars: pure noise")
    return figure


def figure_7(setting: Setting) -> Figure | None:
    """Draw accuracy by groups of classes."""
    runs = {method: setting.runs(Kind(method)) for method in METHODS}
    if not all(len(found) for found in runs.values()):
        return None
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    for place, (method, found) in enumerate(runs.items()):
        ClassGroupAccuracyDisplay(found[:, 1:] / 100, name=NAMES[method]).plot(
            ax,
            offset=(place - 1) * WIDTH,
            width=WIDTH,
            color=METHODS[method],
            yerr=standard_error(found[:, 1:]) if len(found) > 1 else None,
        )
    return figure


def draw(setting: Setting, folder: Path) -> list[Path]:
    """Write the figures that there are results for, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for make in (figure_3, figure_6, figure_7):
        figure = make(setting)
        if figure is not None:
            budget = "" if setting.epochs is None else f"_{setting.epochs}epochs"
            subset = "_validation" if setting.validation else ""
            network = "" if setting.module is None else f"_{setting.module}"
            data = f"{setting.scale}_{setting.data}{subset}{network}{budget}"
            path = folder / f"{data}_{make.__name__}.png"
            # No version of matplotlib in the file: the same numbers give the same file.
            with matplotlib.rc_context({"savefig.dpi": 100}):
                figure.savefig(path, metadata={"Software": None})
            paths.append(path)
    return paths
