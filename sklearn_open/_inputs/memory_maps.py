"""Memory maps: which arrays are views of one, letting go of pages that were read, single rows."""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

__all__ = ["MappedRows", "RowsOfFile", "drop_pages", "find_map"]


def find_map(X: Any) -> np.memmap | None:
    """Return the memory map that an array is, or is a view of; None for an array in memory."""
    while X is not None:
        if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):  # not made of one
            return X
        X = getattr(X, "base", None)
    return None


def drop_pages(X: Any) -> None:
    """Let go of the pages that are held of a memory map; they are read again when needed.

    Pages that were read count as the process's memory until the system wants it back, so that a
    pass over a large map would look, and in a container be, as expensive as a copy.
    """
    owner = find_map(X)
    # Of a copy-on-write map (mode "c") the pages are the only place where changes are kept.
    if owner is None or owner.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    pages: Any = owner.base
    pages.madvise(mmap.MADV_DONTNEED)


class MappedRows:
    """Some rows of a memory map, in any order, read when they are needed.

    Parameters
    ----------
    base : numpy.ndarray of shape (n, ...)
        The memory map, or a view of it.
    indices : numpy.ndarray
        Rows of `base` that are meant.
    """

    def __init__(self, base: np.ndarray, indices: np.ndarray) -> None:
        self.base = base  # where `find_map` looks
        self.indices = indices
        self.shape = (len(indices), *base.shape[1:])
        self.dtype = base.dtype
        self.ndim = base.ndim
        self.itemsize = base.itemsize
        self.nbytes = self.itemsize * int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.base[self.indices[rows]]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


class RowsOfFile(ABC):
    """What is handed in for rows of a mapped file, so that they need not be read before.

    Attributes
    ----------
    indices : numpy.ndarray or None
        Rows of the file that are meant; None for all.
    """

    indices: np.ndarray | None

    @property
    @abstractmethod
    def whole(self) -> np.memmap:
        """All rows of the file."""

    @abstractmethod
    def __len__(self) -> int: ...
