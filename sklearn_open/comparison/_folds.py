"""The folds of a comparison: every class in every training part, and no group on both sides."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils.validation import column_or_1d

from sklearn_open._checks import is_whole, listed
from sklearn_open._warnings import warn_user

__all__ = ["Fold", "make_folds"]

Fold = tuple[np.ndarray, np.ndarray]

N_FOLDS = 5
N_TRIES = 50  # splits drawn, until one has every class in every training part


def make_folds(y: Any, cv: Any, groups: Any, seed: int) -> list[Fold]:
    """Return the rows to train and to test on, fold by fold.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    cv : int, splitter, iterable or None
        As for `compare_methods`.
    groups : array-like of shape (n,) or None
        Rows of one group stay together.
    seed : int
        Shuffles rows, where `cv` is a number or None.

    Returns
    -------
    list of (ndarray, ndarray)
        Positions of rows.

    Raises
    ------
    ValueError
        For a class that cannot be trained on and tested, groups of another number than rows, and
        folds that train and test on a row, or a group, at once.
    """
    y = column_or_1d(y)
    if groups is not None:
        groups = np.asarray(groups)
        _check_groups(groups, len(y))
    if cv is None or is_whole(cv):
        _check_classes(y, groups)
        folds = _drawn(y, N_FOLDS if cv is None else int(cv), groups, seed)
    else:
        split = check_cv(cv, y, classifier=True).split(np.zeros(len(y)), y, groups)
        folds = [(_positions(train, len(y)), _positions(test, len(y))) for train, test in split]
        _check_apart(folds, groups)
    _tell_of_missing(folds, y)
    return folds


def _check_groups(groups: np.ndarray, n_rows: int) -> None:
    if groups.shape != (n_rows,):
        raise ValueError(
            f"There are {len(groups)} groups and {n_rows} rows: pass one group for each."
        )
    missing = [i for i, group in enumerate(groups.tolist()) if group is None or group != group]
    if missing:
        raise ValueError(
            f"{len(missing)} rows have no group, the first of them row {missing[0]}: give each a "
            "group, if need be one of its own."
        )


def _positions(rows: Any, n_rows: int) -> np.ndarray:
    rows = np.asarray(rows)
    return np.arange(n_rows)[rows if rows.size else rows.astype(int)]  # splitters may give masks


def _check_classes(y: np.ndarray, groups: np.ndarray | None) -> None:
    """Refuse classes that are either trained on or tested, never both."""
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(members) < 2:
            raise ValueError(
                f"Class {label!s} has 1 image, which cannot be trained on and tested at once. Add "
                "images, or leave the class out."
            )
        if groups is not None and len(np.unique(groups[members])) < 2:
            raise ValueError(
                f"All {len(members)} images of class {label!s} are of one group "
                f"({groups[members[0]]!s}), which cannot be trained on and tested at once. Leave "
                "the class out, or pass smaller groups."
            )


def _drawn(y: np.ndarray, n_folds: int, groups: np.ndarray | None, seed: int) -> list[Fold]:
    """Return stratified folds; of groups, the first draw with every class in every fold, or the
    best of them.
    """
    if not 2 <= n_folds <= len(y):
        raise ValueError(f"cv={n_folds}: pass a number of folds from 2 to {len(y)}, the rows.")
    rows = np.zeros(len(y))
    if groups is None:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():  # of classes with fewer rows than folds; see below
            warnings.filterwarnings("ignore", message="The least populated class")
            return list(splitter.split(rows, y))
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(f"cv={n_folds}: there are {n_groups} groups, which make as many folds.")
    tries = []
    for offset in range(N_TRIES):
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed + offset)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")
            folds = list(splitter.split(rows, y, groups))
        missing = [_n_missing(train, y) for train, _ in folds]
        untested = [_n_missing(test, y) for _, test in folds]
        if not any(missing + untested):
            return folds
        tries.append(((sum(missing), sum(untested)), folds))
    return min(tries, key=lambda one: one[0])[1]


def _n_missing(rows: np.ndarray, y: np.ndarray) -> int:
    return len(np.setdiff1d(y, y[rows]))


def _check_apart(folds: list[Fold], groups: np.ndarray | None) -> None:
    if not folds:
        raise ValueError("cv gives no folds.")
    for number, (train, test) in enumerate(folds):
        if not len(train) or not len(test):
            raise ValueError(f"Fold {number} of cv has no rows to train on, or none to test.")
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                f"Fold {number} of cv trains and tests on the same rows, as row {both[0]}."
            )
        if groups is not None and len(split := np.intersect1d(groups[train], groups[test])):
            raise ValueError(
                f"Fold {number} of cv trains and tests on group {split[0]!s}. Use a splitter that "
                "keeps groups together, as sklearn.model_selection.StratifiedGroupKFold, or pass a "
                "number."
            )


def _tell_of_missing(folds: list[Fold], y: np.ndarray) -> None:
    """Warn of classes that a fold does not train on, or does not test."""
    untrained = sorted({str(one) for train, _ in folds for one in np.setdiff1d(y, y[train])})
    untested = sorted({str(one) for _, test in folds for one in np.setdiff1d(y, y[test])})
    if untrained:
        warn_user(
            f"Some folds train on no image of {listed(untrained)}, and so get none of it right. "
            "Pass fewer folds, or leave such classes out."
        )
    if untested:
        warn_user(
            f"Some folds test no image of {listed(untested)}: their scores are those of the other "
            "classes. Pass fewer folds (cv=...), or take differences of single folds lightly."
        )
