"""Images in a mapped file, which other processes get as the file's name."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_open._inputs.memory_maps import RowsOfFile

__all__ = ["MappedImages"]

DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))  # others would be converted, so copied


@dataclass(frozen=True)
class _File:
    """Which part of which file is mapped, and what tells the file from another of its name."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    order: Any
    size: int
    changed: int

    def open(self) -> np.memmap:
        """Map the file, or refuse it."""
        try:
            file = open(self.name, "rb")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.name!r} is not on {socket.gethostname()!r}, and MappedImages is handed to "
                "other processes as the name of its file. Put the file where all machines see it "
                "under this name."
            ) from error
        with file:
            found = _stamp(os.fstat(file.fileno()))
            if found != (self.size, self.changed):
                raise ValueError(
                    f"{self.name!r} on {socket.gethostname()!r} has (bytes, time of change in ns) "
                    f"{found}, and not {(self.size, self.changed)} as when MappedImages was made. "
                    "Make it anew if the file was written again; let copies on other machines keep "
                    "the time (cp -p, rsync -t)."
                )
            return np.memmap(
                file, self.dtype, mode="r", offset=self.offset, shape=self.shape, order=self.order
            )


class MappedImages(RowsOfFile):
    """Images in a file that is mapped, not read, and that other processes map by its name.

    It is an `X` for :class:`~sklearn_open.OPeNClassifier`. A memory map of NumPy's is one as well,
    but scikit-learn's splitters copy its rows into memory, and whoever pickles it, as Dask and Ray
    do to hand it to a worker, writes down all of it. Of this object rows are taken without reading
    them, and its pickle has a few hundred bytes: name, size and time of change of the file, and
    which rows are meant. A worker maps the file of that name when it reads the first image, and
    refuses one that is not there or is of another size or time.

    Parameters
    ----------
    file : path-like or numpy.memmap
        A ``.npy`` file, as :func:`numpy.save` writes it, or a memory map as it was opened
        (``mode="r"``), not a part of one: images (n, height, width), (n, n_channels, height,
        width) or (n, height, width, n_channels) in uint8 or float32.

    Attributes
    ----------
    filename : str
        Absolute path of the file.
    indices : ndarray of int or None
        Rows of the file that are meant; None for all.
    shape : tuple of int
        Of the rows that are meant.
    dtype : dtype
        Of the pixels.
    ndim : int
        Number of axes.

    Raises
    ------
    ValueError
        For another dtype or number of axes, for a part of a map, for a map that may be written to
        (what was changed might not be in the file), and for one whose file was replaced.

    See Also
    --------
    ListedImages : Images in files of their own.

    Examples
    --------
    >>> import pickle, tempfile
    >>> import numpy as np
    >>> from sklearn_open.datasets import MappedImages
    >>> file = tempfile.mkdtemp() + "/images.npy"
    >>> np.save(file, np.zeros((100, 64, 64, 3), dtype=np.uint8))
    >>> X = MappedImages(file)
    >>> X[::2].shape, len(pickle.dumps(X)) < 1000
    ((50, 64, 64, 3), True)
    """

    def __init__(self, file: str | os.PathLike | np.memmap) -> None:
        given = file if isinstance(file, np.ndarray) else np.load(Path(file), mmap_mode="r")
        _check(given)
        name = os.path.abspath(str(given.filename))
        order = "C" if given.flags.c_contiguous else "F"
        stamp = _stamp(os.stat(name))
        self._file = _File(name, given.dtype, given.shape, given.offset, order, *stamp)
        self.indices = None
        # Mapped again: a map stays that of a file that somebody has put another in the place of,
        # and others will find that one.
        self._whole: np.memmap | None = self._file.open()
        _check_same(given, self._whole)

    @property
    def whole(self) -> np.memmap:
        """All images of the file."""
        if self._whole is None:
            self._whole = self._file.open()
        return self._whole

    @property
    def filename(self) -> str:
        """Absolute path of the file."""
        return self._file.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the rows that are meant."""
        return (len(self), *self._file.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Of the pixels."""
        return self._file.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._file.shape)

    def __len__(self) -> int:
        return self._file.shape[0] if self.indices is None else len(self.indices)

    def __repr__(self) -> str:
        what = f"{len(self):,} images of shape {self.shape[1:]} in {self.dtype}"
        return f"{type(self).__name__}({what}, file={self.filename!r})"

    def __getitem__(self, i: Any) -> Any:
        """Return image `i`, or several images, unread.

        Parameters
        ----------
        i : int, slice, or array-like of int or bool
            Position of an image; or those of several, as NumPy's arrays take them.

        Returns
        -------
        ndarray or MappedImages
            The image; of several images a `MappedImages`.

        Raises
        ------
        IndexError
            If there is no such position.
        """
        if isinstance(i, tuple) and len(i) == 2 and i[1] is Ellipsis:  # scikit-learn's form
            i = i[0]
        if isinstance(i, tuple):
            raise IndexError(
                "MappedImages is indexed by rows only. For a part of each image, make a file of "
                "the parts, or take it from one image: X[i][:, :8]."
            )
        rows = (np.arange(len(self)) if self.indices is None else self.indices)[i]
        if isinstance(i, Integral):
            return self.whole[rows]
        taken = object.__new__(type(self))
        vars(taken).update(vars(self), indices=rows)
        return taken

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        rows = self.whole if self.indices is None else self.whole[self.indices]
        return np.asarray(rows, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"_file": self._file, "indices": self.indices}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Mapped when images are read: an error here would be one of whoever unpickles, not of a
        # fit, and schedulers wait for ever for tasks that cannot be unpickled.
        vars(self).update(state, _whole=None)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _check(given: Any) -> None:
    """Refuse what is no whole, unchanged map of images."""
    is_whole = isinstance(given, np.memmap) and not isinstance(given.base, np.ndarray)
    if not is_whole or getattr(given, "filename", None) is None:
        raise ValueError(
            f"MappedImages takes a .npy file, or a memory map as it was opened, and got "
            f"{'a part of a map' if isinstance(given, np.memmap) else 'an array in memory'}. Take "
            "rows afterwards: MappedImages(file)[rows]."
        )
    if given.mode != "r":
        raise ValueError(
            f"the memory map was opened with mode={given.mode!r}, so that it may hold what the "
            "file does not. Write it to the file (flush), and pass the file's name."
        )
    if given.dtype not in DTYPES or given.ndim not in (3, 4):
        raise ValueError(
            f"{str(given.filename)!r} holds an array of shape {given.shape} in {given.dtype}. "
            "Needed are images, (n, height, width) or with channels, in uint8 or float32, as which "
            "they are read without a copy."
        )


def _check_same(given: np.memmap, found: np.memmap) -> None:
    """Refuse a map of a file that is not there any more, by some of its rows."""
    rows = [0, len(given) // 2, -1] if len(given) else []
    if not np.array_equal(given[rows], found[rows], equal_nan=given.dtype.kind == "f"):
        raise ValueError(
            f"{str(given.filename)!r} has been written again since the map was opened. Open it "
            "again, or pass the file's name."
        )
