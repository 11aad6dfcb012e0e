"""Composition of the rebalanced data set (Fig. 2 of the paper)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open._inputs.labels import encode_labels
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.inspection._base import (
    BLUE,
    GREEN,
    MAX_CLASS_NAMES,
    ORANGE,
    largest_first,
    make_axes,
)
from sklearn_open.inspection._estimators import fitted_classifier, last_step
from sklearn_open.inspection._texts import legend_on_top, name_classes
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler
from sklearn_open.plan import EpochPlanner

__all__ = ["RebalancedCompositionDisplay", "rebalanced_composition"]


def rebalanced_composition(
    codes: np.ndarray, index: np.ndarray, is_noise: np.ndarray, n_classes: int
) -> Bunch:
    """Count the rows of a rebalanced data set, or of an epoch, class by class.

    Parameters
    ----------
    codes : numpy.ndarray of shape (n,)
        Class of every training row.
    index, is_noise : numpy.ndarray of shape (n_rows,)
        As in `EpochPlan`: rows of the training set, and whether noise is in their place.
    n_classes : int
        Number of classes.

    Returns
    -------
    sklearn.utils.Bunch
        With `original` (training rows that occur), `duplicated` (further occurrences of them) and
        `noise`, each of shape (n_classes,).

    Raises
    ------
    ValueError
        For rows that a resampler such as SMOTE has made: their classes are not in `codes`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_open.inspection import rebalanced_composition
    >>> index, is_noise = np.array([0, 1, 2, 2, 2]), np.array([False] * 4 + [True])
    >>> counts = rebalanced_composition(np.array([0, 0, 1]), index, is_noise, n_classes=2)
    >>> counts.original, counts.duplicated, counts.noise
    (array([2, 1]), array([0, 1]), array([0, 1]))
    """
    if len(index) and index.max() >= len(codes):
        raise ValueError(
            "The resampler has made rows of its own, which are neither originals nor duplicates "
            "nor noise. Only samplers that pick rows, such as PureNoiseOverSampler and "
            "RandomOverSampler, have this composition."
        )
    natural = index[~is_noise]
    original = np.bincount(codes[np.unique(natural)], minlength=n_classes)
    return Bunch(
        original=original,
        duplicated=np.bincount(codes[natural], minlength=n_classes) - original,
        noise=np.bincount(codes[index[is_noise]], minlength=n_classes),
    )


def _planner(classifier: OPeNClassifier) -> EpochPlanner:
    if not hasattr(classifier, "planner_"):
        raise ValueError(
            f"This {type(classifier).__name__} was loaded from a file, which holds no training "
            "labels, so the sizes of its classes are not known. Pass the labels to "
            "RebalancedCompositionDisplay.from_labels(y, delta=...), or fit again."
        )
    return classifier.planner_


class RebalancedCompositionDisplay:
    """Original, duplicated and noise rows of each class in the rebalanced data set (Fig. 2).

    Parameters
    ----------
    original, duplicated, noise : array-like of shape (n_classes,)
        Number of rows of each kind.
    classes : array-like of shape (n_classes,) or None, default=None
        Labels; None numbers the classes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    bars_ : list of matplotlib BarContainer
        Bars of the originals, the duplicates and the noise.

    See Also
    --------
    rebalanced_composition : The numbers.

    Examples
    --------
    >>> from sklearn_open.inspection import RebalancedCompositionDisplay
    >>> display = RebalancedCompositionDisplay.from_labels(["a"] * 9 + ["b"] * 3, delta=0.5)
    >>> display.original, display.duplicated, display.noise
    (array([9, 3]), array([0, 3]), array([0, 3]))
    """

    def __init__(self, original: Any, duplicated: Any, noise: Any, *, classes: Any = None) -> None:
        self.original = np.asarray(original)
        self.duplicated = np.asarray(duplicated)
        self.noise = np.asarray(noise)
        self.classes = np.arange(len(self.original)) if classes is None else np.asarray(classes)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, epoch: int | None = None, ax: Any = None, **kwargs: Any
    ) -> RebalancedCompositionDisplay:
        """Count and draw what a fitted classifier takes its epochs from.

        Parameters
        ----------
        estimator : OPeNClassifier
            Fitted, or a fitted search for one, or a pipeline that ends with one.
        epoch : int or None, default=None
            Epoch (0 the first) whose own rows to count. None is the rebalanced data set that
            epochs are drawn from, from `start_epoch` on.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        RebalancedCompositionDisplay

        Raises
        ------
        ValueError
            For a classifier whose resampler makes rows of its own, such as SMOTE, and for one that
            was loaded from a file, which holds no training labels: use `from_labels`.
        """
        classifier = fitted_classifier(last_step(estimator))
        planner = _planner(classifier)
        if epoch is not None:
            plan = classifier.epoch_plan(epoch)
            index, is_noise = plan.index, plan.is_noise
        else:
            index, is_noise = planner.pool(np.random.RandomState(0))
        classes = classifier.class_names_
        counts = rebalanced_composition(planner.codes, index, is_noise, len(classes))
        return cls(**counts, classes=classes).plot(ax=ax, **kwargs)

    @classmethod
    def from_labels(
        cls,
        y: Any,
        *,
        delta: float = 1 / 3,
        sampling_strategy: Any = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> RebalancedCompositionDisplay:
        """Count and draw what labels would be rebalanced to, without training.

        Parameters
        ----------
        y : array-like of shape (n,)
            Training labels.
        delta : float, default=1/3
            Share of the new rows that is noise.
        sampling_strategy : float, str, dict or callable, default="auto"
            As for `PureNoiseOverSampler`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        RebalancedCompositionDisplay
        """
        classes, codes, labels = encode_labels(y)
        sampler = PureNoiseOverSampler(delta=delta, sampling_strategy=sampling_strategy)
        # Which rows are drawn is chance, how many of each kind is not.
        index, is_noise = sampler.draw(labels, np.random.RandomState(0))
        counts = rebalanced_composition(codes, index, is_noise, len(classes))
        return cls(**counts, classes=classes).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> RebalancedCompositionDisplay:
        """Draw a stacked bar for each class, the class with most originals first.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to matplotlib's ``bar``, such as ``width``.

        Returns
        -------
        RebalancedCompositionDisplay
            The display itself.
        """
        (ax,) = make_axes(self, ax)
        order = largest_first(self.original)
        kinds = {
            "original": (self.original[order], BLUE),
            "duplicated": (self.duplicated[order], GREEN),
            "pure noise": (self.noise[order], ORANGE),
        }
        width = 0.8 if len(order) <= MAX_CLASS_NAMES else 1.0  # narrow gaps flicker
        bottom = np.zeros(len(order), dtype=int)
        self.bars_ = []
        for kind, (counts, color) in kinds.items():
            settings = {"color": color, "label": kind, "width": width, **kwargs}
            self.bars_.append(ax.bar(np.arange(len(order)), counts, bottom=bottom, **settings))
            bottom = bottom + counts
        ax.set_ylabel("rows")
        name_classes(ax, self.classes[order])
        legend_on_top(ax)
        return self
