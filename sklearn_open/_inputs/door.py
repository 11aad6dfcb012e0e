"""The door: what was given becomes images, labels and layout here, once, or is refused.

Behind it, rows are an array (n, n_channels, height, width) or (n, n_features), uint8 or float32, or
`LazyImages`, which is sliced like one; nothing behind it asks what was given, or checks it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from torch.utils.data import Subset

from sklearn_open._inputs.images import check_images, check_items
from sklearn_open._inputs.items import (
    check_has_labels,
    find_labels,
    image_of,
    is_dataset,
    label_of,
)
from sklearn_open._inputs.known_labels import known_labels
from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.pixels import PixelStatistics, Readers

__all__ = [
    "Given",
    "image_and_label",
    "in_memory",
    "own_labels",
    "read",
    "read_labelled",
    "some_rows",
]


@dataclass(frozen=True)
class Given:
    """What came in, in the internal form.

    Attributes
    ----------
    images : numpy.ndarray or LazyImages of shape (n, n_channels, height, width) or (n, n_features)
        uint8, or else float32.
    labels : array-like of shape (n,)
        As the user has them (see `encode_labels`).
    """

    images: np.ndarray | LazyImages
    labels: Any


def read(estimator: Any, X: Any, *, image_shape: tuple[int, ...] | None) -> np.ndarray | LazyImages:
    """Read rows to predict on.

    Parameters
    ----------
    estimator : estimator
        Fitted: what rows are compared with.
    X : array-like, torch.Tensor, data frame or data set
        Images or a table.
    image_shape : tuple of int or None
        Shape (n_channels, height, width) that rows must have, and that a table is reshaped to.
        None for tables.

    Returns
    -------
    numpy.ndarray or LazyImages of shape (n, n_channels, height, width) or (n, n_features)
        uint8, or else float32.

    Raises
    ------
    ValueError, TypeError
        For NaN or infinite values, wrong shapes and anything scikit-learn refuses.
    """
    check = check_items if is_dataset(X) else check_images
    return check(estimator, X, image_shape=image_shape)


def read_labelled(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    image_shape: tuple[int, ...] | None,
    reset: bool = False,
    num_workers: int = 0,
    ranks: Readers | None = None,
) -> Given:
    """Read rows together with their labels, one for each.

    Labels that only the items of a data set know are read in one pass with the pixels' statistics,
    which `LazyImages` keeps.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` and, for data frames, `feature_names_in_`, or is compared with them.
    X : array-like, torch.Tensor, data frame or data set
        Images or a table.
    image_shape : tuple of int or None
        As for `read`; None takes what comes.
    reset : bool, default=False
        Whether the features are those of new data, not compared with the ones fitted.
    y : array-like of shape (n,), SliceDataset or None
        Labels; None takes those of a data set: what its items say.
    num_workers : int, default=0
        Processes that read a data set.
    ranks : Readers or None, default=None
        Who reads it together.

    Raises
    ------
    ValueError, TypeError
        As `read` does, and for labels that are missing or of another number than rows.
    """
    if not is_dataset(X):
        labels = own_labels(X, y)
        return Given(
            check_images(estimator, X, labels, image_shape=image_shape, reset=reset), labels
        )
    labels = known_labels(X) if y is None else find_labels(X, y)
    if labels is not None:
        images = check_items(estimator, X, labels, image_shape=image_shape, reset=reset)
        return Given(images, labels)
    check_has_labels(X)
    images = check_items(estimator, X, image_shape=image_shape, reset=reset)
    read_along: list[Any] = []
    reading: dict[str, Any] = {"num_workers": num_workers, "ranks": ranks}
    images.statistics = PixelStatistics.of(images, labels=read_along, **reading)
    return Given(images, read_along)


def own_labels(X: Any, y: Any) -> Any:
    """Return labels as they were given; None stands for those of a data set."""
    return find_labels(X, y) if is_dataset(X) or is_dataset(y) else y


def some_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, in the form that they were given in; of a data set unread."""
    return Subset(X, rows.tolist()) if is_dataset(X) else _safe_indexing(X, rows)


def image_and_label(item: Any, dataset: Any) -> tuple[Any, Any]:
    """Return what an item of a data set holds, in any of the forms that are read."""
    return image_of(item, dataset), label_of(item, dataset)


def in_memory(
    X: Any, y: Any, who: str, reader: Callable[[Any], np.ndarray] | None = None
) -> tuple[Any, Any]:
    """Return rows and labels that are held in memory, as they were given.

    Parameters
    ----------
    X : array-like, torch.Tensor, data frame or data set
        Rows.
    y : array-like or None
        Labels; None takes those of a data set.
    who : str
        Who does not read data sets, for the error.
    reader : callable or None, default=None
        Reads the images of a data set.

    Raises
    ------
    TypeError
        For a data set, where there is no `reader`.
    """
    if not is_dataset(X):
        return X, y
    if reader is None:
        raise TypeError(
            f"X is a {type(X).__name__}, a data set, whose items only an OPeNClassifier reads, and "
            f"this is a {who}. Pass an array here: the images as one array."
        )
    return np.asarray(reader(X)), find_labels(X, y)
