"""Sentences about the classes of a data set, for its DESCR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["count_lines", "shot_sentence", "size_sentence"]


def size_sentence(counts: np.ndarray) -> str:
    """Say how many images and classes there are, and how uneven these are."""
    n_images, largest, smallest = int(counts.sum()), int(counts.max()), int(counts.min())
    sizes = f"{largest:,} each" if largest == smallest else f"from {largest:,} to {smallest:,} each"
    return f"{n_images:,} images in {len(counts):,} classes, {sizes}."


def shot_sentence(groups: dict[str, np.ndarray] | None) -> str:
    """Say how many classes each group has."""
    if groups is None:
        return "Shot groups are not known, as the training list is not there."
    many, medium, few = (len(groups[shot]) for shot in ("many", "medium", "few"))
    return (
        f"Shot groups, by images in the training set: {many} classes many (more than 100), "
        f"{medium} medium (20 to 100), {few} few (fewer than 20)."
    )


def count_lines(target_names: Sequence[str], counts: np.ndarray) -> str:
    """Return a line with the number of images of every class."""
    lines = [f"  {name}: {count}" for name, count in zip(target_names, counts, strict=True)]
    return "\n".join(["Images per class:\n", *lines])
