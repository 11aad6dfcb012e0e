"""Where the pixels of batches come from: the device, memory, a memory map or a data set.

All give the same bits. What they differ in is who waits for whom: the network should wait for none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from sklearn_open._inputs.lazy import BatchReader, LazyImages, chunks
from sklearn_open._inputs.memory_maps import drop_pages, find_map

__all__ = ["PixelSource", "open_source", "read_ahead"]

AHEAD = 2  # batches that are ready or being read while the network works on one

Item = TypeVar("Item")
Result = TypeVar("Result")


class PixelSource(ABC):
    """Rows of pixels that batches are taken from."""

    @abstractmethod
    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        """Yield the pixels of batches, on the device.

        Parameters
        ----------
        rows : sequence of numpy.ndarray
            Rows of each batch.
        seed : int
            For random transforms of a data set.
        """


def open_source(
    X: np.ndarray | LazyImages, device: torch.device, num_workers: int = 0
) -> PixelSource:
    """Choose where batches are taken from.

    Parameters
    ----------
    X : numpy.ndarray or LazyImages of shape (n, n_channels, ...)
        Pixels in their own units, uint8 or float32.
    device : torch.device
        Where batches are wanted. A GPU gets all pixels at once if they fit in half of its free
        memory; the other half is for the network.
    num_workers : int, default=0
        Processes that read a data set; arrays need none.
    """
    if isinstance(X, LazyImages):
        return _DatasetSource(X, device, num_workers)
    if device.type == "cuda" and X.nbytes <= torch.cuda.mem_get_info(device)[0] // 2:
        return _ResidentSource(X, device)
    if device.type == "cpu" and find_map(X) is None:
        return _MemorySource(X)
    return _ReadAheadSource(X, device)


class _ResidentSource(PixelSource):
    """All pixels on the device."""

    def __init__(self, X: np.ndarray, device: torch.device) -> None:
        dtype = torch.uint8 if X.dtype == np.uint8 else torch.float32
        self._pixels = torch.empty(X.shape, dtype=dtype, device=device)
        for rows, chunk in chunks(X):  # so that of a memory map no copy is made on the way
            self._pixels[rows] = torch.from_numpy(np.array(chunk))

    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        # The whole epoch's rows at once: a copy for every batch would be waited for.
        index = torch.from_numpy(np.concatenate(rows)).to(self._pixels.device)
        for batch in index.split([len(part) for part in rows]):
            yield self._pixels[batch]


class _MemorySource(PixelSource):
    """An array in memory, for a network on the CPU."""

    def __init__(self, X: np.ndarray) -> None:
        self._X = X

    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        for index in rows:
            yield torch.from_numpy(self._X[index])


class _ReadAheadSource(PixelSource):
    """An array that is slow to read or far from the device: a thread gathers the next batches."""

    def __init__(self, X: np.ndarray, device: torch.device) -> None:
        self._X = X
        self._device = device

    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        for pixels in read_ahead(self._gather, rows):
            yield pixels.to(self._device, non_blocking=True)

    def _gather(self, index: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(self._X[index])
        drop_pages(self._X)
        return pixels.pin_memory() if self._device.type == "cuda" else pixels


class _DatasetSource(PixelSource):
    """A data set, read by worker processes that live as long as the source."""

    def __init__(self, images: LazyImages, device: torch.device, num_workers: int) -> None:
        self._reader = BatchReader(images, num_workers, pin_memory=device.type == "cuda")
        self._device = device

    def batches(self, rows: Sequence[np.ndarray], seed: int) -> Generator[torch.Tensor]:
        for pixels in self._reader.batches(rows, seed):
            yield pixels.to(self._device, non_blocking=True)


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item], depth: int = AHEAD
) -> Generator[Result]:
    """Map over items in order, in a thread that is ahead of its consumer.

    The thread ends with the iteration, also when that is left early or `read` raises: what it
    raises is raised where the result was wanted.

    Parameters
    ----------
    read : callable
        Runs in the thread.
    items : iterable
        What to call it with.
    depth : int
        How many results are ready or being made while the consumer works on one.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sklearn_open-read-ahead")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(thread.submit(read, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)
