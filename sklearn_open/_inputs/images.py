"""Images in any layout, dtype and range become rows in the internal form, or are refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples, check_array, validate_data

from sklearn_open._inputs.containers import as_rows
from sklearn_open._inputs.layout import Layout
from sklearn_open._inputs.lazy import LazyImages, chunks
from sklearn_open._inputs.memory_maps import MappedRows, RowsOfFile

__all__ = ["check_images", "check_items", "check_kind", "check_range"]


def check_images(
    estimator: Any,
    X: Any,
    y: Any = "no_validation",
    *,
    image_shape: tuple[int, ...] | None,
    reset: bool = False,
) -> np.ndarray:
    """Return rows in the internal form, or refuse them.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` and, for data frames, `feature_names_in_`.
    X : array-like, torch.Tensor, data frame or RowsOfFile
        Images or a table; see `Layout`, and `sklearn_open._inputs.containers` for containers.
    y : array-like, None or "no_validation"
        Labels, of which only the number is checked here; "no_validation" when predicting.
    image_shape : tuple of int or None
        Shape (n_channels, height, width) that rows must have, and that a table is reshaped to.
        None takes what comes.
    reset : bool, default=False
        Whether the features are those of new data, not compared with the ones fitted.

    Returns
    -------
    numpy.ndarray of shape (n, n_channels, height, width) or (n, n_features)
        uint8, or else float32.

    Raises
    ------
    ValueError, TypeError
        For NaN or infinite values, wrong shapes and anything scikit-learn refuses.
    """
    _check_given(estimator, y)
    X, chosen = _in_file(X) if isinstance(X, RowsOfFile) else (as_rows(X), None)
    check_kind(X)
    if not reset and image_shape is not None:
        _check_not_one_image(X, image_shape)
    is_table = getattr(X, "ndim", 2) <= 2
    if not is_table:
        _check_fitted_on_images(estimator, X, image_shape, reset)
        X = Layout.of(X.shape, image_shape).channels_first(X)
        image_shape = image_shape or X.shape[1:]
        _check_shape(X.shape[1:], image_shape, reset)
    validated = _validated if is_table else _validated_images
    rows: Any = validated(estimator, X, reset)
    rows = rows if chosen is None else MappedRows(rows, chosen)
    _check_finite(rows)
    if not isinstance(y, str):
        _check_lengths(rows, y)
    return _as_images(rows, image_shape) if is_table and image_shape is not None else rows


def check_items(
    estimator: Any,
    X: Any,
    y: Any = "no_validation",
    *,
    image_shape: tuple[int, ...] | None,
    reset: bool = False,
) -> LazyImages:
    """Return the rows of a data set, which are read when they are needed; see `check_images`."""
    _check_given(estimator, y)
    lazy = LazyImages(X, partial(_channels_first, image_shape=image_shape))
    needed = image_shape or (lazy.shape[1:] if reset else (estimator.n_features_in_,))
    _check_shape(lazy.shape[1:], needed, reset)
    if reset:
        estimator.n_features_in_ = int(np.prod(needed))
    if not isinstance(y, str):
        _check_lengths(lazy, y)
    return lazy


def _in_file(X: RowsOfFile) -> tuple[np.ndarray, np.ndarray | None]:
    """Return all images of the file, and which of them are meant; None for all."""
    return (X.whole, X.indices) if len(X) else (X.whole[:0], None)


def _check_given(estimator: Any, y: Any) -> None:
    if y is None:
        # scikit-learn's checks know this sentence
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def check_kind(X: Any) -> None:
    """Refuse arrays that would be read as numbers although they are none, or lose their mask.

    Raises
    ------
    ValueError
        For masked values, strings, dates and records. scikit-learn refuses complex numbers, and
        objects that are no numbers.
    """
    if np.ma.is_masked(X):
        raise ValueError(
            f"X is a masked array with {np.ma.count_masked(X)} masked values. Fill them in, with "
            "X.filled(value), or drop their rows."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind not in "buifcO":
        raise ValueError(
            f"X has dtype {X.dtype}, which holds no pixels: real numbers are needed. Convert X, "
            "with X.astype(float) if it holds numbers written as text."
        )


def _check_not_one_image(X: Any, image_shape: tuple[int, ...]) -> None:
    channels, height, width = image_shape
    shape = tuple(getattr(X, "shape", ()))
    single: list[tuple[int, ...]] = []
    if channels == 1 and height > 1:
        single += [(height, width), (height, width, 1)]
    if channels > 1:
        single += [(channels, height, width), (height, width, channels), (height, width)]
    if shape in single:
        raise ValueError(
            f"X has shape {shape}: that is one image, and images come as an array of several. Pass "
            "X[None], or of many X[i : i + 1]."
        )


def _check_fitted_on_images(
    estimator: Any, X: np.ndarray, image_shape: tuple[int, ...] | None, reset: bool
) -> None:
    if not reset and image_shape is None:
        raise ValueError(
            f"X holds images, an array of shape {X.shape}, but fit was given a table of "
            f"{estimator.n_features_in_} columns. Pass a table, X.reshape(len(X), -1) if that is "
            "how the one in fit was made."
        )


@np.errstate(over="ignore", invalid="ignore")  # what does not fit in float32 is refused afterwards
def _validated(estimator: Any, table: Any, reset: bool) -> np.ndarray:
    return validate_data(
        estimator, table, reset=reset, dtype=[np.float32, np.uint8], ensure_all_finite=False
    )


@np.errstate(over="ignore", invalid="ignore")
def _validated_images(estimator: Any, images: np.ndarray, reset: bool) -> np.ndarray:
    # scikit-learn counts the values of a row in tables only. One row is enough for that: laying
    # all rows flat copies images whose channels were last, a memory map whole.
    _validated(
        estimator, images[:1].reshape(len(images[:1]), int(np.prod(images.shape[1:]))), reset
    )
    return check_array(images, dtype=[np.float32, np.uint8], allow_nd=True, ensure_all_finite=False)


def _channels_first(images: np.ndarray, image_shape: tuple[int, ...] | None) -> np.ndarray:
    if images.ndim == 2 and image_shape is not None:
        return _as_images(images, image_shape)
    return Layout.of(images.shape, image_shape).channels_first(images)


def _check_shape(shape: tuple[int, ...], needed: tuple[int, ...], reset: bool) -> None:
    if shape != needed:
        raise ValueError(
            f"X holds images of shape {shape} (channels, height, width), but {needed} is needed"
            f"{' (image_shape)' if reset else ', as in fit'}: resize the images, or fit on images "
            "of the new shape."
        )


def _as_images(table: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    if table.shape[1] != int(np.prod(image_shape)):
        raise ValueError(
            f"X has {table.shape[1]} values in a row, which does not make images of shape "
            f"{image_shape} (channels, height, width): {int(np.prod(image_shape))} are needed. "
            "Set image_shape to the shape of your images."
        )
    return table.reshape(len(table), *image_shape)


def _check_finite(rows: np.ndarray) -> None:
    if rows.dtype == np.uint8:
        return
    low, high = np.float64(np.inf), np.float64(-np.inf)
    with np.errstate(invalid="ignore"):
        for _, chunk in chunks(rows):  # NaN passes through both
            low, high = np.minimum(low, chunk.min()), np.maximum(high, chunk.max())
    if not np.isfinite([low, high]).all():
        is_good = [
            np.isfinite(chunk).all(axis=(*range(1, rows.ndim),)) for _, chunk in chunks(rows)
        ]
        bad = np.flatnonzero(~np.concatenate(is_good))
        raise ValueError(
            f"Input X contains NaN or infinity (or a value too large for float32) in {len(bad)} of "
            f"{len(rows)} rows, the first of them row {bad[0]}. Drop these rows or fill the values "
            "in, with sklearn.impute.SimpleImputer or numpy.nan_to_num."
        )
    check_range(low, high)


def check_range(low: Any, high: Any) -> None:
    """Raise ValueError for values between which differences do not fit in float32."""
    if np.any(high - low > np.finfo(np.float32).max):
        raise ValueError(
            f"X holds values from {np.min(low):.3g} to {np.max(high):.3g}, a range too large for "
            "float32. Divide X by a constant."
        )


def _check_lengths(table: np.ndarray | LazyImages, y: Any) -> None:
    if len(table) != _num_samples(y):
        raise ValueError(
            f"X has {len(table)} rows and y has {_num_samples(y)} labels. Pass one label for each "
            "row."
        )
