"""The images that the network is fed."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open._checks import check_whole
from sklearn_open._training.translation import BatchTranslation
from sklearn_open._warnings import warn_user
from sklearn_open.batching._batches import EpochBatches
from sklearn_open.batching._dataset import TrainSet
from sklearn_open.inspection._base import GREY, ORANGE, make_axes
from sklearn_open.inspection._estimators import open_classifier, training_set
from sklearn_open.inspection._texts import short_name

__all__ = ["BatchDisplay", "batch_images"]

COLUMNS = 8
FRAME = 0.06  # width of a picture's frame, in pictures
ROOM_FOR_LABEL = 0.3
LABEL_LENGTH = 12


def batch_images(
    estimator: Any, X: Any, y: Any, *, epoch: int | None = None, batch: int = 0
) -> Bunch:
    """Return the images of a training batch as the network is fed them, back in pixel units.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted or not; not changed. For one that was not fitted, these are the images that `fit`
        would feed, if `random_state` is fixed; for one loaded from a file, those that `fit` fed,
        if it was given this `X` and `y`.
    X, y : array-like
        The training data.
    epoch : int or None, default=None
        Epoch, 0 the first; None is the first rebalanced one, `start_epoch`.
    batch : int, default=0
        Batch of that epoch, 0 the first.

    Returns
    -------
    sklearn.utils.Bunch
        With `images` of shape (n, n_channels, height, width) in the units of `X`, natural rows
        first; `labels` and `kinds` ("natural", "augmented" or "noise") of shape (n,); and
        `pixel_range`, the feasible range (low, high).

    Raises
    ------
    ValueError
        For tables, for a batch that there is not, and for labels `y` that are not the ones that a
        fitted estimator was fitted on, in their order. (Whether `X` is what it was fitted on is
        not checked.)

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.datasets import make_long_tailed
    >>> from sklearn_open.inspection import batch_images
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20)
    >>> batch = batch_images(OPeNClassifier(random_state=0), X, y)
    >>> batch.images.shape[1:], sorted(set(batch.kinds.tolist()))
    ((1, 8, 8), ['natural', 'noise'])
    """
    classifier, train = training_set(open_classifier(estimator), X, y)
    if train.X.ndim != 4:
        raise ValueError(
            "The rows of a table are not images. Set image_shape on the estimator if they are."
        )
    first = train.planner.start_epoch
    epoch = first if epoch is None else check_whole("epoch", epoch, 0)
    n_batches = train.plan(epoch).n_batches
    if check_whole("batch", batch, 0) >= n_batches:
        raise ValueError(f"batch={batch}: epoch {epoch} has batches 0 to {n_batches - 1}.")
    transform = classifier.transform_
    train.translation = _shown_translation(classifier, train)
    batches = EpochBatches(train, transform, classifier.device_, lambda: epoch)
    fed = next(islice(batches, batch, None))
    x, codes = fed
    n_natural = len(x) - fed.n_noise
    natural = "natural" if transform.augment is None else "augmented"
    return Bunch(
        images=transform.to_pixels(x, np.dtype(train.X.dtype)),
        labels=classifier.class_names_[codes.cpu().numpy()],
        kinds=np.where(np.arange(len(x)) < n_natural, natural, "noise"),
        pixel_range=(float(transform.scale.low), float(transform.scale.high)),
    )


def _shown_translation(classifier: Any, train: TrainSet) -> BatchTranslation | None:
    """Return what moves images, with a teacher that is there: none is trained for a picture."""
    sampler = classifier.resampler_
    if getattr(sampler, "translates", False) and sampler.teacher is None:
        warn_user(
            f"{type(sampler).__name__} moves images by a teacher that `fit` trains, which is not "
            "there: rows are shown as they were. Pass a teacher to the sampler to see them moved."
        )
        return None
    return BatchTranslation.of(classifier, train)


class BatchDisplay:
    """A grid of the images that the network is fed, with their labels; noise has a frame.

    Parameters
    ----------
    images : array-like of shape (n, n_channels, height, width)
        Pixels. Three and four channels are shown as colours, the fourth left out; of any other
        number the mean.
    labels : array-like of shape (n,)
        Labels.
    kinds : array-like of str of shape (n,)
        "natural", "augmented" or "noise".
    pixel_range : pair of float, default=(0, 255)
        Feasible range, from black to white.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    images_ : list of matplotlib AxesImage
        The pictures.

    See Also
    --------
    batch_images : The images.
    """

    def __init__(
        self, images: Any, labels: Any, kinds: Any, *, pixel_range: tuple[float, float] = (0, 255)
    ) -> None:
        self.images = np.asarray(images)
        self.labels = np.asarray(labels)
        self.kinds = np.asarray(kinds)
        self.pixel_range = pixel_range

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        epoch: int | None = None,
        batch: int = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> BatchDisplay:
        """Make a batch and draw it.

        Parameters
        ----------
        estimator, X, y, epoch, batch
            As for `batch_images`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        BatchDisplay
        """
        made = batch_images(estimator, X, y, epoch=epoch, batch=batch)
        return cls(**made).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, n_images: int = 32, **kwargs: Any) -> BatchDisplay:
        """Draw the pictures.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        n_images : int, default=32
            How many pictures at most. Of a larger batch they are taken at even distances, so that
            natural and noise rows keep their shares.
        **kwargs : dict
            Passed on to matplotlib's ``imshow``, such as ``interpolation``.

        Returns
        -------
        BatchDisplay
            The display itself.
        """
        n, n_images = len(self.images), check_whole("n_images", n_images, 1)
        shown = np.unique(np.linspace(0, n - 1, min(n, n_images)).round().astype(int))
        n_rows = -(-len(shown) // COLUMNS)
        (ax,) = make_axes(self, ax, figsize=(COLUMNS, (1 + ROOM_FOR_LABEL) * n_rows + 0.4))
        low, high = self.pixel_range
        settings = {"cmap": "gray", "vmin": 0, "vmax": 1, **kwargs}
        self.images_ = []
        for place, i in enumerate(shown):
            row, column = divmod(place, COLUMNS)
            picture = _as_picture((self.images[i] - low) / ((high - low) or 1.0))
            top, left = row * (1 + ROOM_FOR_LABEL) + ROOM_FOR_LABEL, float(column)
            is_noise = self.kinds[i] == "noise"
            self._frame(ax, left, top, ORANGE if is_noise else GREY)
            extent = (left + FRAME, left + 1 - FRAME, top + 1 - FRAME, top + FRAME)
            self.images_.append(ax.imshow(picture, extent=extent, zorder=2, **settings))
            label = short_name(self.labels[i], LABEL_LENGTH)
            ax.text(left + 0.5, top - 0.02, label, ha="center", va="bottom", fontsize=8)
        ax.set(xlim=(0, COLUMNS), ylim=(n_rows * (1 + ROOM_FOR_LABEL) + 0.05, 0), aspect="equal")
        ax.set_axis_off()
        ax.set_title(self._title(), fontsize="medium")
        return self

    @staticmethod
    def _frame(ax: Any, left: float, top: float, color: str) -> None:
        corners = ([left + 0.02, left + 0.98], [top + 0.02] * 2, [top + 0.98] * 2)
        ax.fill_between(*corners, color=color, linewidth=0, zorder=1)

    def _title(self) -> str:
        kinds, counts = np.unique(self.kinds, return_counts=True)
        parts = [f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True)]
        noise = " (orange frame)" if "noise" in kinds else ""
        return f"{', '.join(parts)}{noise}"


def _as_picture(image: np.ndarray) -> np.ndarray:
    """Return what imshow takes: (height, width), or (height, width, 3) of colours."""
    image = np.clip(image, 0, 1)
    return np.moveaxis(image[:3], 0, -1) if len(image) in (3, 4) else image.mean(axis=0)
