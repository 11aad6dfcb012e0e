"""Accuracy on images with additive Gaussian noise (the axes of Fig. 6 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from sklearn_open._inputs.containers import as_rows
from sklearn_open._inputs.door import in_memory
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.inspection._base import PALETTE, check_accuracy, make_axes
from sklearn_open.inspection._estimators import check_predicts
from sklearn_open.metrics._groups import equal_group_accuracy
from sklearn_open.metrics._scorers import training_labels

__all__ = ["NoiseRobustnessDisplay", "noise_robustness"]

LEVELS = (0, 15, 30, 45, 60, 75, 100)


def noise_robustness(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    noise_std: Sequence[float] = LEVELS,
    y_train: Any = None,
    n_groups: int | None = None,
    pixel_range: tuple[Any, Any] | None = None,
    random_state: Any = None,
) -> Bunch:
    """Return the accuracy on test images with more and more Gaussian noise.

    Independent noise is added to every pixel and the sum is clipped to the feasible range; of
    integers and booleans it is rounded to the nearest. All levels scale one and the same draw.

    Parameters
    ----------
    estimator : estimator
        Any fitted classifier.
    X : array-like
        Test images, in any layout that the estimator takes; a data frame stays one. A data set of
        torch or Hugging Face is read into memory, if the estimator is an `OPeNClassifier`.
    y : array-like or None
        Their labels; None takes those of a data set.
    noise_std : sequence of float, default=(0, 15, 30, 45, 60, 75, 100)
        Standard deviations, in units where the feasible range of a pixel is 0 to 255.
    y_train : array-like or None, default=None
        Training labels, which tell the smallest classes. None takes those that an `OPeNClassifier`
        was fitted on; one that was loaded from a file does not know them.
    n_groups : int or None, default=None
        The smallest of this many equal groups of classes is reported apart; None is 5, or the
        number of classes if there are fewer.
    pixel_range : pair of float or None, default=None
        Feasible range of the pixels of `X`. None takes the range that an `OPeNClassifier` was
        fitted on.
    random_state : int, RandomState instance or None, default=None
        Fixes the noise.

    Returns
    -------
    sklearn.utils.Bunch
        With `noise_std`, `accuracy` (the mean recall of all classes) and `small_class_accuracy`
        (of the smallest classes), each of shape (n_levels,), accuracies in [0, 1].

    Raises
    ------
    ValueError
        For negative levels, and where the range or the training labels are not known.
    TypeError
        For a data set and another estimator than an `OPeNClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn_open.inspection import noise_robustness
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = KNeighborsClassifier().fit(X[:900], y[:900])
    >>> options = {"y_train": y[:900], "pixel_range": (0, 16), "random_state": 0}
    >>> curve = noise_robustness(clf, X[900:], y[900:], noise_std=(0, 100), **options)
    >>> bool(curve.accuracy[0] > curve.accuracy[1])
    True
    """
    check_predicts(estimator)
    levels = np.asarray(noise_std, dtype=float)
    if levels.ndim != 1 or not np.all(levels >= 0):
        raise ValueError(f"noise_std={noise_std!r}: pass a list of numbers of 0 or more.")
    y_train = training_labels(estimator) if y_train is None else y_train
    low, high = _pixel_range(estimator) if pixel_range is None else pixel_range
    X, y = in_memory(X, y, type(estimator).__name__, _reader(estimator))
    X = as_rows(X)
    X = X.toarray() if hasattr(X, "tocsr") else X
    pixels = np.asarray(X, dtype=float if hasattr(X, "columns") else None)
    seed = check_random_state(random_state).randint(2**31 - 1)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, dtype=np.float32)
    accuracy, small = [], []
    for level in levels:
        noisy = _add_noise(pixels, noise * (level / 255), np.asarray(low), np.asarray(high))
        y_pred = estimator.predict(_like(X, noisy))
        groups = equal_group_accuracy(y, y_pred, y_train=y_train, n_groups=n_groups)
        small.append(groups[0])
        accuracy.append(equal_group_accuracy(y, y_pred, y_train=y_train, n_groups=1)[0])
    return Bunch(
        noise_std=levels, accuracy=np.array(accuracy), small_class_accuracy=np.array(small)
    )


def _reader(estimator: Any) -> Callable[[Any], Any] | None:
    """Return what reads the images of a data set as the estimator does, if it does."""
    classifier = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(classifier, OPeNClassifier):
        return None
    return lambda dataset: classifier.get_dataset(dataset).X


def _add_noise(
    pixels: np.ndarray, noise: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    return np.clip(pixels + noise * (high - low), low, high)


def _like(X: Any, noisy: np.ndarray) -> Any:
    """Return noisy pixels in the dtype of `X`, or in those of its columns, by their names."""
    if not hasattr(X, "columns"):
        return _in_dtype(noisy, X.dtype)
    columns = zip(X.columns, noisy.T, strict=True)
    # Both pandas and polars make a frame of such a dict.
    return type(X)({name: _in_dtype(column, np.asarray(X[name]).dtype) for name, column in columns})


def _in_dtype(noisy: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # A plain conversion to bool would make True of every sum that is not 0.
    return (np.rint(noisy) if dtype.kind in "biu" else noisy).astype(dtype)


def _pixel_range(estimator: Any) -> tuple[Any, Any]:
    classifier = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(classifier, OPeNClassifier):
        raise ValueError(
            f"The feasible range of the pixels that {type(classifier).__name__} takes is not "
            "known: pass it, as in pixel_range=(0, 255)."
        )
    return classifier.transform_.scale.low, classifier.transform_.scale.high


class NoiseRobustnessDisplay:
    """Accuracy against the strength of additive Gaussian noise.

    A solid line for all classes, a dashed one for the smallest ones, as in Fig. 6. There every
    point is a model that was *trained* with noise of that strength and tested on clean images:
    pass such numbers to the constructor. `from_estimator` *tests* one model on noisy images.

    Parameters
    ----------
    noise_std : array-like of shape (n_levels,)
        Standard deviations, in units where the feasible range of a pixel is 0 to 255.
    accuracy : array-like of shape (n_levels,)
        Mean recall of all classes, in [0, 1].
    small_class_accuracy : array-like of shape (n_levels,) or None, default=None
        Mean recall of the smallest classes, in [0, 1].
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        The line of all classes, and that of the smallest ones if there is one.

    See Also
    --------
    noise_robustness : The numbers.
    """

    def __init__(
        self,
        noise_std: Any,
        accuracy: Any,
        small_class_accuracy: Any = None,
        *,
        name: str | None = None,
    ) -> None:
        self.noise_std = np.asarray(noise_std, dtype=float)
        self.accuracy = check_accuracy("accuracy", accuracy)
        small = small_class_accuracy
        self.small_class_accuracy = (
            None if small is None else check_accuracy("small_class_accuracy", small)
        )
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        noise_std: Sequence[float] = LEVELS,
        y_train: Any = None,
        n_groups: int | None = None,
        pixel_range: tuple[Any, Any] | None = None,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> NoiseRobustnessDisplay:
        """Predict on noisy images, compute and draw.

        Parameters
        ----------
        estimator, X, y, noise_std, y_train, n_groups, pixel_range, random_state
            As for `noise_robustness`.
        name : str or None, default=None
            Name for the legend; None takes that of the estimator's class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        NoiseRobustnessDisplay
        """
        curve = noise_robustness(
            estimator,
            X,
            y,
            noise_std=noise_std,
            y_train=y_train,
            n_groups=n_groups,
            pixel_range=pixel_range,
            random_state=random_state,
        )
        name = type(estimator).__name__ if name is None else name
        return cls(**curve, name=name).plot(ax=ax, **kwargs)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> NoiseRobustnessDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Name for the legend; None takes that of the display.
        **kwargs : dict
            Passed on to matplotlib's ``plot``, such as ``color``.

        Returns
        -------
        NoiseRobustnessDisplay
            The display itself.
        """
        (ax,) = make_axes(self, ax)
        n_models = sum(line.get_linestyle() == "-" for line in ax.lines)
        style = {"color": PALETTE[n_models % len(PALETTE)], "marker": "o", **kwargs}
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}, "
        self.lines_ = ax.plot(
            self.noise_std, 100 * self.accuracy, **{"label": f"{prefix}all classes", **style}
        )
        if self.small_class_accuracy is not None:
            dashed = {"linestyle": "--", "label": f"{prefix}smallest classes", **style}
            self.lines_ += ax.plot(self.noise_std, 100 * self.small_class_accuracy, **dashed)
        ax.set(
            xlabel="standard deviation of the noise (pixels 0 to 255)",
            ylabel="accuracy, %",
            ylim=(0, 105),
        )
        ax.legend(frameon=False)
        return self
