"""CelebA-5 built from CelebA's attributes, by the rule that M2m's lists follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sklearn_open.datasets._image_files import leads_out
from sklearn_open.datasets._image_lists import ImageList, open_text

__all__ = ["CLASSES", "VARIANTS", "build_lists", "read_attributes"]

# In the order of CelebA's columns, which is that of the labels.
CLASSES = ("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
VARIANTS = ("m2m_list", "strict")
N_VAL, N_TEST = 50, 100
# As released. A twentieth of all of CelebA would be about 227 bald and 424 gray: M2m's two counts
# are swapped, and so are these.
N_TRAIN = (424, 2423, 1499, 2078, 227)


def read_attributes(file: Path) -> tuple[list[str], np.ndarray]:
    """Read the columns of the five classes.

    Parameters
    ----------
    file : Path
        CelebA's ``list_attr_celeba.txt``, plain or gzipped: the number of images, the names of the
        attributes, then a line for each image with its name and 1 or -1 for each attribute.

    Returns
    -------
    names : list of str
        The images, in the order of their numbers.
    has : numpy.ndarray of shape (n_images, 5), dtype bool
        Which of `CLASSES` an image shows.

    Raises
    ------
    ValueError
        If the file is not of this form.
    """
    lines = [line for line in open_text(file) if line.strip()]
    count, header = (*lines, "", "")[:2]
    lines = lines[2:]
    attributes = header.split()
    absent = [name for name in CLASSES if name not in attributes]
    if absent:
        raise ValueError(
            f"{file.name} has no attribute {absent[0]!r} in its second line, which starts with "
            f"{header[:40]!r}; needed is list_attr_celeba.txt as CelebA's makers publish it."
        )
    if count.strip() != str(len(lines)):
        raise ValueError(
            f"{file.name} has {len(lines):,} images, but its first line says {count.strip()!r}. "
            "The file is cut off or changed: get it anew."
        )
    columns = [1 + attributes.index(name) for name in CLASSES]
    names, has = [], np.empty((len(lines), len(CLASSES)), dtype=bool)
    for i, line in enumerate(lines):  # one by one: all cells at once would fill the memory
        cells = line.split()
        values = [cells[c] for c in columns] if len(cells) == len(attributes) + 1 else []
        if not values or not set(values) <= {"1", "-1"} or leads_out(cells[0]):
            raise ValueError(
                f"{file.name} has a line of {len(cells)} cells that starts with {line[:40]!r}; "
                f"needed are a file's name and {len(attributes)} values 1 or -1. Get the file anew."
            )
        names.append(cells[0])
        has[i] = [value == "1" for value in values]
    order = np.argsort(names)  # they are numbers with leading zeros
    return [names[i] for i in order], has[order]


def build_lists(
    names: list[str],
    has: np.ndarray,
    variant: str,
    *,
    n_val: int = N_VAL,
    n_test: int = N_TEST,
    n_train: tuple[int, ...] = N_TRAIN,
) -> dict[str, ImageList]:
    """Deal images to the three lists.

    Of each class, in the order of the images' numbers, the first `n_val` are for validation, the
    next `n_test` for testing and the next of `n_train` for training.

    Parameters
    ----------
    names, has
        As `read_attributes` returns them.
    variant : {"m2m_list", "strict"}
        "m2m_list" takes every image that shows a class, so that one may be in several classes and
        lists; "strict" only those that show exactly one.
    n_val, n_test : int
        Images of every class.
    n_train : tuple of int
        Images of each class.

    Returns
    -------
    dict of str to ImageList
        Under "train", "val" and "test", grouped by class.

    Raises
    ------
    ValueError
        If a class has too few images.
    """
    if variant == "strict":
        has = has & (has.sum(axis=1, keepdims=True) == 1)
    rows: dict[str, list[np.ndarray]] = {"val": [], "test": [], "train": []}
    for label, n in enumerate(n_train):
        members = np.flatnonzero(has[:, label])
        needed = n_val + n_test + n
        if len(members) < needed:
            raise ValueError(
                f"There are {len(members):,} images of {CLASSES[label]} for variant={variant!r}; "
                f"{needed:,} are needed. Pass the attributes of all of CelebA's images."
            )
        parts = np.split(members[:needed], [n_val, n_val + n_test])
        for part, taken in zip(rows.values(), parts, strict=True):
            part.append(taken)
    return {
        subset: ImageList(
            f"CelebA-5 ({variant}, {subset})",
            [names[i] for i in np.concatenate(parts)],
            np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        )
        for subset, parts in rows.items()
    }
