"""What people keep images in: containers become one array, data sets of items are read when needed.

An array is an array afterwards. A data set (torch, torchvision, Hugging Face, skorch's
`SliceDataset`) becomes a `LazyImages`, which is read row by row while training, so that its random
transforms are new in every epoch and it need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from skorch.helper import SliceDataset
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from sklearn_open._memory_maps import drop_pages
from sklearn_open._random import keyed_seed, seeded_global_rng

__all__ = ["BatchReader", "LazyImages", "as_rows", "chunks", "find_labels", "is_dataset"]

CHUNK_ROWS = 256
CHUNK_BYTES = 2**21  # of a chunk of `chunks` as float64: what a core's cache holds
IMAGE_KEYS = ("image", "img", "pixel_values", "images", "x", "X")
LABEL_KEYS = ("label", "labels", "target", "targets", "y")


def is_dataset(X: Any) -> bool:
    """Whether `X` gives items one by one: a torch or Hugging Face data set, or a `SliceDataset`.

    Raises
    ------
    TypeError
        For an iterable data set, which has no rows to draw from.
    """
    if isinstance(X, IterableDataset):
        raise TypeError(
            f"X is a {type(X).__name__}, an iterable data set: over-sampling needs rows that can "
            "be looked up. Pass a data set with __len__ and __getitem__, or an array."
        )
    return isinstance(X, (Dataset, SliceDataset)) or hasattr(X, "with_format")


def as_rows(X: Any) -> Any:
    """Return an array, or what scikit-learn makes a table of: a data frame or sparse matrix."""
    if isinstance(X, torch.Tensor):
        return _tensor_to_array(X)
    if isinstance(X, (list, tuple)) and len(X):
        return _stacked([_to_array(row) for row in X])
    if hasattr(X, "columns") and len(X.columns) == 1:  # pandas and polars
        column = X[X.columns[0]]
        return _column_of_arrays(column) if _holds_arrays(column) else X
    if _is_series(X) and _holds_arrays(X):
        return _column_of_arrays(X)
    if hasattr(X, "columns") or hasattr(X, "tocsr"):
        return X
    return np.asanyarray(X)


def _is_series(X: Any) -> bool:
    return hasattr(X, "to_numpy") and hasattr(X, "name")


def _holds_arrays(column: Any) -> bool:
    return len(column) > 0 and np.ndim(column.to_numpy()[0]) > 0


def _column_of_arrays(column: Any) -> np.ndarray:
    rows = [np.asarray(row) for row in column.to_list()]
    # Arrow's nested lists arrive as arrays of arrays.
    return _stacked([np.array(row.tolist()) if row.dtype == object else row for row in rows])


def _tensor_to_array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _to_array(image: Any) -> Any:
    """Return one image as an array; PIL images of palettes and the like as RGB or gray."""
    if isinstance(image, torch.Tensor):
        return _tensor_to_array(image)
    mode = getattr(image, "mode", None)
    if mode in ("P", "CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGB")
    elif mode == "1":
        image = image.convert("L")
    return np.asarray(image)


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    first = np.shape(images[0])
    for i, image in enumerate(images):
        if np.shape(image) != first:
            raise ValueError(
                f"images differ: the first has shape {first}, number {i} has {np.shape(image)}. "
                "Resize all images to one size and mode before (torchvision.transforms.Resize)."
            )
    return np.stack(images)


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
        self.indices = np.arange(len(dataset)) if indices is None else indices
        first = self.read(np.array([0]))
        self.shape = (len(self), *first.shape[1:])
        self.dtype = first.dtype
        self.ndim = len(self.shape)

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
    """

    def __init__(self, images: LazyImages, num_workers: int = 0, pin_memory: bool = False) -> None:
        self._rows = _KeyedRows(images.indices)
        self._loader = DataLoader(
            _KeyedItems(images.dataset),
            batch_sampler=self._rows,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=pin_memory,
            collate_fn=partial(_collate, images.channels_first),
            generator=torch.Generator(),  # else it would draw from the global one
        )

    def batches(self, batches: Sequence[np.ndarray], seed: int) -> Iterator[torch.Tensor]:
        """Read batches of rows one after another.

        Parameters
        ----------
        batches : sequence of numpy.ndarray
            Rows of each batch.
        seed : int
            What random transforms of the data set draw from, torch's generator and NumPy's: every
            row of every batch has a seed of its own, whatever the number of workers.

        Yields
        ------
        torch.Tensor of shape (n, n_channels, height, width), uint8 or float32
        """
        self._rows.plan(batches, seed)
        yield from self._loader


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
    """Items of a data set, each read with random numbers of its own."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, keyed: tuple[int, tuple[int, int, int]]) -> np.ndarray:
        row, key = keyed
        seed = keyed_seed(*key)
        with seeded_global_rng(torch.device("cpu"), seed):
            state = np.random.get_state()  # noqa: NPY002 (transforms use the global generator)
            np.random.seed(seed)  # noqa: NPY002
            try:
                return _to_array(_image_of(self.dataset[row], self.dataset))
            finally:
                np.random.set_state(state)  # noqa: NPY002


def _collate(
    channels_first: Callable[[np.ndarray], np.ndarray], images: list[np.ndarray]
) -> torch.Tensor:
    """Make a batch, as a tensor: workers hand tensors over in shared memory."""
    batch = channels_first(_stacked(images))
    return torch.from_numpy(batch if batch.dtype == np.uint8 else batch.astype(np.float32))


def chunks(X: np.ndarray | LazyImages, num_workers: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
    """Go through all rows in order, holding few of them in memory.

    Parameters
    ----------
    X : numpy.ndarray or LazyImages of shape (n, n_channels, ...)
        Rows.
    num_workers : int, default=0
        Processes that read a data set.

    Yields
    ------
    rows : slice
        Which rows these are.
    chunk : numpy.ndarray
        ``X[rows]``; of a memory map a view, to be read before the next chunk.
    """
    n_rows = max(1, CHUNK_BYTES // max(1, 8 * int(np.prod(X.shape[1:]))))
    parts = [slice(i, min(i + n_rows, len(X))) for i in range(0, len(X), n_rows)]
    if isinstance(X, LazyImages):
        reader = BatchReader(X, num_workers)
        batches = reader.batches([np.arange(rows.start, rows.stop) for rows in parts], seed=0)
        for rows, batch in zip(parts, batches, strict=True):
            yield rows, batch.numpy()
        return
    for rows in parts:
        yield rows, np.asarray(X[rows])
        drop_pages(X)


def _image_of(item: Any, dataset: Any) -> Any:
    if isinstance(dataset, SliceDataset):  # its items are the images themselves
        return item
    if isinstance(item, Mapping):
        return item[_key(item, IMAGE_KEYS, "image")]
    if not isinstance(item, (tuple, list)):
        return item
    return item[0] if len(item) == 1 else unpack_data(item)[0]  # which explains what is wrong


def _key(names: Any, known: tuple[str, ...], what: str) -> str:
    for name in known:
        if name in names:
            return name
    raise ValueError(
        f"an item of X has the keys {list(names)}, none of which is known to be the {what}. Rename "
        f"one to {known[0]!r}."
    )


def find_labels(X: Any, y: Any) -> Any:
    """Return the labels of a data set: `y` if given, else its own, without decoding images.

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
        labels = _known_labels(y.dataset) if y.idx == 1 else None
        return np.asarray(y) if labels is None else np.asarray(labels)[y.indices_]
    if y is not None:
        return y
    labels = _known_labels(X)
    if labels is not None:
        return labels
    with seeded_global_rng(torch.device("cpu"), 0):  # reading an item runs its random transforms
        item = X[0]
        if isinstance(X, SliceDataset) or not isinstance(item, (tuple, list)):
            item = (item,)
        unpack_data(item)  # skorch's sentence, if it is no pair
        return np.array([_plain(X[i][1]) for i in range(len(X))])


def _known_labels(dataset: Any) -> Any:
    """Return the labels that a data set holds besides its images, or None."""
    if isinstance(dataset, Subset):
        labels = _known_labels(dataset.dataset)
        return None if labels is None else np.asarray(labels)[np.asarray(dataset.indices)]
    if isinstance(dataset, ConcatDataset):
        parts = [_known_labels(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else np.concatenate(parts)
    if hasattr(dataset, "column_names"):  # Hugging Face
        return np.asarray(dataset[_key(dataset.column_names, LABEL_KEYS, "label")][:])
    if hasattr(dataset, "tensors"):
        return dataset.tensors[1] if len(dataset.tensors) > 1 else None
    for name in ("targets", "labels", "_labels", "y"):
        labels = getattr(dataset, name, None)
        if labels is not None and np.ndim(labels) == 1 and len(labels) == len(dataset):
            return _plain(labels)
    return None


def _plain(label: Any) -> Any:
    return _tensor_to_array(label) if isinstance(label, torch.Tensor) else np.asarray(label)
