"""Places-LT: a long-tailed subset of Places."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open.datasets._from_lists import ListedSet
from sklearn_open.datasets._listed_images import ListedImages, check_transform, resize_and_crop

__all__ = ["load_places_lt"]


def load_places_lt(
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
    """Load Places-LT: its lists, and images that are read when they are needed.

    The long-tailed training list of [1]_ has 62,500 images of Places in 365 classes, from 4,980
    images to 5. The validation list has 20 and the test list 100 images of every class. Labels are
    not sorted by class size.

    Nothing is downloaded. The lists are the files ``Places_LT_train.txt``, ``Places_LT_val.txt``
    and ``Places_LT_test.txt``, each plain or with ".gz" added. Lists and images may have either of
    two conventions, and need not have the same one:

    - ``data_256/<letter>/<class>/<image>.jpg`` and ``val_256/<image>.jpg``, as in [1]_ and in
      Places itself, where a class may be a folder in a folder ("arena/hockey");
    - ``train/<class>/<image>.jpg`` and ``val/<class>/<image>.jpg``, as in [2]_, where such a class
      is "arena-hockey".

    Parameters
    ----------
    subset : {"train", "val", "test"}, default="train"
        Which of the three lists.
    data_home : str or path-like, default=None
        Folder for data sets, by default that of scikit-learn
        (:func:`sklearn.datasets.get_data_home`). Lists and images are looked for in its subfolder
        ``sklearn_open/places_lt``.
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
        - target_names : list of str of length n_classes, the classes, as "arena-hockey"; None
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
    .. [2] Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition" (BALMS),
       NeurIPS 2020.

    Examples
    --------
    >>> from sklearn_open.datasets import load_places_lt
    >>> places = load_places_lt(image_root="places365")  # doctest: +SKIP
    >>> places.class_counts.sum()  # doctest: +SKIP
    62500
    """
    return _PLACES_LT.load(
        subset,
        data_home,
        list_dir,
        image_root,
        check_transform(transform, image_size, resize_and_crop),
        check_images,
        return_X_y,
    )


def _class_of(path: str) -> str | None:
    """Return the class that a path names, nested ones with "-" as in BALMS's lists."""
    parts = path.split("/")
    if parts[0] == "data_256" and len(parts) >= 4:
        return "-".join(parts[2:-1])
    if parts[0] in ("train", "val") and len(parts) == 3:
        return parts[1]
    return None


def _respell(path: str, name: str | None) -> str | None:
    """Turn a path of one convention into the other one."""
    top, file = path.partition("/")[0], path.rpartition("/")[2]
    if top == "val":
        return f"val_256/{file}"
    if name is None:
        return None
    if top == "train":
        # No class of Places has a "-" of its own.
        return f"data_256/{name[0]}/{name.replace('-', '/')}/{file}"
    return {"data_256": f"train/{name}/{file}", "val_256": f"val/{name}/{file}"}.get(top)


_PLACES_LT = ListedSet(
    name="Places-LT",
    folder="places_lt",
    list_name="Places_LT_{subset}.txt",
    get_lists="Get it from the code that Liu et al. released with their paper of 2019 (OLTR).",
    get_images=(
        "Get the training and validation images of Places365 (256 x 256 pixels) from its makers, "
        "and unpack them to data_256/ and val_256/."
    ),
    class_of=_class_of,
    respell=_respell,
)
