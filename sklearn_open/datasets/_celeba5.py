"""CelebA-5: faces in five classes of hair."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open.datasets._celeba_attributes import (
    CLASSES,
    N_TEST,
    N_TRAIN,
    N_VAL,
    VARIANTS,
    build_lists,
    read_attributes,
)
from sklearn_open.datasets._describe import count_lines, shot_sentence, size_sentence
from sklearn_open.datasets._from_lists import (
    as_bunch,
    check_subset,
    find_folders,
    located,
    train_counts,
)
from sklearn_open.datasets._image_lists import ImageList, find_list, read_image_list
from sklearn_open.datasets._listed_images import ListedImages, check_transform, squeeze

__all__ = ["load_celeba5"]

_LIST_NAME = "CelebA5_{subset}.txt"
_RELEASED = {"train": N_TRAIN, "val": (N_VAL,) * len(CLASSES), "test": (N_TEST,) * len(CLASSES)}
_ATTRIBUTES = "list_attr_celeba.txt"
_GET_IMAGES = (
    "Get the images of CelebA from its makers (file names 000001.jpg, 000002.jpg, ...), resized to "
    "64 x 64 pixels or not."
)


def load_celeba5(
    *,
    subset: str = "train",
    variant: str = "m2m_list",
    data_home: str | os.PathLike[str] | None = None,
    list_dir: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
    image_size: int = 64,
    transform: Callable[[Any], Any] | None = None,
    check_images: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[ListedImages, np.ndarray]:
    """Load CelebA-5: its lists, and images that are read when they are needed.

    Faces of CelebA in five classes of hair: 6,651 for training, from 2,423 images to 227, 50 of
    every class for validation and 100 for testing. They are the lists of [1]_, or are built by the
    rule that these follow. Nothing is downloaded.

    Parameters
    ----------
    subset : {"train", "val", "test"}, default="train"
        Which of the three lists.
    variant : {"m2m_list", "strict"}, default="m2m_list"
        "m2m_list" are the lists that [1]_ released: the files ``CelebA5_train.txt``,
        ``CelebA5_val.txt`` and ``CelebA5_test.txt``, or, where one is not there, the same from
        CelebA's attributes. "strict" takes only images that show exactly one of the five classes,
        which needs the attributes. They are the file ``list_attr_celeba.txt``. Each file may be
        plain or have ".gz" added.
    data_home : str or path-like, default=None
        Folder for data sets, by default that of scikit-learn
        (:func:`sklearn.datasets.get_data_home`). Lists and attributes are looked for in its
        subfolder ``sklearn_open/celeba5``, images in ``sklearn_open/celeba5/image64``.
    list_dir : str or path-like, default=None
        Folder of the lists and attributes, if it is another one.
    image_root : str or path-like, default=None
        Folder of the images, if it is another one.
    image_size : int, default=64
        Height and width that images are resized to, for the default of `transform`. The paper has
        64; the code of [1]_ trains on 32.
    transform : callable, default=None
        From a PIL image, upright and in RGB (see :class:`~sklearn_open.datasets.ListedImages`), to
        a PIL image, array or tensor, of one shape for all images. By default images are resized to
        squares of `image_size`.
    check_images : bool, default=True
        Whether to look up that all images are there. If False, a missing image is an error when it
        is read.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ListedImages, a torch data set of pairs (image, label) that opens an image when it
          is asked for; an `X` for :class:`~sklearn_open.OPeNClassifier`
        - target : ndarray of shape (n_samples,), dtype int64, labels from 0 to 4
        - target_names : list of 5 str: "Bald", "Black_Hair", "Blond_Hair", "Brown_Hair",
          "Gray_Hair"
        - filenames : list of str of length n_samples
        - class_counts : ndarray of shape (5,), images of every class in this list
        - shot_groups : dict of str to ndarray, the labels of the classes that are "many" (more than
          100 images in the training list), "medium" and "few" (fewer than 20); None if the
          training list is not known
        - DESCR : str, what was loaded

    (data, target) : tuple of ListedImages and ndarray
        The first two of these, if ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If the lists, the attributes or the images are not there; the error says what to get.
    ValueError
        If a file is damaged, or if an argument is outside the range given above.

    Notes
    -----
    Papers call the classes non-overlapping and the training set a twentieth of CelebA. The lists
    are neither. An image that shows two of the classes is in both: of 7,191 images in 7,401
    entries, 210 have two labels, 31 are for training and testing, 11 for validation and testing and
    1 for training and validation. And a twentieth of CelebA would be about 227 bald and 424 gray
    people; the lists have it the other way round. "strict" has the same counts, but no overlaps.

    References
    ----------
    .. [1] Kim, Jeong, Shin, "M2m: Imbalanced Classification via Major-to-minor Translation",
       CVPR 2020.

    Examples
    --------
    >>> from sklearn_open.datasets import load_celeba5
    >>> faces = load_celeba5(image_root="image64")  # doctest: +SKIP
    >>> faces.class_counts  # doctest: +SKIP
    array([ 424, 2423, 1499, 2078,  227])
    """
    check_subset(subset)
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}; got {variant!r}.")
    transform = check_transform(transform, image_size, squeeze)
    lists, root = find_folders("celeba5", data_home, list_dir, image_root, "image64")
    images, train = _find_lists(lists, subset, variant)
    counts, groups = train_counts(images, train)
    filenames = located(images, [], root, _GET_IMAGES) if check_images else images.paths
    descr = "\n\n".join(
        [
            f"CelebA-5, {subset} list, variant={variant!r}: {size_sentence(counts)}",
            shot_sentence(groups),
            count_lines(CLASSES, counts),
        ]
    )
    data = ListedImages(root, filenames, images.labels, transform)
    return as_bunch(data, list(CLASSES), counts, groups, descr, return_X_y)


def _find_lists(folder: Path, subset: str, variant: str) -> tuple[ImageList, ImageList | None]:
    """Return a list and, if it is known, the training list."""
    if variant == "m2m_list" and (images := _read(folder, subset)) is not None:
        return images, images if subset == "train" else _read(folder, "train")
    attributes = find_list(folder, _ATTRIBUTES)
    if attributes is not None:
        built = build_lists(*read_attributes(attributes), variant)
        return built[subset], built["train"]
    needed = f"{_ATTRIBUTES} as CelebA's makers publish it"
    if variant == "m2m_list":
        file = _LIST_NAME.format(subset=subset)
        needed = f"{file} (the list that Kim et al. released with M2m's code), or {needed}"
    raise FileNotFoundError(
        f"CelebA-5 with variant={variant!r} needs {needed}, and it is not in {str(folder)!r}. Put "
        "the file there, plain or gzipped with '.gz' added, or pass its folder as list_dir."
    )


def _read(folder: Path, subset: str) -> ImageList | None:
    file = find_list(folder, _LIST_NAME.format(subset=subset))
    if file is None:
        return None
    # The makers' folders are cut off; an image with two kinds of hair is there twice.
    images = read_image_list(file, base_names=True, several_labels=True)
    highest = int(images.labels.max())
    if highest >= len(CLASSES):
        raise ValueError(
            f"{file.name} has the label {highest}; CelebA-5 has labels from 0 to "
            f"{len(CLASSES) - 1}. Take the list of CelebA-5."
        )
    counts = tuple(np.bincount(images.labels, minlength=len(CLASSES)).tolist())
    if counts != _RELEASED[subset]:
        raise ValueError(
            f"{file.name} has {_listing(counts)} images of the five classes; the list that Kim et "
            f"al. released has {_listing(_RELEASED[subset])}. It is cut off or changed: get it "
            "anew. (Lists of your own are read by sklearn_open.datasets.ListedImages.)"
        )
    return images


def _listing(counts: tuple[int, ...]) -> str:
    return ", ".join(f"{count:,}" for count in counts[:-1]) + f" and {counts[-1]:,}"
