"""What the items of a data set hold: an image, and perhaps a label; they are the truth of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from skorch.helper import SliceDataset
from torch.utils.data import Dataset, IterableDataset

from sklearn_open._inputs.containers import IMAGE_KEYS, as_array, naming_item
from sklearn_open._inputs.known_labels import known_labels
from sklearn_open._random import seeded_user_code

__all__ = [
    "as_pixels",
    "check_has_labels",
    "find_labels",
    "image_of",
    "is_dataset",
    "label_of",
    "n_items",
]

LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class", "fine_label")


def is_dataset(X: Any) -> bool:
    """Whether `X` gives items one by one: a torch or Hugging Face data set, or a `SliceDataset`.

    Raises
    ------
    TypeError
        For an iterable data set, which has no rows to draw from.
    """
    hugging_face = hasattr(X, "with_format") and not isinstance(X, Mapping)
    if not isinstance(X, (Dataset, SliceDataset)) and not hugging_face:
        return False
    if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
        raise TypeError(
            f"X is a {type(X).__name__}, an iterable data set: over-sampling needs rows that can "
            "be looked up. Pass a data set with __len__ and __getitem__, or an array."
        )
    return True


def as_pixels(image: np.ndarray, row: int) -> np.ndarray:
    """Return an item's image as uint8 or float32, or refuse it."""
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"item {row} of X has dtype {image.dtype}, which holds no pixels. Items are images, or "
            "pairs of image and label: arrays of real numbers, tensors or PIL images."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise ValueError(
            f"item {row} of X contains NaN or infinity (or a value too large for float32). Leave "
            "it out, or fill the values in (numpy.nan_to_num)."
        )
    return image


def image_of(item: Any, dataset: Any) -> Any:
    """Return the image of an item: the first of several values, or the one with a known key."""
    if isinstance(dataset, SliceDataset):  # its items are the images themselves
        return item
    if isinstance(item, Mapping):
        return item[_key(item, IMAGE_KEYS, "image")]
    if not isinstance(item, (tuple, list)):
        return item
    return item[0] if len(item) else unpack_data(item)[0]  # which explains what is wrong


def label_of(item: Any, dataset: Any) -> Any:
    """Return the label of an item: the second of several values, or the one with a known key.

    Raises
    ------
    ValueError
        When it has none.
    """
    if isinstance(item, Mapping) and not isinstance(dataset, SliceDataset):
        label = item[_key(item, LABEL_KEYS, "label")]
    elif (
        isinstance(item, (tuple, list)) and len(item) > 1 and not isinstance(dataset, SliceDataset)
    ):
        label = item[1]
    else:
        label = unpack_data((item,))[1]  # skorch's sentence, as it is no pair
    return as_array(label)[()] if isinstance(label, torch.Tensor) else label


def _key(names: Any, known: tuple[str, ...], what: str) -> str:
    for name in known:
        if name in names:
            return name
    raise ValueError(
        f"an item of X has the keys {list(names)}, none of which is known to be the {what}. Rename "
        f"one to {known[0]!r}."
    )


def find_labels(X: Any, y: Any) -> Any:
    """Return the labels of a data set: `y` if given, else what its items say.

    Parameters
    ----------
    X : data set
        See `is_dataset`.
    y : array-like, SliceDataset or None
        Labels, if they are known.

    Raises
    ------
    ValueError
        When there are none.
    """
    if isinstance(y, SliceDataset):
        plain = y.idx == 1 and type(y).transform is SliceDataset.transform
        labels = known_labels(y.dataset) if plain else None
        return np.asarray(y) if labels is None else np.asarray(labels)[y.indices_]
    if y is not None:
        return y
    labels = known_labels(X)
    if labels is not None:
        return labels
    with seeded_user_code(torch.device("cpu"), 0):  # reading an item runs its random transforms
        return [_label_in(X, i) for i in range(n_items(X))]


def check_has_labels(dataset: Any) -> None:
    """Raise ValueError, with what is needed, if the first item of a data set has no label."""
    n_items(dataset)
    with seeded_user_code(torch.device("cpu"), 0):
        _label_in(dataset, 0)


def n_items(dataset: Any) -> int:
    """Return how many rows a data set has; an empty one raises a ValueError."""
    n_items = len(dataset)
    if n_items == 0:
        raise ValueError("X is a data set with 0 sample(s), and a minimum of 1 is required.")
    return n_items


def _label_in(dataset: Any, i: int) -> Any:
    with naming_item(i):
        item = dataset[i]
    return label_of(item, dataset)
