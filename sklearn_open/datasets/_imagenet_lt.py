"""ImageNet-LT: a long-tailed subset of ImageNet."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open.datasets._from_lists import ListedSet
from sklearn_open.datasets._listed_images import ListedImages, check_transform, resize_and_crop

__all__ = ["load_imagenet_lt"]


def load_imagenet_lt(
    *,
    subset: str = "train",
    data_home: str | os.PathLike[str] | None = None,
    list_dir: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
    image_size: int = 224,
    transform: Callable[[Any], Any] | None = None,
    check_images: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[ListedImages, np.ndarray]:
    """Load ImageNet-LT: its lists, and images that are read when they are needed.

    The long-tailed training list of [1]_ has 115,846 images of ImageNet in 1,000 classes, from
    1,280 images to 5. The validation list has 20 and the test list 50 images of every class; the
    test images are the 50,000 of ImageNet's own validation set. Labels are not sorted by class
    size.

    Nothing is downloaded. The lists are the files ``ImageNet_LT_train.txt``,
    ``ImageNet_LT_val.txt`` and ``ImageNet_LT_test.txt``, each plain or with ".gz" added. Images for
    testing may lie as ``val/<image>.JPEG`` or as ``val/<wnid>/<image>.JPEG``, whatever the list
    says; the others lie as ``train/<wnid>/<image>.JPEG``.

    Parameters
    ----------
    subset : {"train", "val", "test"}, default="train"
        Which of the three lists.
    data_home : str or path-like, default=None
        Folder for data sets, by default that of scikit-learn
        (:func:`sklearn.datasets.get_data_home`). Lists and images are looked for in its subfolder
        ``sklearn_open/imagenet_lt``.
    list_dir : str or path-like, default=None
        Folder of the lists, if it is another one.
    image_root : str or path-like, default=None
        Folder that the paths of the lists start from, if it is another one.
    image_size : int, default=224
        Height and width of the images, for the default of `transform`.
    transform : callable, default=None
        From a PIL image, upright and in RGB (see :class:`~sklearn_open.datasets.ListedImages`), to
        a PIL image, array or tensor, of one shape for all images. By default the one that papers
        evaluate with: the shorter side resized to 256/224 of `image_size`, then a centre crop of
        `image_size`. Train with a random one, as
        ``torchvision.transforms.v2.RandomResizedCrop(224)``.
    check_images : bool, default=True
        Whether to look up that all images are there. If False, the paths are taken as the list has
        them, and a missing image is an error when it is read.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ListedImages, a torch data set of pairs (image, label) that opens an image when it
          is asked for; an `X` for :class:`~sklearn_open.OPeNClassifier`
        - target : ndarray of shape (n_samples,), dtype int64, labels from 0
        - target_names : list of str of length n_classes, the WordNet ids of the classes; None
          if the lists do not tell
        - filenames : list of str of length n_samples, relative to the folder of the images
        - class_counts : ndarray of shape (n_classes,), images of every class in this list
        - shot_groups : dict of str to ndarray, the labels of the classes that are "many" (more than
          100 images in the training list), "medium" and "few" (fewer than 20); None if the
          training list is not there
        - DESCR : str, what was loaded

    (data, target) : tuple of ListedImages and ndarray
        The first two of these, if ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If the list or its images are not there; the error says what to get.
    ValueError
        If a list is damaged, if the lists contradict one another, or if an argument is outside the
        range given above.

    References
    ----------
    .. [1] Liu, Miao, Zhan, Wang, Gong, Yu, "Large-Scale Long-Tailed Recognition in an Open World"
       (OLTR), CVPR 2019.

    Examples
    --------
    >>> from sklearn_open.datasets import load_imagenet_lt
    >>> images = load_imagenet_lt(image_root="imagenet")  # doctest: +SKIP
    >>> images.class_counts.sum()  # doctest: +SKIP
    115846
    """
    return _IMAGENET_LT.load(
        subset,
        data_home,
        list_dir,
        image_root,
        check_transform(transform, image_size, resize_and_crop),
        check_images,
        return_X_y,
    )


def _class_of(path: str) -> str | None:
    """Return the WordNet id of ``train/<wnid>/<file>`` or ``val/<wnid>/<file>``."""
    parts = path.split("/")
    return parts[1] if len(parts) == 3 and parts[0] in ("train", "val") else None


def _respell(path: str, name: str | None) -> str | None:
    """Put a file of ``val`` into the folder of its class, or take it out."""
    parts = path.split("/")
    if parts[0] != "val":
        return path
    if len(parts) == 3:
        return f"val/{parts[2]}"
    return None if name is None else f"val/{name}/{parts[-1]}"


_IMAGENET_LT = ListedSet(
    name="ImageNet-LT",
    folder="imagenet_lt",
    list_name="ImageNet_LT_{subset}.txt",
    get_lists="Get it from the code that Liu et al. released with their paper of 2019 (OLTR).",
    get_images=(
        "Get the training and validation images of ImageNet (ILSVRC 2012) from its makers, and "
        "unpack them to train/<wnid>/ and val/."
    ),
    class_of=_class_of,
    respell=_respell,
)
