"""Images that are copies of one another, exactly or nearly, on both sides of a split."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sklearn_open._inputs.lazy import chunks
from sklearn_open._warnings import warn_user
from sklearn_open.comparison._folds import Fold

__all__ = ["find_copies", "tell_of_copies"]

SIDE = 16  # of thumbnails, in pixels; smaller images are compared byte by byte alone
COARSE = 4  # pixels of a thumbnail that its detail is the difference from
# How alike thumbnails of copies are, saved anew, resized, brighter: as a whole, and in detail.
# Other pictures under the same light are alike as a whole only. Of CIFAR-10's 10,000 test images
# 18 have such a copy; of 500 saved anew at quality 75, one tenth brighter, all are found.
ALIKE, ALIKE_IN_DETAIL = 0.96, 0.93
MAX_ROWS = 20_000  # whose thumbnails are compared, each with all
ROWS_AT_ONCE = 1024
ENOUGH_FOR_A_MEAN = 20  # images
MOST_PAIRS = 20  # near copies of an image; where there are more, images are simply alike


def find_copies(images: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows hold the same image, exactly or nearly.

    Parameters
    ----------
    images : ndarray or LazyImages of shape (n, n_channels, height, width) or (n, n_features)
        In the internal form.

    Returns
    -------
    first : ndarray of shape (n,)
        Position of the first row that has the same pixels; of most rows, their own.
    near : ndarray of shape (n_pairs, 2)
        Pairs whose pixels differ, and whose thumbnails are alike. Empty for tables, for images of
        fewer than 16 pixels a side, and for more than 20,000 rows.
    """
    seen: dict[bytes, int] = {}
    first = np.arange(len(images))
    small = []
    comparable = len(images.shape) == 4 and min(images.shape[2:]) >= SIDE
    for rows, chunk in chunks(images):
        for i, row in enumerate(np.ascontiguousarray(chunk), start=rows.start):
            digest = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            first[i] = seen.setdefault(digest, i)
        if comparable and len(images) <= MAX_ROWS:
            small.append(_thumbnails(np.asarray(chunk)))
    pairs = _alike(torch.cat(small)) if small else np.empty((0, 2), dtype=np.int64)
    return first, pairs[first[pairs[:, 0]] != first[pairs[:, 1]]]


def tell_of_copies(
    images: Any, y: np.ndarray, folds: list[Fold], groups: Any
) -> tuple[dict[str, int], np.ndarray]:
    """Warn of images that are tested on while a copy of them is trained on.

    Parameters
    ----------
    images : ndarray or LazyImages
        In the internal form.
    y : ndarray of shape (n,)
        Labels.
    folds : list of (ndarray, ndarray)
    groups : array-like or None
        What was given: named in the advice.

    Returns
    -------
    counts : dict
        Images that are tested with an "exact", or else a "near", copy trained on.
    pairs : ndarray of shape (n_pairs, 2)
        Each of these, with a copy.
    """
    first, near = find_copies(images)
    exact_leaks = _leaking_exactly(first, folds)
    nearly = _leaking_nearly(near, folds)
    near_leaks = {row: other for row, other in nearly.items() if row not in exact_leaks}
    counts = {"exact": len(exact_leaks), "near": len(near_leaks)}
    if any(counts.values()):
        pair = min(exact_leaks.items()) if exact_leaks else min(near_leaks.items())
        advice = (
            "Give all pictures of one object one group (groups=, or --groups-by of the command)"
            if groups is None
            else "The groups do not hold these together: give copies the same group"
        )
        kinds = [
            f"{n:,} while {what} is"
            for n, what in ((counts["exact"], "the same"), (counts["near"], "nearly the same"))
            if n
        ]
        warn_user(
            f"Images are tested whose copies are trained on: {' and '.join(kinds)} (images "
            f"{pair[0]} and {pair[1]}, for one). Scores are better than they will be on new "
            f"images. {advice}, or remove copies."
        )
    _tell_of_two_labels(first, y)
    pairs = [*sorted(exact_leaks.items()), *sorted(near_leaks.items())]
    return counts, np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _tell_of_two_labels(first: np.ndarray, y: np.ndarray) -> None:
    """Warn of images that are there twice, under two labels: one of them is wrong."""
    wrong = np.flatnonzero(y[first] != y)
    if len(wrong):
        one, other = first[wrong[0]], wrong[0]
        warn_user(
            f"{len(wrong):,} images are equal to one of another class (images {one} and {other}, "
            f"{y[one]!s} and {y[other]!s}, for one): one of the two labels is wrong."
        )


def _thumbnails(images: np.ndarray) -> torch.Tensor:
    """Return grey thumbnails and their details, (n, 2, SIDE²), of mean 0 and length 1.

    Of an image that is all one grey, and of details that are not there, zeros.
    """
    grey = torch.as_tensor(images, dtype=torch.float32).mean(dim=1, keepdim=True)
    small = functional.adaptive_avg_pool2d(grey, SIDE)
    coarse = functional.avg_pool2d(small, COARSE)
    detail = small - functional.interpolate(coarse, scale_factor=COARSE, mode="bilinear")
    both = torch.cat([small, detail], dim=1).flatten(2)
    both = both - both.mean(dim=2, keepdim=True)
    length = both.norm(dim=2, keepdim=True)
    is_flat = length <= 1e-4 * grey.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12)[:, None, None]
    return torch.where(is_flat, torch.zeros(()), both / length.clamp_min(1e-12))


def _alike(thumbnails: torch.Tensor) -> np.ndarray:
    """Return pairs of rows whose thumbnails agree; none where so many do that it means nothing."""
    if len(thumbnails) >= ENOUGH_FOR_A_MEAN:  # what all have in common, a table or a jig, says none
        thumbnails = _of_length_one(thumbnails - thumbnails.mean(dim=0))
    whole, detail = thumbnails[:, 0], thumbnails[:, 1]
    found = [torch.empty((0, 2), dtype=torch.int64)]
    for start in range(0, len(whole), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        alike = whole[rows] @ whole[start:].T >= ALIKE
        alike &= detail[rows] @ detail[start:].T >= ALIKE_IN_DETAIL
        found.append(torch.nonzero(torch.triu(alike, diagonal=1)) + start)
        if sum(map(len, found)) > MOST_PAIRS * len(whole):
            return np.empty((0, 2), dtype=np.int64)
    return torch.cat(found).numpy()


def _of_length_one(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors of length 1; what was next to nothing becomes zero."""
    length = vectors.norm(dim=-1, keepdim=True)
    return torch.where(length < 1e-3, torch.zeros(()), vectors / length.clamp_min(1e-12))


def _leaking_exactly(first: np.ndarray, folds: list[Fold]) -> dict[int, int]:
    """Return rows that are tested in a fold that trains on the same image, with one of these."""
    leaking: dict[int, int] = {}
    for train, test in folds:
        trained = {int(kind): int(row) for row, kind in zip(train, first[train], strict=True)}
        leaking |= {int(row): trained[first[row]] for row in test if first[row] in trained}
    return leaking


def _leaking_nearly(pairs: np.ndarray, folds: list[Fold]) -> dict[int, int]:
    leaking: dict[int, int] = {}
    both = np.concatenate([pairs, pairs[:, ::-1]])
    for train, test in folds:
        found = both[np.isin(both[:, 0], test) & np.isin(both[:, 1], train)]
        leaking |= dict(found.tolist())
    return leaking
