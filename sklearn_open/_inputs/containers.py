"""What people keep images in: containers become one array, data sets of items are read when needed.

An array is an array afterwards. A data set (torch, torchvision, Hugging Face, skorch's
`SliceDataset`) becomes a `LazyImages`, which is read row by row while training, so that its random
transforms are new in every epoch and it need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from skorch.helper import SliceDataset
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from sklearn_open._inputs.memory_maps import drop_pages
from sklearn_open._random import keyed_seed, seeded_user_code

__all__ = [
    "BatchReader",
    "LazyImages",
    "as_array",
    "as_rows",
    "chunks",
    "find_labels",
    "is_dataset",
]

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
    hugging_face = hasattr(X, "with_format") and not isinstance(X, Mapping)
    if not isinstance(X, (Dataset, SliceDataset)) and not hugging_face:
        return False
    if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
        raise TypeError(
            f"X is a {type(X).__name__}, an iterable data set: over-sampling needs rows that can "
            "be looked up. Pass a data set with __len__ and __getitem__, or an array."
        )
    return True


def as_rows(X: Any) -> Any:
    """Return an array, or what scikit-learn makes a table of: a data frame or sparse matrix.

    Raises
    ------
    TypeError
        For something that holds no rows.
    ValueError
        For items that cannot be read, or differ in shape.
    """
    name = type(X).__name__
    if isinstance(X, DataLoader):
        raise TypeError(f"X is a {name}. Pass the data set that it reads, loader.dataset.")
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):  # as Hugging Face's load_dataset gives
        raise TypeError(f"X is a {name}. Pass one of its values, such as X['train'].")
    if isinstance(X, torch.Tensor):
        return as_array(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if isinstance(X, (list, tuple)) and len(X):
        return _stacked([_image_in(X, i) for i in range(len(X))])
    if hasattr(X, "columns") and len(X.columns) == 1:  # pandas and polars
        column = X[X.columns[0]]
        return _column_of_arrays(column) if _holds_arrays(column) else X
    if _is_series(X) and _holds_arrays(X):
        return _column_of_arrays(X)
    if hasattr(X, "columns") or hasattr(X, "tocsr"):
        return X
    rows = np.asanyarray(X)
    if rows.ndim == 0:
        raise TypeError(
            f"X is a {name}, which has no rows. Expected 2D array or images: pass an "
            "array, a list of images, a data frame or a data set. (A folder of images is read by "
            "sklearn_open.datasets.load_image_folder.)"
        )
    return rows


def _is_series(X: Any) -> bool:
    return hasattr(X, "to_numpy") and hasattr(X, "name")


def _holds_arrays(column: Any) -> bool:
    return len(column) > 0 and np.ndim(column.to_numpy()[0]) > 0


def _column_of_arrays(column: Any) -> np.ndarray:
    rows = [np.asarray(row) for row in column.to_list()]
    # Arrow's nested lists arrive as arrays of arrays.
    return _stacked([np.array(row.tolist()) if row.dtype == object else row for row in rows])


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor of any device as an array.

    Raises
    ------
    TypeError
        For a tensor that NumPy has no form for: sparse, quantized, nested, without data.
    """
    try:
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True)
    except (RuntimeError, ValueError) as error:
        raise TypeError(
            f"a tensor ({tensor.dtype}, {tensor.layout}, on {tensor.device}) could not be turned "
            f"into an array. Pass a dense one. It said: {error}"
        ) from error


def _to_array(image: Any) -> Any:
    """Return one image as an array; PIL images of palettes and the like as RGB, RGBA or gray."""
    if isinstance(image, torch.Tensor):
        return as_array(image)
    mode = getattr(image, "mode", None)
    if mode in ("P", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"):
        image = image.convert("RGB")
    elif mode in ("PA", "LA"):
        image = image.convert("RGBA")
    elif mode == "1":
        image = image.convert("L")
    if np.ma.is_masked(image):
        raise ValueError("some of its values are masked: fill them in")
    return np.asarray(image)


@contextmanager
def _naming_item(i: int) -> Iterator[None]:
    """Say which item it was that could not be read, whatever its reader raised."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"item {i} of X could not be read: {type(error).__name__}: {str(error).rstrip('.')}. "
            "Mend it, or leave it out."
        ) from error


def _image_in(images: Sequence[Any], i: int) -> Any:
    with _naming_item(i):  # a PIL image is decoded now
        return _to_array(images[i])


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    for i, image in enumerate(images):
        _check_alike(image, images[0], i)
    return np.stack(images)


def _check_alike(image: np.ndarray, first: np.ndarray, i: int) -> None:
    if image.shape != first.shape:
        raise ValueError(
            f"images differ: the first has shape {first.shape}, number {i} has {image.shape}. "
            "Resize all images to one size and mode before (torchvision.transforms.Resize)."
        )
    if (image.dtype == np.uint8) != (first.dtype == np.uint8):
        raise ValueError(
            f"images differ: the first is {first.dtype}, number {i} is {image.dtype}. Bytes are "
            "pixels from 0 to 255, other numbers need not be: convert all images to one dtype."
        )


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
        self.indices = np.arange(_n_items(dataset)) if indices is None else indices
        self.first_item = _KeyedItems(dataset)[int(self.indices[0]), (0, 0, 0)]
        first = channels_first(self.first_item[None])
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
            _KeyedItems(images.dataset, images.first_item),
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
            What random transforms of the data set draw from (the generators of torch, NumPy and
            Python): every row of every batch has a seed of its own, whatever the number of workers.

        Yields
        ------
        torch.Tensor of shape (n, n_channels, height, width), uint8 or float32
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

    def __init__(self, dataset: Any, first: np.ndarray | None = None) -> None:
        self.dataset = dataset
        self.first = first  # what the others must be like

    def __getitem__(self, keyed: tuple[int, tuple[int, int, int]]) -> np.ndarray:
        row, key = keyed
        with seeded_user_code(torch.device("cpu"), keyed_seed(*key)):
            with _naming_item(row):
                item = self.dataset[row]
            image = _image_of(item, self.dataset)
            with _naming_item(row):
                image = _to_array(image)
        image = _as_pixels(image, row)
        if self.first is not None:
            _check_alike(image, self.first, row)
        return image


def _as_pixels(image: np.ndarray, row: int) -> np.ndarray:
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


def _collate(
    channels_first: Callable[[np.ndarray], np.ndarray], images: list[np.ndarray]
) -> torch.Tensor:
    """Make a batch, as a tensor: workers hand tensors over in shared memory."""
    return torch.from_numpy(channels_first(np.stack(images)))


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
    with seeded_user_code(torch.device("cpu"), 0):  # reading an item runs its random transforms
        return [_label_in(X, i) for i in range(_n_items(X))]


def _n_items(dataset: Any) -> int:
    n_items = len(dataset)
    if n_items == 0:
        raise ValueError("X is a data set with 0 sample(s), and a minimum of 1 is required.")
    return n_items


def _label_in(dataset: Any, i: int) -> Any:
    with _naming_item(i):
        item = dataset[i]
    if isinstance(dataset, SliceDataset) or not isinstance(item, (tuple, list)):
        item = (item,)
    label = unpack_data(item)[1]  # skorch's sentence, if it is no pair
    return as_array(label)[()] if isinstance(label, torch.Tensor) else label


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
            return as_array(labels) if isinstance(labels, torch.Tensor) else labels
    return None
