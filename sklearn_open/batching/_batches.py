"""From validated arrays to batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import Subset

from sklearn_open._inputs.containers import LazyImages
from sklearn_open._inputs.memory_maps import MappedRows, find_map
from sklearn_open._random import keyed_seed
from sklearn_open.batching._sources import open_source
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.noise._base import ImageNoiseFamily
from sklearn_open.plan import EpochPlanner

__all__ = [
    "Batch",
    "EpochBatches",
    "EvalBatches",
    "ImageDataset",
    "LoaderBatches",
    "TrainSet",
    "taken",
]


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


class Batch(tuple):
    """An ``(X, y)`` pair, as skorch expects, that knows how many of its last rows are noise."""

    n_noise: int

    def __new__(cls, X: torch.Tensor, y: torch.Tensor, n_noise: int = 0) -> Batch:
        """Make the pair."""
        batch = super().__new__(cls, (X, y))
        batch.n_noise = n_noise
        return batch


class EpochBatches:
    """Training batches; every iteration is one epoch with a plan of its own.

    Parameters
    ----------
    dataset : TrainSet
        Rows and planner.
    transform : BatchTransform
        Makes what the network is fed.
    device : torch.device
        Where batches are made.
    epoch : callable
        Returns the number of the epoch that an iteration is for.
    num_workers : int, default=0
        Processes that read a data set, as long as this object lives; arrays need none.
    """

    def __init__(
        self,
        dataset: TrainSet,
        transform: BatchTransform,
        device: torch.device,
        epoch: Callable[[], int],
        num_workers: int = 0,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.device = device
        self.epoch = epoch
        self._source = open_source(dataset.X, device, num_workers)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch()
        plan = self.dataset.planner.plan(epoch)
        rows, n_noise = zip(*plan.batches(), strict=True)
        n_natural = [len(index) - n for index, n in zip(rows, n_noise, strict=True)]
        changes_images = isinstance(self.transform.noise, ImageNoiseFamily)
        n_gathered = [len(index) for index in rows] if changes_images else n_natural
        gathered = [index[:n] for index, n in zip(rows, n_gathered, strict=True)]
        # Sent once, as a GPU's queue runs empty while a batch's own codes are waited for.
        all_codes = torch.from_numpy(self.dataset.codes[plan.index]).to(self.device)
        batch_codes = all_codes.split([len(index) for index in rows])
        seed = keyed_seed(self.transform.seed, "items", epoch)
        with closing(self._source.batches(gathered, seed)) as batches:
            for b, (pixels, codes) in enumerate(zip(batches, batch_codes, strict=True)):
                n = n_natural[b]
                x = self.transform.train(pixels[:n], codes[n:], epoch, b, pixels[n:])
                yield Batch(x, codes, n_noise[b])


class LoaderBatches:
    """Batches of a data loader of the user's own, which rules what is seen when.

    Parameters
    ----------
    loader : iterable
        Yields pairs of pixels and codes.
    transform : BatchTransform
        Makes what the network is fed.
    device : torch.device
        Where batches are made.
    epoch : callable or None
        Returns the number of the epoch that an iteration is for; None when predicting.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        transform: BatchTransform,
        device: torch.device,
        epoch: Callable[[], int] | None,
    ) -> None:
        self.loader = loader
        self.transform = transform
        self.device = device
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        for b, batch in enumerate(self.loader):
            pixels, codes = (
                torch.as_tensor(part).to(self.device, non_blocking=True) for part in batch
            )
            if self.epoch is None:
                yield Batch(self.transform.evaluate(pixels), codes)
            else:
                yield Batch(self.transform.train(pixels, codes[:0], self.epoch(), b), codes)


class EvalBatches:
    """Batches in the order of the rows, normalised only.

    Parameters
    ----------
    dataset : ImageDataset
        Rows, with or without labels.
    transform : BatchTransform
        The transform that training used.
    device : torch.device
        Where batches are made.
    batch_size : int
        Largest number of rows in a batch.
    num_workers : int, default=0
        Processes that read a data set; arrays need none.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        transform: BatchTransform,
        device: torch.device,
        batch_size: int,
        num_workers: int = 0,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.device = device
        self.batch_size = batch_size
        self._source = open_source(dataset.X, device, num_workers)

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.dataset), self.batch_size)
        rows = [np.arange(i, min(i + self.batch_size, len(self.dataset))) for i in starts]
        batch_codes = torch.from_numpy(self.dataset.codes).to(self.device).split(self.batch_size)
        with closing(self._source.batches(rows, seed=0)) as batches:
            for pixels, codes in zip(batches, batch_codes, strict=True):
                yield Batch(self.transform.evaluate(pixels), codes)
