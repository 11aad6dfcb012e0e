"""Many, medium and few: classes grouped by how many training samples they have."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["FEW", "MANY", "SHOTS", "check_shots", "shot_groups", "shot_masks"]

SHOTS = ("many", "medium", "few")
# The bounds are those of LADE's and BALMS's code. OLTR's counts classes of exactly 100 as many and
# of exactly 20 as few.
MANY = 100
FEW = 20


def check_shots(many: int, few: int) -> None:
    """Refuse bounds that put a class into two groups.

    Raises
    ------
    ValueError
        When `few` is greater than `many` + 1.
    """
    if few > many + 1:
        raise ValueError(
            f"few={few} and many={many} overlap: a class of {many + 1} samples would be both. "
            "Pass few <= many + 1; usual are few=20 and many=100."
        )


def shot_masks(counts: Any, many: int = MANY, few: int = FEW) -> dict[str, np.ndarray]:
    """Tell of every class whether it belongs to a group.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Training samples of every class.
    many, few : int, default=100, 20
        More samples than `many` make a class many-shot, fewer than `few` few-shot; the others, both
        ends included, are medium-shot.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_classes,), dtype bool
        Under "many", "medium" and "few"; every class is in one of them.
    """
    counts = np.asarray(counts)
    is_many, is_few = counts > many, counts < few
    return dict(zip(SHOTS, (is_many, ~is_many & ~is_few, is_few), strict=True))


def shot_groups(counts: Any) -> dict[str, np.ndarray]:
    """Return the labels of the classes of each group, ascending; see `shot_masks`."""
    return {shot: np.flatnonzero(mask) for shot, mask in shot_masks(counts).items()}
