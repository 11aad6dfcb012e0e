"""The door: every accepted spelling of images and labels becomes one internal form here.

Images become an array of shape (n, n_channels, height, width), uint8 or float32; a table stays
(n, n_features). Labels become codes 0 to n_classes - 1. Nothing behind this module checks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _num_samples, check_array, column_or_1d, validate_data

from sklearn_open._inputs.containers import LazyImages, as_array, as_rows, chunks, is_dataset

__all__ = [
    "Layout",
    "check_image_shape",
    "check_images",
    "check_kind",
    "check_labels",
    "check_range",
    "encode_labels",
]

COLOUR_CHANNELS = (1, 3, 4)  # gray, RGB, RGBA: what a last axis is taken for channels by


@dataclass(frozen=True)
class Layout:
    """Where the channels of an array of images are.

    Parameters
    ----------
    kind : {"table", "gray", "channels_first", "channels_last"}
        For arrays (n, n_features), (n, height, width), (n, n_channels, height, width) and
        (n, height, width, n_channels).
    """

    kind: str

    @classmethod
    def of(cls, shape: tuple[int, ...], image_shape: tuple[int, ...] | None = None) -> Layout:
        """Tell the layout from an array's shape.

        A 4-D array is read so that it matches `image_shape` (n_channels, height, width). Where
        that is not known, images are taken to be square if one reading makes them so; else the
        channels are last when the last axis has 1, 3 or 4 entries and the second axis has not.

        Raises
        ------
        ValueError
            When there are not two to four axes.
        """
        if len(shape) == 2:
            return cls("table")
        if len(shape) == 3:
            return cls("gray")
        if len(shape) == 4:
            last = shape[3] in COLOUR_CHANNELS and shape[1] not in COLOUR_CHANNELS
            if (shape[1] == shape[2]) != (shape[2] == shape[3]):
                last = shape[1] == shape[2]
            if image_shape is not None and image_shape in (shape[1:], _channels_moved(shape)):
                last = shape[1:] != image_shape
            return cls("channels_last" if last else "channels_first")
        raise ValueError(
            f"Found array with dim {len(shape)}, shape {shape}. Expected 2D array or images: pass "
            "(n, height, width), (n, height, width, channels), (n, channels, height, width), or a "
            "table (n, n_features). Reshape your data with X.reshape(len(X), -1)."
        )

    def channels_first(self, X: np.ndarray) -> np.ndarray:
        """Return a view of shape (n, n_channels, height, width); a table is returned as it is."""
        if self.kind == "gray":
            return X[:, None]
        return np.moveaxis(X, 3, 1) if self.kind == "channels_last" else X

    def restore(self, X: np.ndarray) -> np.ndarray:
        """Undo `channels_first`."""
        if self.kind == "gray":
            return X[:, 0]
        return np.ascontiguousarray(np.moveaxis(X, 1, 3)) if self.kind == "channels_last" else X


def _channels_moved(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[1], shape[2])


def check_image_shape(image_shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return (n_channels, height, width), or None for None.

    Raises
    ------
    ValueError
        For anything but two or three positive integers.
    """
    if image_shape is None:
        return None
    shape = tuple(image_shape) if isinstance(image_shape, Iterable) else ()
    whole = all(isinstance(side, Integral) and side >= 1 for side in shape)
    if len(shape) not in (2, 3) or not whole:
        raise ValueError(
            f"image_shape={image_shape!r} is not the shape of an image. Pass (n_channels, height, "
            "width), or (height, width) for gray images."
        )
    return (1, *shape) if len(shape) == 2 else shape


def check_images(
    estimator: Any,
    X: Any,
    y: Any = "no_validation",
    *,
    image_shape: tuple[int, ...] | None,
    reset: bool = False,
) -> np.ndarray | LazyImages:
    """Return rows in the internal form, or refuse them.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` and, for data frames, `feature_names_in_`.
    X : array-like, torch.Tensor or data set
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
    numpy.ndarray or LazyImages of shape (n, n_channels, height, width) or (n, n_features)
        uint8, or else float32.

    Raises
    ------
    ValueError, TypeError
        For NaN or infinite values, wrong shapes and anything scikit-learn refuses.
    """
    if y is None:
        # scikit-learn's checks know this sentence
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    if is_dataset(X):
        return _check_dataset(estimator, X, y, image_shape, reset)
    X = as_rows(X)
    check_kind(X)
    is_table = getattr(X, "ndim", 2) <= 2
    if not is_table:
        _check_fitted_on_images(estimator, X, image_shape, reset)
        X = Layout.of(X.shape, image_shape).channels_first(X)
        image_shape = image_shape or X.shape[1:]
        _check_shape(X.shape[1:], image_shape, reset)
    rows = _validated(estimator, X, reset) if is_table else _validated_images(estimator, X, reset)
    _check_finite(rows)
    if not isinstance(y, str):
        _check_lengths(rows, y)
    return _as_images(rows, image_shape) if is_table and image_shape is not None else rows


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


def _check_dataset(
    estimator: Any, X: Any, y: Any, image_shape: tuple[int, ...] | None, reset: bool
) -> LazyImages:
    lazy = LazyImages(X, partial(_channels_first, image_shape=image_shape))
    needed = image_shape or (lazy.shape[1:] if reset else (estimator.n_features_in_,))
    _check_shape(lazy.shape[1:], needed, reset)
    if reset:
        estimator.n_features_in_ = int(np.prod(needed))
    if not isinstance(y, str):
        _check_lengths(lazy, y)
    return lazy


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
        bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
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


