"""Data sets that are read row by row, while training: images, readers, passes over all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sklearn_open._inputs.containers import check_alike, naming_item, to_array
from sklearn_open._inputs.items import as_pixels, image_of, label_of, n_items
from sklearn_open._inputs.memory_maps import drop_pages
from sklearn_open._random import keyed_seed, seeded_user_code

__all__ = ["BatchReader", "LazyImages", "chunks"]

CHUNK_ROWS = 256
CHUNK_BYTES = 2**21  # of a chunk of `chunks` as float64: what a core's cache holds


class LazyImages:
    """Images of a data set, read when they are needed.

    Parameters
    ----------
    dataset : torch or Hugging Face data set, or SliceDataset
        Items are images, pairs (image, label), or mappings with an image. An image is a PIL image,
        an array or a tensor.
    channels_first : callable
        Turns a stack of images as they come into (n, n_channels, height, width).
    indices : numpy.ndarray or None, default=None
        Rows of `dataset` that are meant; None means all.
    """

    def __init__(
        self, dataset: Any, channels_first: Any, indices: np.ndarray | None = None
    ) -> None:
        self.dataset = dataset
        self.channels_first = channels_first
        self.indices = np.arange(n_items(dataset)) if indices is None else indices
        self.first_item = _KeyedItems(dataset)[int(self.indices[0]), (0, 0, 0)]
        first = channels_first(self.first_item[None])
        self.shape = (len(self), *first.shape[1:])
        self.dtype = first.dtype
        self.ndim = len(self.shape)
        self.statistics: Any = None  # of just these images, once they are known

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> np.ndarray:
        chosen = np.arange(len(self))[rows]
        return self.read(chosen) if chosen.ndim else self.read(chosen[None])[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def subset(self, rows: np.ndarray) -> LazyImages:
        """Return the rows named, unread."""
        return LazyImages(self.dataset, self.channels_first, self.indices[rows])

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as an array (n, n_channels, height, width), uint8 or float32."""
        parts = np.array_split(rows, max(1, -(-len(rows) // CHUNK_ROWS)))
        return np.concatenate([part.numpy() for part in BatchReader(self).batches(parts, seed=0)])


class BatchReader:
    """Reads batches of a data set, in worker processes that live as long as the reader.

    Parameters
    ----------
    images : LazyImages
        What to read.
    num_workers : int, default=0
        Processes that read ahead; 0 reads in this one.
    pin_memory : bool, default=False
        Whether batches are put where a GPU copies from without anyone waiting.
    with_labels : bool, default=False
        Whether batches are pairs of images and a list of their labels.
    """

    def __init__(
        self,
        images: LazyImages,
        num_workers: int = 0,
        pin_memory: bool = False,
        with_labels: bool = False,
    ) -> None:
        self._rows = _KeyedRows(images.indices)
        self._loader = DataLoader(
            _KeyedItems(images.dataset, images.first_item, with_labels),
            batch_sampler=self._rows,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=pin_memory,
            collate_fn=partial(_collate, images.channels_first),
            generator=torch.Generator(),  # else it would draw from the global one
        )

    def batches(self, batches: Sequence[np.ndarray], seed: int) -> Iterator[Any]:
        """Read batches of rows one after another.

        Parameters
        ----------
        batches : sequence of numpy.ndarray
            Rows of each batch.
        seed : int
            What random transforms of the data set draw from (the generators of torch, NumPy and
            Python): every row of every batch has a seed of its own, whatever the number of workers.

        Yields
        ------
        torch.Tensor of shape (n, n_channels, height, width), uint8 or float32
            With the list of their labels, if they are read.
        """
        self._rows.plan(batches, seed)
        try:
            yield from self._loader
        except GeneratorExit:  # left early: the workers wait for the next iteration
            raise
        except BaseException:
            self._end_workers()
            raise

    def _end_workers(self) -> None:
        """End the workers now; the error that ended their work may keep this reader alive.

        It would go with the garbage, where torch waits five seconds for each of them.
        """
        working: Any = self._loader._iterator  # torch has no public name for it
        if working is not None:
            working._shutdown_workers()
        self._loader._iterator = None


class _KeyedRows:
    """The batch sampler of a `BatchReader`: rows, each with the key of its random numbers."""

    def __init__(self, indices: np.ndarray) -> None:
        self.indices = indices
        self.plan([], 0)

    def plan(self, batches: Sequence[np.ndarray], seed: int) -> None:
        """Say what the next iteration is to read."""
        self.batches, self.seed = batches, seed

    def __iter__(self) -> Iterator[list[tuple[int, tuple[int, int, int]]]]:
        seed = self.seed
        for b, rows in enumerate(self.batches):
            yield [(row, (seed, b, i)) for i, row in enumerate(self.indices[rows].tolist())]

    def __len__(self) -> int:
        return len(self.batches)


class _KeyedItems(Dataset):
    """Images of a data set, each read with random numbers of its own, and checked.

    A data set is not looked at as a whole before: what is wrong with an item is told when it is
    read, with its number.
    """

    def __init__(
        self, dataset: Any, first: np.ndarray | None = None, with_labels: bool = False
    ) -> None:
        self.dataset = dataset
        self.first = first  # what the others must be like
        self.with_labels = with_labels

    def __getitem__(self, keyed: tuple[int, tuple[int, int, int]]) -> Any:
        row, key = keyed
        with seeded_user_code(torch.device("cpu"), keyed_seed(*key)):
            with naming_item(row):
                item = self.dataset[row]
            image = image_of(item, self.dataset)
            with naming_item(row):
                image = to_array(image)
        image = as_pixels(image, row)
        if self.first is not None:
            check_alike(image, self.first, row)
        return (image, label_of(item, self.dataset)) if self.with_labels else image


def _collate(channels_first: Callable[[np.ndarray], np.ndarray], items: list[Any]) -> Any:
    """Make a batch, as a tensor: workers hand tensors over in shared memory."""
    if isinstance(items[0], tuple):  # with labels
        return _collate(channels_first, [image for image, _ in items]), [
            label for _, label in items
        ]
    return torch.from_numpy(channels_first(np.stack(items)))


def chunks(
    X: np.ndarray | LazyImages,
    num_workers: int = 0,
    labels: list[Any] | None = None,
    first: int = 0,
    step: int = 1,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Go through all rows in order, holding few of them in memory.

    Parameters
    ----------
    X : numpy.ndarray or LazyImages of shape (n, n_channels, ...)
        Rows.
    num_workers : int, default=0
        Processes that read a data set.
    labels : list or None, default=None
        Gets the labels of a data set's items, which are read together with their images.
    first, step : int, default=0 and 1
        Which chunks: the first of them, and how many it is to the next, as where several ranks
        read a data set together.

    Yields
    ------
    rows : slice
        Which rows these are.
    chunk : numpy.ndarray
        ``X[rows]``; of a memory map a view, to be read before the next chunk.
    """
    n_rows = max(1, CHUNK_BYTES // max(1, 8 * int(np.prod(X.shape[1:]))))
    parts = [slice(i, min(i + n_rows, len(X))) for i in range(0, len(X), n_rows)][first::step]
    if isinstance(X, LazyImages):
        reader = BatchReader(X, num_workers, with_labels=labels is not None)
        batches = reader.batches([np.arange(rows.start, rows.stop) for rows in parts], seed=0)
        for rows, batch in zip(parts, batches, strict=True):
            if labels is not None:
                batch, of_batch = batch
                labels += of_batch
            yield rows, batch.numpy()
        return
    for rows in parts:
        yield rows, np.asarray(X[rows])
        drop_pages(X)
