"""Validated rows with their labels, and rows to train on with their plans."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import Subset

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.memory_maps import MappedRows, find_map
from sklearn_open._random import keyed_random_state
from sklearn_open.plan import EpochPlan, EpochPlanner

__all__ = ["ImageDataset", "TrainSet", "Translation", "taken"]


class Translation(Protocol):
    """Puts other images in the place of some rows of a batch."""

    def __call__(
        self, x: torch.Tensor, codes: torch.Tensor, epoch: int, batch: int
    ) -> torch.Tensor:
        """Return rows (n, n_channels, ...) in unit scale."""
        ...


class ImageDataset(Dataset):
    """Validated rows with their labels.

    Parameters
    ----------
    X : numpy.ndarray or LazyImages of shape (n, n_channels, ...)
        Pixels in their own units, uint8 or float32.
    codes : numpy.ndarray of shape (n,) or None, default=None
        Classes 0 to n_classes - 1; zeros when predicting.
    y : numpy.ndarray of shape (n,) or None, default=None
        The user's labels; the codes when predicting.
    """

    def __init__(
        self,
        X: np.ndarray | LazyImages,
        codes: np.ndarray | None = None,
        y: np.ndarray | None = None,
    ) -> None:
        self.X: Any = X  # an array, or LazyImages, which is sliced like one
        self.codes = np.zeros(len(X), dtype=np.int64) if codes is None else codes
        self.y = self.codes if y is None else y

    def __len__(self) -> int:
        return len(self.X)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the rows: callbacks of skorch ask for it."""
        return self.X.shape

    def __getitem__(self, i: int) -> tuple[np.ndarray, Any]:
        return self.X[i], self.codes[i]

    @property
    def arrays(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Rows, codes and labels."""
        return self.X, self.codes, self.y


def taken(dataset: ImageDataset | Subset) -> ImageDataset:
    """Return a split of a data set, as skorch's splitters make it, as a data set of its own.

    Raises
    ------
    TypeError
        For a split that was not made from validated rows.
    """
    if isinstance(dataset, ImageDataset):
        return dataset
    whole = getattr(dataset, "dataset", None)
    if not isinstance(whole, ImageDataset):
        raise TypeError(
            f"train_split returned a {type(dataset).__name__} that was not split from X. Use a "
            "splitter such as skorch.dataset.ValidSplit, or train_split=None."
        )
    rows = np.asarray(dataset.indices)
    X, codes, y = whole.arrays
    return ImageDataset(_rows_of(X, rows), codes[rows], y[rows])


def _rows_of(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, LazyImages):
        return X.subset(rows)
    return X[rows] if find_map(X) is None else MappedRows(X, rows)


class TrainSet(ImageDataset):
    """Rows to train on, with what turns them into epochs.

    Parameters
    ----------
    X, codes, y
        As for `ImageDataset`. Rows past the planner's own are synthetic ones that only its
        resampler's plans name.
    planner : EpochPlanner
        Makes the plan of any epoch.

    Attributes
    ----------
    translation : callable or None
        Puts other images in the place of rows of rebalanced epochs.
    """

    def __init__(
        self,
        X: np.ndarray | LazyImages,
        codes: np.ndarray,
        y: np.ndarray,
        planner: EpochPlanner,
    ) -> None:
        super().__init__(X, codes, y)
        self.planner = planner
        self.translation: Translation | None = None  # which a fit adds, as it needs the network
        self._last: tuple[int, EpochPlan] | None = None

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch; the last one that was asked for is kept."""
        if self._last is None or self._last[0] != epoch:
            self._last = epoch, self.planner.plan(epoch)
        return self._last[1]

    @property
    def class_counts(self) -> np.ndarray:
        """Training rows of each class, up to the largest code that there is; no synthetic ones."""
        return np.bincount(self.planner.codes)

    def drawn_counts(self, epoch: int) -> np.ndarray:
        """Return in which shares an epoch draws the classes, noise rows by their labels.

        Those of the set that its rows are taken from: without the chance of which rows it takes.
        """
        if self.planner.is_plain(epoch):
            return self.class_counts
        index, _ = self.planner.pool(keyed_random_state(self.planner.seed, "plan", epoch))
        return np.bincount(self.codes[index])
