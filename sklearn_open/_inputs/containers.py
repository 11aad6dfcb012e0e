"""What people keep images in: arrays, tensors, data frames and lists become one array."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

# What mappings call an image.
IMAGE_KEYS = ("image", "img", "pixel_values", "images", "x", "X")

__all__ = ["IMAGE_KEYS", "as_array", "as_rows", "check_alike", "naming_item", "to_array"]


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
        if isinstance(X[0], (str, os.PathLike)):
            raise TypeError(
                f"X is a {name} of names, such as {X[0]!r}. Image files are read by "
                "sklearn_open.datasets: ImageReader(...).read_many(names) makes an array, "
                "ListedImages(root, filenames, targets) reads while training, and "
                "load_image_folder reads folders."
            )
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
    return hasattr(X, "to_numpy") and hasattr(X, "name") and hasattr(X, "to_list")


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


def to_array(image: Any) -> Any:
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
def naming_item(i: int) -> Iterator[None]:
    """Say which item it was that could not be read, whatever its reader raised."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"item {i} of X could not be read: {type(error).__name__}: {str(error).rstrip('.')}. "
            "Mend it, or leave it out."
        ) from error


def _image_in(images: Sequence[Any], i: int) -> Any:
    with naming_item(i):  # a PIL image is decoded now
        return to_array(_without_label(images[i]))


def _without_label(item: Any) -> Any:
    """Return the image of an item: scikit-learn makes lists of the items of data sets."""
    if isinstance(item, Mapping):
        return next((item[key] for key in IMAGE_KEYS if key in item), item)
    if isinstance(item, (tuple, list)) and len(item) > 1:
        n_axes, others = _n_axes(item[0]), _n_axes(item[1])
        return item[0] if n_axes > max(others, 0) else item
    return item


def _n_axes(value: Any) -> int:
    """Return how many axes an image or array has; 0 for a label, and for nested lists."""
    return 3 if hasattr(value, "getbands") else int(getattr(value, "ndim", 0))


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    for i, image in enumerate(images):
        check_alike(image, images[0], i)
    return np.stack(images)


def check_alike(image: np.ndarray, first: np.ndarray, i: int) -> None:
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