def encode_labels(
    y: Any, classes: Any = None, *, one_class: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn labels of any kind into codes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    classes : array-like or None, default=None
        All labels there are, in the order of the columns of `predict_proba`; None takes the
        sorted labels of `y`. As in skorch, it may name the classes of a `y` of codes 0, 1, ...
        (not by other numbers, which would be mistaken for labels).
    one_class : bool, default=False
        Whether `y` may hold a single one of several `classes`, as a chunk of more data.

    Returns
    -------
    classes : numpy.ndarray of shape (n_classes,)
    codes : numpy.ndarray of shape (n,), dtype int64
    labels : numpy.ndarray of shape (n,)
        `y` as an array.

    Raises
    ------
    ValueError, TypeError
        For missing, continuous or multi-output targets, a single class, or a label not in
        `classes`.
    """
    labels = _one_label_per_row(check_labels(y))
    found, codes = np.unique(labels, return_inverse=True)
    if classes is not None:
        known = _check_classes(classes)
        matches = np.equal(found[:, None], known, dtype=object).astype(bool)
        if not matches.any() and _are_codes_of(known, found):
            matches = found[:, None] == np.arange(len(known))
        if not matches.any(axis=1).all():
            unknown = found[~matches.any(axis=1)].tolist()
            raise ValueError(
                f"y holds the labels {unknown}, which are not in classes={known.tolist()}. Add "
                "them to classes, or leave classes out."
            )
        found, codes = known, matches.argmax(axis=1)[codes]
    if len(found) < 2 or (len(np.unique(codes)) < 2 and not one_class):
        raise ValueError(
            f"y holds one class only, {labels[:1].tolist()[0]!r}. A classifier needs at least two: "
            "check your labels or the split that made them."
        )
    return found, codes.astype(np.int64), labels


def check_labels(y: Any, name: str = "y") -> Any:
    """Return labels as an array (a list, and what is sparse, as it is), or refuse them.

    Raises
    ------
    ValueError
        For missing labels, and for strings among others, as ``["a", 1]``, which NumPy would make
        strings of all.
    """
    if isinstance(y, torch.Tensor):
        y = as_array(y)
    if hasattr(y, "tocsr") or not hasattr(y, "__len__"):
        return y  # scikit-learn refuses it with a sentence of its own
    if np.ma.is_masked(y):
        raise ValueError(f"{name} is a masked array with masked labels. Drop their rows.")
    if isinstance(y, (list, tuple)):
        _check_present(y, name)
        _check_one_type(y, name)
        return y
    if np.ndim(y) == 0:
        raise ValueError(
            f"{name} is a {type(y).__name__}. Expected array-like: pass a list or array of labels."
        )
    _check_present(np.asarray(y), name)
    # scikit-learn would make floats of pandas's nullable integers.
    labels = np.asarray(y, dtype=getattr(getattr(y, "dtype", None), "numpy_dtype", None))
    if labels.dtype == object:
        _check_one_type(labels, name)
    return labels


def _check_present(y: Any, name: str) -> None:
    if isinstance(y, np.ndarray) and y.dtype.kind in "fcmM":
        missing = np.isnan(y)
    elif isinstance(y, np.ndarray) and y.dtype != object:
        return
    else:
        labels = y.ravel().tolist() if isinstance(y, np.ndarray) else y
        missing = np.array([_is_missing(label) for label in labels], dtype=bool)
    if missing.any():
        rows = np.flatnonzero(missing.reshape(len(y), -1).any(axis=1))
        raise ValueError(
            f"{name} contains no label (NaN or None) in {len(rows)} of {len(y)} rows, the first of "
            f"them row {rows[0]}. Drop these rows."
        )


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):  # pandas's
        return True
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(label))
    return isinstance(label, (float, complex, np.inexact)) and bool(label != label)


def _check_one_type(y: Any, name: str) -> None:
    """Refuse labels that cannot be sorted, or that would be others as an array: 1 as "1"."""
    try:
        kept = np.asarray(y)
    except ValueError:  # lists of several lengths, which scikit-learn refuses
        return
    words = np.array([isinstance(label, str) for label in y], dtype=bool)
    if kept.ndim == 1 and words.any() and not words.all():
        first, other = y[0], y[int(np.flatnonzero(words != words[0])[0])]
        raise ValueError(
            f"{name} holds labels of several types, such as {first!r} and {other!r}. Give all "
            "labels one type."
        )


def _one_label_per_row(y: Any) -> np.ndarray:
    try:
        with np.errstate(invalid="ignore"):  # infinite labels, which are refused
            kind = type_of_target(y)
    except TypeError as error:
        raise TypeError(f"y holds labels that are not understood: {error}") from error
    if kind.startswith("multilabel") or "multioutput" in kind:
        raise ValueError(
            "Multilabel and multioutput targets are not supported. Pass one label for each row, "
            f"an array of shape (n,); got an array of shape {np.shape(y)}."
        )
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels


def _check_classes(classes: Any) -> np.ndarray:
    known = np.asarray(check_labels(classes, "classes"))
    if known.ndim != 1 or len(set(known.tolist())) < len(known):
        raise ValueError(
            f"classes={classes!r} is not a list of different labels. Pass every label once, in the "
            "order wanted for the columns of predict_proba."
        )
    return known


def _are_codes_of(names: np.ndarray, labels: np.ndarray) -> bool:
    """Whether labels are codes of classes that are called something else than numbers."""
    if names.dtype.kind in "biufc" or labels.dtype.kind not in "iu":
        return False
    return bool(labels.min() >= 0 and labels.max() < len(names))
