"""Labels of any kind become codes 0 to n_classes - 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from sklearn_open._inputs.containers import as_array
from sklearn_open._warnings import warn_user

__all__ = ["check_labels", "encode_labels", "names_of"]


def encode_labels(
    y: Any, classes: Any = None, *, one_class: bool = False, may_be_names: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn labels of any kind into codes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    classes : array-like or None, default=None
        All labels there are, in the order of the columns of `predict_proba`; None takes the
        sorted labels of `y`.
    one_class : bool, default=False
        Whether `y` may hold a single one of several `classes`, as a chunk of more data.
    may_be_names : bool, default=False
        Whether `classes` may name the classes of a `y` of codes 0, 1, ... (not by other numbers,
        which would be mistaken for labels); the classes are the codes then.

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
        if may_be_names and not matches.any() and _are_codes_of(known, found):
            known = np.arange(len(known)).astype(found.dtype)
            matches = found[:, None] == known
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


def names_of(found: np.ndarray, classes: Any) -> np.ndarray:
    """Return what classes are called: `classes` where they name codes, else the classes found."""
    named = classes is not None and not np.array_equal(found, known := _check_classes(classes))
    return known if named else found


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
    if isinstance(y, (list, tuple, np.ndarray)) and np.ndim(y) == 2:
        # scikit-learn's warning, at the user's line
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of "
            "y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )
    labels = column_or_1d(y)
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
    if names.dtype.kind in "biufc" or labels.dtype.kind not in "biuf":
        return False
    codes = labels.astype(float)
    if labels.dtype.kind == "b" and len(names) > 2:
        return False
    return bool((codes == np.rint(codes)).all() and codes.min() >= 0 and codes.max() < len(names))
