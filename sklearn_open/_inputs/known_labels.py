"""Labels that a data set holds beside its items, where they are provably those of the items.

Reading a label from an item may decode an image. The shortcut is taken by the function that makes
the items: where it is one of those below, what it takes for the label is known. Whatever may change
that label on the way (a target_transform, a subclass that makes items itself, a format function)
leaves it to the items.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset as SkorchDataset
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from sklearn_open._inputs.containers import as_array

__all__ = ["known_labels"]

# Of torchvision's data sets: the attribute that `__getitem__` takes labels from.
ATTRIBUTES = {
    "CIFAR10": "targets",
    "MNIST": "targets",
    "SVHN": "labels",
    "USPS": "targets",
    "SEMEION": "labels",
    "DTD": "_labels",
    "FGVCAircraft": "_labels",
    "Flowers102": "_labels",
    "Food101": "_labels",
    "SUN397": "_labels",
}


def known_labels(dataset: Any) -> Any:
    """Return the labels of all items in their order, or None where only the items know them."""
    rule = _rule_of(type(dataset))
    return None if rule is None else rule(dataset)


def _rule_of(kind: Any) -> Callable[[Any], Any] | None:
    """Return how the labels of a class of data sets are found, by what makes its items."""
    makes_item = getattr(kind, "__getitem__", None)
    if kind.__dict__.get("labels_are_targets"):  # this library's own promise, not a subclass's
        return lambda dataset: dataset.targets
    if makes_item is Subset.__getitem__:
        return _of_subset
    if makes_item is ConcatDataset.__getitem__:
        return _of_concatenated
    if makes_item is TensorDataset.__getitem__:
        return _of_tensors
    if makes_item is SkorchDataset.__getitem__ and kind.transform is SkorchDataset.transform:
        return lambda dataset: dataset.y
    if kind.__module__ == "datasets.arrow_dataset":
        return _of_hugging_face
    return _rule_of_torchvision(makes_item)


def _of_subset(dataset: Any) -> Any:
    labels = known_labels(dataset.dataset)
    return None if labels is None else np.asarray(labels)[np.asarray(dataset.indices, dtype=int)]


def _of_concatenated(dataset: Any) -> Any:
    parts = [known_labels(part) for part in dataset.datasets]
    return None if any(part is None for part in parts) else np.concatenate(parts)


def _of_tensors(dataset: Any) -> Any:
    return as_array(dataset.tensors[1]) if len(dataset.tensors) > 1 else None


def _of_hugging_face(dataset: Any) -> Any:
    """Return the column that items have as their label, unless a function makes the items."""
    columns = [name for name in ("label", "labels") if name in dataset.column_names]
    is_plain = dataset.format["type"] in (None, "numpy", "torch")
    if len(columns) != 1 or not is_plain or columns[0] not in dataset.format["columns"]:
        return None
    labels = dataset[columns[0]][:]
    return as_array(labels) if isinstance(labels, torch.Tensor) else np.asarray(labels)


def _rule_of_torchvision(makes_item: Any) -> Callable[[Any], Any] | None:
    vision = sys.modules.get("torchvision.datasets")  # whose data sets there are if it was imported
    if vision is None or makes_item is None:
        return None
    if makes_item is vision.DatasetFolder.__getitem__:
        return lambda dataset: (
            [label for _, label in dataset.samples] if _leaves_labels(dataset) else None
        )
    for name, attribute in ATTRIBUTES.items():
        if makes_item is getattr(getattr(vision, name, None), "__getitem__", object()):
            return lambda dataset: _attribute(dataset, attribute)
    return None


def _leaves_labels(dataset: Any) -> bool:
    """Whether a data set of torchvision hands labels on as they are."""
    return getattr(dataset, "target_transform", None) is None


def _attribute(dataset: Any, name: str) -> Any:
    labels: Any = getattr(dataset, name, ())
    if not _leaves_labels(dataset) or np.ndim(labels) != 1 or len(labels) != len(dataset):
        return None
    return as_array(labels) if isinstance(labels, torch.Tensor) else labels
