"""The long-tailed versions of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from sklearn_open.datasets._describe import count_lines, shot_sentence, size_sentence
from sklearn_open.datasets._long_tailed import check_long_tailed, make_long_tailed
from sklearn_open.metrics._shots import shot_groups

__all__ = ["fetch_cifar10_lt", "fetch_cifar100_lt"]

_SUBSETS = ("train", "test", "val")
_M2M_VAL_SHARE = 10  # one image in so many of every class of the test set is for validation
# Of the archives as their authors publish them; Keras and TensorFlow check the same sums. What is
# in them are pickles, that is, code. (torchvision checks MD5, of archives and of each file.)
_SHA256 = {
    "CIFAR10": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "CIFAR100": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
}


def fetch_cifar10_lt(
    *,
    subset: str = "train",
    imbalance_ratio: float = 100,
    profile: str = "exp",
    selection: str = "ldam",
    random_state: int | np.random.RandomState | None = 0,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load CIFAR-10-LT, downloading CIFAR-10 if necessary.

    The long-tailed training set with the defaults has 12,406 images, from 5,000 of the first class
    (airplane) to 50 of the last (truck): image by image the subset of [1]_, with the counts of
    [3]_ (Table 5). The test set is the full, balanced one of 10,000 images.

    Parameters
    ----------
    subset : {"train", "test", "val"}, default="train"
        The long-tailed training set or the balanced test set. With ``selection="m2m"`` the first
        tenth of every class of the test set is "val" and the rest is "test", as in [2]_; there is
        no "val" otherwise. Of the next four parameters, only that affects these two sets; all of
        them say what training set their `shot_groups` are for.
    imbalance_ratio : float, default=100
        Size of the largest class over the size of the smallest one. Finite, at least 1; 1 gives
        all 50,000 images.
    profile : {"exp", "step"}, default="exp"
        How the class sizes fall, see :func:`long_tailed_counts`.
    selection : {"ldam", "m2m", "first", "random"}, default="ldam"
        Which images of a class are kept, see :func:`make_long_tailed`. "ldam" is the selection of
        [1]_, "m2m" that of [2]_, with its counts.
    random_state : int, RandomState instance or None, default=0
        Seed of the selection. The published subsets have seed 0.
    data_home : str or path-like, default=None
        Folder for data sets, by default that of scikit-learn
        (:func:`sklearn.datasets.get_data_home`). The files are in its subfolder ``sklearn_open``.
    download_if_missing : bool, default=True
        Whether to download the data (163 MiB) if they are not there. If False, missing data raise
        an OSError.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ndarray of shape (n_samples, 32, 32, 3), dtype uint8, values from 0 to 255
        - target : ndarray of shape (n_samples,), dtype int64, values from 0 to 9
        - target_names : list of 10 str
        - class_counts : ndarray of shape (10,), images of every class in this set
        - shot_groups : dict of str to ndarray, the labels of the classes that are "many" (more than
          100 images in the training set), "medium" and "few" (fewer than 20)
        - DESCR : str, what was loaded

    (data, target) : tuple of ndarray
        The first two of these, if ``return_X_y=True``.

    Raises
    ------
    OSError
        If the data are missing or damaged and are not, or cannot be, downloaded.
    ValueError
        If an argument is outside the range given above.

    References
    ----------
    .. [1] Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss" (LDAM), NeurIPS 2019.
    .. [2] Kim, Jeong, Shin, "M2m: Imbalanced Classification via Major-to-minor Translation",
       CVPR 2020.
    .. [3] Zada, Benou, Irani, "Pure Noise to the Rescue of Insufficient Data", ICML 2022.

    Examples
    --------
    >>> from sklearn_open.datasets import fetch_cifar10_lt
    >>> X, y = fetch_cifar10_lt(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (12406, 32, 32, 3)
    """
    return _fetch(
        "CIFAR10",
        subset=subset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        return_X_y=return_X_y,
        imbalance_ratio=imbalance_ratio,
        profile=profile,
        selection=selection,
        random_state=random_state,
    )


