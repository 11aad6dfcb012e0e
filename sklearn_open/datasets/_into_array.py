"""Many image files are decoded, by threads: into one array, or to know which of them can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

from sklearn_open.datasets._image_files import UnusableFileError
from sklearn_open.datasets._refusals import Refusals

__all__ = ["all_are", "into_array", "which_are_usable"]

_IMAGES_PER_TASK = 64

Pixels = Callable[[str], np.ndarray]
"""From the name of a file to its pixels; raises UnusableFileError."""


def into_array(
    names: Sequence[str], pixels: Pixels, refusals: Refusals
) -> tuple[np.ndarray, list[int]]:
    """Decode images into one array.

    Parameters
    ----------
    names : sequence of str
        The files.
    pixels : callable
        Decodes one of them.
    refusals : Refusals
        Is told of those that cannot be decoded, and those that are not like the first.

    Returns
    -------
    data : numpy.ndarray of shape (n, height, width[, 3])
        The images.
    kept : list of int of length n
        Positions in `names` of those that are in it.
    """
    first_name, first = _first(names, pixels)
    data = _allocate(len(names), first.shape, first.dtype)

    def put(i: int, image: np.ndarray) -> None:
        data[i] = image

    kept = _usable(names, pixels, (first_name, first), put, refusals)
    if len(kept) < len(names):
        for to, position in enumerate(kept):  # in place: a second array may not fit in memory
            data[to] = data[position]
    return data[: len(kept)], kept


def which_are_usable(names: Sequence[str], pixels: Pixels, refusals: Refusals) -> list[int]:
    """Return the positions of the images that `into_array` keeps; none of them is kept here."""
    return _usable(names, pixels, _first(names, pixels), lambda i, image: None, refusals)


def all_are(names: Sequence[str], is_so: Callable[[str], bool]) -> bool:
    """Tell whether something is so of all files; after one of which it is not, few are asked."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _IMAGES_PER_TASK):
            if not all(pool.map(is_so, names[start : start + _IMAGES_PER_TASK])):
                return False
    return True


def _usable(
    names: Sequence[str],
    pixels: Pixels,
    first: tuple[str, np.ndarray],
    put: Callable[[int, np.ndarray], None],
    refusals: Refusals,
) -> list[int]:
    """Hand the pixels of each usable image to `put`; return the positions of these images."""
    kept = np.ones(len(names), dtype=bool)

    def work(start: int) -> list[UnusableFileError]:
        errors = []
        for i in range(start, min(start + _IMAGES_PER_TASK, len(names))):
            try:
                image = pixels(names[i])
                _check_alike(image, names[i], *first)
                put(i, image)
            except UnusableFileError as error:
                kept[i] = False
                errors.append(error)
        return errors

    with ThreadPoolExecutor() as pool:
        # Results come in order, so the first error is that of the first file.
        starts = range(0, len(names), _IMAGES_PER_TASK)
        for error in chain.from_iterable(pool.map(work, starts)):
            refusals.add(error)
    return np.flatnonzero(kept).tolist()


def _first(names: Sequence[str], pixels: Pixels) -> tuple[str, np.ndarray]:
    """Return name and pixels of the first image that can be decoded."""
    for name in names:
        try:
            return name, pixels(name)
        except UnusableFileError:
            continue  # it comes up again, in its turn
    return "", np.empty((0, 0), dtype=np.uint8)


def _check_alike(pixels: np.ndarray, name: str, first_name: str, first: np.ndarray) -> None:
    if pixels.shape != first.shape:
        raise UnusableFileError(
            f"Images must have one size, but {first_name!r} is {first.shape[:2]} and {name!r} is "
            f"{pixels.shape[:2]} (height, width). Pass size=(height, width) to resize all of them."
        )
    if pixels.dtype != first.dtype:
        raise UnusableFileError(
            f"Images must have pixels of one kind, but {first_name!r} has "
            f"{8 * first.dtype.itemsize} bits and {name!r} has {8 * pixels.dtype.itemsize}, and "
            "nothing says which values of the two are the same. Save all with 8 bits, or all as "
            "16-bit grey."
        )


def _allocate(n_images: int, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    try:
        return np.empty((n_images, *shape), dtype=dtype)
    except (MemoryError, ValueError) as error:
        gigabytes = n_images * float(np.prod(shape, dtype=float)) * np.dtype(dtype).itemsize / 2**30
        raise ValueError(
            f"{n_images} images of {shape[:2]} pixels need {gigabytes:.0f} GiB, and there is not "
            "enough memory. Pass a smaller size=(height, width), load a subset, or have a folder "
            "read while training (load_image_folder with in_memory=False)."
        ) from error
