"""From validated arrays to batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import Subset

from sklearn_open._inputs import LazyImages
from sklearn_open._random import keyed_seed
from sklearn_open.batch_transform import BatchTransform
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
    X = X.subset(rows) if isinstance(X, LazyImages) else X[rows]
    return ImageDataset(X, codes[rows], y[rows])


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


class _Store:
    """Where batches are gathered from: a GPU if all pixels fit there, memory, or a data set."""

    def __init__(self, dataset: ImageDataset, device: torch.device, num_workers: int) -> None:
        self.X = dataset.X
        self.codes = torch.from_numpy(dataset.codes).to(device)
        self.device = device
        self.num_workers = num_workers
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
        self.resident = _resident(dataset.X, device, free)

    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Iterator[torch.Tensor]:
        """Yield the pixels of batches; `seed` is for random transforms of a data set."""
        if isinstance(self.X, LazyImages):
            for pixels in self.X.batches(rows, seed, self.num_workers):
                yield torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
            return
        for index in rows:
            if self.resident is not None:
                yield self.resident[torch.from_numpy(index).to(self.device)]
            else:
                yield torch.from_numpy(self.X[index]).to(self.device)


def _resident(X: np.ndarray | LazyImages, device: torch.device, free: int) -> torch.Tensor | None:
    """Put all pixels on a device if they take at most half of its `free` bytes."""
    if isinstance(X, LazyImages) or X.nbytes > free // 2:
        return None
    return torch.from_numpy(np.array(X)).to(device)  # a copy: X may be read-only or reversed


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
        Processes that read a data set; arrays need none.
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
        self.epoch = epoch
        self._store = _Store(dataset, device, num_workers)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch()
        plan = list(self.dataset.planner.plan(epoch).batches())
        natural_rows = [index[: len(index) - n_noise] for index, n_noise in plan]
        seed = keyed_seed(self.transform.seed, "items", epoch)
        pixels = self._store.batches(natural_rows, seed)
        for b, ((index, n_noise), natural) in enumerate(zip(plan, pixels, strict=True)):
            codes = self._store.codes[torch.from_numpy(index).to(self._store.device)]
            noise_codes = codes[len(index) - n_noise :]
            yield Batch(self.transform.train(natural, noise_codes, epoch, b), codes, n_noise)


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
            pixels, codes = (torch.as_tensor(part).to(self.device) for part in batch)
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
        self.batch_size = batch_size
        self._store = _Store(dataset, device, num_workers)

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.dataset), self.batch_size)
        rows = [np.arange(i, min(i + self.batch_size, len(self.dataset))) for i in starts]
        for index, pixels in zip(rows, self._store.batches(rows, seed=0), strict=True):
            codes = self._store.codes[index[0] : index[-1] + 1]
            yield Batch(self.transform.evaluate(pixels), codes)