def fetch_cifar100_lt(
    *,
    subset: str = "train",
    imbalance_ratio: float = 100,
    profile: str = "exp",
    selection: str = "ldam",
    random_state: int | np.random.RandomState | None = 0,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load CIFAR-100-LT, downloading CIFAR-100 if necessary.

    The long-tailed training set with the defaults has 10,847 images, from 500 of the first class
    (apple) to 5 of the last (worm): image by image the subset of [1]_, with the counts of [3]_
    (Table 5). The test set is the full, balanced one of 10,000 images.

    Parameters
    ----------
    subset : {"train", "test", "val"}, default="train"
        The long-tailed training set or the balanced test set. With ``selection="m2m"`` the first
        tenth of every class of the test set is "val" and the rest is "test", as in [2]_; there is
        no "val" otherwise. Of the next four parameters, only that affects these two sets; all of
        them say what training set their `shot_groups` are for.
    imbalance_ratio : float, default=100
        Size of the largest class over the size of the smallest one. Finite, at least 1; 1 gives
        all 50,000 images.
    profile : {"exp", "step"}, default="exp"
        How the class sizes fall, see :func:`long_tailed_counts`.
    selection : {"ldam", "m2m", "first", "random"}, default="ldam"
        Which images of a class are kept, see :func:`make_long_tailed`. "ldam" is the selection of
        [1]_, "m2m" that of [2]_, with its counts.
    random_state : int, RandomState instance or None, default=0
        Seed of the selection. The published subsets have seed 0.
    data_home : str or path-like, default=None
        Folder for data sets, by default that of scikit-learn
        (:func:`sklearn.datasets.get_data_home`). The files are in its subfolder ``sklearn_open``.
    download_if_missing : bool, default=True
        Whether to download the data (161 MiB) if they are not there. If False, missing data raise
        an OSError.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ndarray of shape (n_samples, 32, 32, 3), dtype uint8, values from 0 to 255
        - target : ndarray of shape (n_samples,), dtype int64, values from 0 to 99
        - target_names : list of 100 str
        - class_counts : ndarray of shape (100,), images of every class in this set
        - shot_groups : dict of str to ndarray, the labels of the classes that are "many" (more than
          100 images in the training set), "medium" and "few" (fewer than 20)
        - DESCR : str, what was loaded

    (data, target) : tuple of ndarray
        The first two of these, if ``return_X_y=True``.

    Raises
    ------
    OSError
        If the data are missing or damaged and are not, or cannot be, downloaded.
    ValueError
        If an argument is outside the range given above.

    References
    ----------
    .. [1] Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss" (LDAM), NeurIPS 2019.
    .. [2] Kim, Jeong, Shin, "M2m: Imbalanced Classification via Major-to-minor Translation",
       CVPR 2020.
    .. [3] Zada, Benou, Irani, "Pure Noise to the Rescue of Insufficient Data", ICML 2022.

    Examples
    --------
    >>> from sklearn_open.datasets import fetch_cifar100_lt
    >>> X, y = fetch_cifar100_lt(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (10847, 32, 32, 3)
    """
    return _fetch(
        "CIFAR100",
        subset=subset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        return_X_y=return_X_y,
        imbalance_ratio=imbalance_ratio,
        profile=profile,
        selection=selection,
        random_state=random_state,
    )


def _fetch(
    name: str,
    *,
    subset: str,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    return_X_y: bool,
    **long_tailed: Any,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    if subset not in _SUBSETS:
        raise ValueError(f"subset must be one of {_SUBSETS}; got {subset!r}.")
    check_long_tailed(**long_tailed)  # before a download, and for the test set, too
    if subset == "val" and long_tailed["selection"] != "m2m":
        raise ValueError(
            'subset="val" is for selection="m2m" only, but got '
            f"selection={long_tailed['selection']!r}: other papers have no validation set. Split "
            "one off the training set, or choose on the test set as they do."
        )
    root = Path(get_data_home(data_home)) / "sklearn_open"
    data, target, target_names = _read(name, root, subset == "train", download_if_missing)
    if subset == "train":
        data, target = make_long_tailed(data, target, **long_tailed)
    elif long_tailed["selection"] == "m2m":
        rows = _m2m_rows(target, subset)
        data, target = data[rows], target[rows]
    if return_X_y:
        return data, target
    train_target = target
    if subset != "train":
        train_target = _read(name, root, True, download_if_missing)[1]
        train_target = make_long_tailed(train_target, train_target, **long_tailed)[1]
    counts = np.bincount(target, minlength=len(target_names))
    groups = shot_groups(np.bincount(train_target, minlength=len(target_names)))
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        class_counts=counts,
        shot_groups=groups,
        DESCR=_describe(name, subset, target_names, counts, groups, long_tailed),
    )


def _m2m_rows(target: np.ndarray, subset: str) -> np.ndarray:
    """Return the rows of the test set that M2m validates on, or those that it tests on."""
    rows = np.arange(len(target))
    classes = [rows[target == label] for label in np.unique(target)]
    val = np.concatenate([row[: len(row) // _M2M_VAL_SHARE] for row in classes])
    return np.sort(val) if subset == "val" else np.setdiff1d(rows, val)


def _read(
    name: str, root: Path, train: bool, download: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read the full data set from `root`, downloading it first if it is not there."""
    from torchvision import datasets  # slow to import, and not needed for other data

    cls = getattr(datasets, name)
    try:
        dataset = _download(cls, root, train) if download else cls(root, train=train)
    # torchvision raises RuntimeError for missing files and for those with a wrong checksum.
    except (OSError, RuntimeError) as error:
        if download:
            reason = f"could not be downloaded ({error})"
            remedy = "call again"
        else:
            reason = "download_if_missing is False"
            remedy = "pass download_if_missing=True, which then only unpacks it"
        raise OSError(
            f"{name} is missing or damaged in {str(root)!r} and {reason}. Put the file "
            f"{cls.filename} from {cls.url} there and {remedy}."
        ) from error
    return dataset.data, np.asarray(dataset.targets, dtype=np.int64), list(dataset.classes)


def _download(cls: Any, root: Path, train: bool) -> Any:
    """Read the data set, after fetching its archive if need be; unpack only what was published."""
    from torchvision.datasets import utils

    try:
        return cls(root, train=train)
    except RuntimeError:  # not there, or damaged
        with _bar_on_terminals_only(utils):
            utils.download_url(cls.url, root, cls.filename, cls.tgz_md5)
        archive = root / cls.filename
        if (found := _sha256(archive)) != _SHA256[cls.__name__]:
            raise OSError(
                f"{str(archive)!r} has the SHA-256 {found}, not {_SHA256[cls.__name__]} of the "
                "published archive, and was not unpacked; delete it"
            ) from None
        return cls(root, train=train, download=True)  # finds the archive, and unpacks it


@contextmanager
def _bar_on_terminals_only(utils: Any) -> Iterator[None]:
    """Keep torchvision's progress bar, which cannot be switched off, out of files and pipes."""
    tqdm = utils.tqdm
    utils.tqdm = partial(tqdm, disable=None)
    try:
        yield
    finally:
        utils.tqdm = tqdm


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _describe(
    name: str,
    subset: str,
    target_names: list[str],
    counts: np.ndarray,
    groups: dict[str, np.ndarray],
    long_tailed: dict[str, Any],
) -> str:
    settings = ", ".join(f"{key}={value!r}" for key, value in long_tailed.items())
    share = "images of M2m's split" if long_tailed["selection"] == "m2m" else "all images"
    title = f"long-tailed ({settings})" if subset == "train" else share
    return "\n\n".join(
        [
            f"{name}, {subset} set, {title}: {size_sentence(counts)}",
            shot_sentence(groups),
            count_lines(target_names, counts),
        ]
    )
