"""Loss and accuracy over the epochs, by class size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open.classifier import OPeNClassifier
from sklearn_open.inspection._base import GREY, check_accuracy, has_layout_engine, make_axes
from sklearn_open.inspection._estimators import fitted_classifier, last_step
from sklearn_open.inspection._texts import fit_labels, name_groups
from sklearn_open.plan import resolve_epoch

__all__ = ["TrainingCurvesDisplay", "training_curves"]


def training_curves(estimator: Any) -> Bunch:
    """Read the curves of a training from its history.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted, or a fitted search for one, or a pipeline that ends with one. With the callback
        `GroupAccuracy` there are curves by class size, with `train_split` those of the rows held
        out.

    Returns
    -------
    sklearn.utils.Bunch
        With `train_loss`, `valid_loss` and `valid_accuracy` of shape (n_epochs,); `group_loss` and
        `group_accuracy` of shape (n_epochs, n_groups), smallest classes first; and `start_epoch`,
        the first rebalanced epoch. What was not recorded, or does not exist, is None. Accuracies
        lie in [0, 1].

    Raises
    ------
    ValueError
        When no training loss was recorded.
    """
    classifier = fitted_classifier(last_step(estimator))
    history = classifier.history

    def column(name: str) -> np.ndarray | None:
        recorded = len(history) > 0 and all(name in row for row in history)
        return np.array(history[:, name], dtype=float) if recorded else None

    def groups(what: str) -> np.ndarray | None:
        columns: list[np.ndarray] = []
        while (found := column(f"group_{len(columns) + 1}_{what}")) is not None:
            columns.append(found)
        return np.stack(columns, axis=1) if columns else None

    train_loss = column("train_loss")
    if train_loss is None:
        why = "callbacks='disable' records none" if len(history) else "no epoch was trained"
        raise ValueError(
            f"The history has no training loss: {why} (max_epochs={classifier.max_epochs}). Train "
            "for one epoch or more, with skorch's callbacks."
        )
    return Bunch(
        train_loss=train_loss,
        valid_loss=column("valid_loss"),
        valid_accuracy=column("valid_acc"),
        group_loss=groups("loss"),
        group_accuracy=groups("acc"),
        start_epoch=_start_epoch(classifier),
    )


def _start_epoch(classifier: OPeNClassifier) -> int | None:
    planner = getattr(classifier, "planner_", None)
    if planner is not None:
        return None if planner.draw is None else planner.start_epoch
    # A file holds no plan, but the parameters that it was made from.
    rebalances = classifier.resampler is not None
    return resolve_epoch(classifier.start_epoch, classifier.max_epochs) if rebalances else None


class TrainingCurvesDisplay:
    """Loss and accuracy over the epochs, by class size.

    Two panels. What was not recorded is not drawn.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Mean training loss.
    valid_loss, valid_accuracy : array-like of shape (n_epochs,) or None, default=None
        Of the rows held out; accuracy in [0, 1].
    group_loss, group_accuracy : array-like of shape (n_epochs, n_groups) or None, default=None
        Of each group of classes, smallest first; accuracy in [0, 1].
    start_epoch : int or None, default=None
        First rebalanced epoch, which gets a vertical line.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes of shape (2,)
        Where it was drawn.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    training_curves : The numbers.
    sklearn_open.callbacks.GroupAccuracy : Records them.
    """

    def __init__(
        self,
        train_loss: Any,
        *,
        valid_loss: Any = None,
        valid_accuracy: Any = None,
        group_loss: Any = None,
        group_accuracy: Any = None,
        start_epoch: int | None = None,
    ) -> None:
        self.train_loss = np.asarray(train_loss, dtype=float)
        self.valid_loss = _floats(valid_loss)
        self.valid_accuracy = _accuracy("valid_accuracy", valid_accuracy)
        self.group_loss = _floats(group_loss)
        self.group_accuracy = _accuracy("group_accuracy", group_accuracy)
        self.start_epoch = start_epoch

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, **kwargs: Any
    ) -> TrainingCurvesDisplay:
        """Read the history of a fitted classifier and draw.

        Parameters
        ----------
        estimator : OPeNClassifier
            As for `training_curves`.
        ax : matplotlib Axes, array of two Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        TrainingCurvesDisplay
        """
        return cls(**training_curves(estimator)).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> TrainingCurvesDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, array of two Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot``, such as ``linewidth``.

        Returns
        -------
        TrainingCurvesDisplay
            The display itself.
        """
        losses, accuracies = make_axes(self, ax, n_panels=2, figsize=(10, 3.8))
        from matplotlib.ticker import MaxNLocator

        _draw(losses, self.train_loss, "training", kwargs, color="black", linestyle=":")
        _draw(losses, self.valid_loss, "held out", kwargs, color=GREY, linestyle="--")
        _draw_groups(losses, self.group_loss, kwargs)
        losses.set(xlabel="epoch", ylabel="loss")
        _draw(
            accuracies,
            _percent(self.valid_accuracy),
            "held out",
            kwargs,
            color=GREY,
            linestyle="--",
        )
        _draw_groups(accuracies, _percent(self.group_accuracy), kwargs)
        accuracies.set(xlabel="epoch", ylabel="accuracy, %", ylim=(-3, 103), xlim=losses.get_xlim())
        if not accuracies.lines:
            _say_how_to_record(accuracies)
        for panel in (losses, accuracies):
            if self.start_epoch is not None and self.start_epoch < len(self.train_loss):
                panel.axvline(
                    self.start_epoch, color=GREY, linewidth=1, label="rebalanced from here"
                )
            panel.xaxis.set_major_locator(
                MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
            )
        fit_labels((losses, accuracies))
        _legend_for_both(accuracies, losses)
        return self


def _floats(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values, dtype=float)


def _accuracy(name: str, values: Any) -> np.ndarray | None:
    return None if values is None else check_accuracy(name, values)


def _percent(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else 100 * values


def _draw(
    ax: Any, values: np.ndarray | None, label: str, kwargs: dict[str, Any], **style: Any
) -> None:
    if values is not None:
        ax.plot(np.arange(len(values)), values, **{"label": label, **style, **kwargs})


def _draw_groups(ax: Any, values: np.ndarray | None, kwargs: dict[str, Any]) -> None:
    if values is None:
        return
    from matplotlib import colormaps

    n_groups = values.shape[1]
    colors = colormaps["viridis"](np.linspace(0, 0.9, n_groups))  # its end is too bright on white
    for name, color, curve in zip(name_groups(n_groups), colors, values.T, strict=True):
        _draw(ax, curve, name, kwargs, color=color)


def _say_how_to_record(ax: Any) -> None:
    text = "not recorded: pass\ncallbacks=[GroupAccuracy(X, y)]\nor train_split to the estimator"
    ax.text(
        0.5,
        0.5,
        text,
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize="small",
        bbox={"facecolor": "white", "edgecolor": "none"},
    )


def _legend_for_both(ax: Any, other: Any) -> None:
    """Put one legend for two panels to the right, or inside where the figure makes no room."""
    by_label: dict[str, Any] = {}
    for panel in (other, ax):
        handles, labels = panel.get_legend_handles_labels()
        by_label.update(zip(labels, handles, strict=True))
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
    inside = {"loc": "best", "fontsize": "x-small", "framealpha": 0.6}
    place = beside if has_layout_engine(ax) else inside
    ax.legend(by_label.values(), by_label.keys(), **place)
