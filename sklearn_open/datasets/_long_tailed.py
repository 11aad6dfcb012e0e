"""Class counts with a long tail, and subsets of data that have them."""

from __future__ import annotations

import math
from bisect import bisect_left
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

__all__ = ["check_long_tailed", "long_tailed_counts", "make_long_tailed"]

_PROFILES = ("exp", "step", "m2m")
_SELECTIONS = ("ldam", "first", "random", "m2m")
# Settings (classes, imbalance ratio) in which M2m's power, taken with NumPy, comes out one bit
# lower on processors with AVX-512 than on others. Fixed here, to be the same everywhere.
_M2M_ROUNDED_DOWN = {(10, 50), (100, 100)}


def long_tailed_counts(
    n_max: int, n_classes: int, *, imbalance_ratio: float = 100, profile: str = "exp"
) -> np.ndarray:
    """Return the number of samples of every class of a long-tailed data set.

    Parameters
    ----------
    n_max : int
        Number of samples of the first class, the largest one. At least 1.
    n_classes : int
        Number of classes C. At least 1.
    imbalance_ratio : float, default=100
        Size of the largest class over the size of the smallest one, IR. Finite, at least 1;
        1 gives equal classes.
    profile : {"exp", "step", "m2m"}, default="exp"
        How the counts fall from the first class to the last:

        - "exp": class i of 0, ..., C - 1 has ``int(n_max * (1 / IR) ** (i / (C - 1)))`` samples;
        - "step": the first ``C // 2`` classes have `n_max` samples and all others
          ``int(n_max * (1 / IR))``;
        - "m2m": as "exp", computed as ``int(n_max * r ** i)`` with
          ``r = (1 / IR) ** (1 / (C - 1))``, which may take one sample from the last class.

        The first class has `n_max` samples and no class has less than 1 in any.

    Returns
    -------
    counts : ndarray of shape (n_classes,), dtype int64
        Number of samples of every class, never increasing.

    Raises
    ------
    ValueError
        If an argument is outside the range given above.

    Notes
    -----
    The counts of "exp" are those of [1]_, which [3]_ (Table 5) uses too; "m2m" are those of [2]_.
    For CIFAR-10 and CIFAR-100 at imbalance ratio 100 and 50, "exp" adds up to 12,406, 13,996,
    10,847 and 12,608, "m2m" to 12,406, 13,995, 10,846 and 12,607. In two of these settings the
    code of [2]_ gives one more on processors without AVX-512; here the numbers are the same on all.

    References
    ----------
    .. [1] Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss" (LDAM), NeurIPS 2019.
    .. [2] Kim, Jeong, Shin, "M2m: Imbalanced Classification via Major-to-minor Translation",
       CVPR 2020.
    .. [3] Zada, Benou, Irani, "Pure Noise to the Rescue of Insufficient Data", ICML 2022.

    Examples
    --------
    >>> from sklearn_open.datasets import long_tailed_counts
    >>> long_tailed_counts(5000, 10)
    array([5000, 2997, 1796, 1077,  645,  387,  232,  139,   83,   50])
    """
    for name, value in (("n_max", n_max), ("n_classes", n_classes)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1; got {value!r}.")
    _check_profile(imbalance_ratio, profile)
    factor = 1 / imbalance_ratio
    last = max(n_classes - 1, 1)
    if profile == "exp":
        # Python floats, one by one: NumPy's vectorised power may differ in the last bit, and the
        # truncation below would turn that into another count.
        counts = [int(n_max * factor ** (i / last)) for i in range(n_classes)]
    elif profile == "m2m":
        ratio = factor ** (1 / last)
        if (n_classes, imbalance_ratio) in _M2M_ROUNDED_DOWN:
            ratio = math.nextafter(ratio, 0)
        counts = [int(n_max * ratio**i) for i in range(n_classes)]
    else:
        n_head = max(n_classes // 2, 1)
        counts = [n_max] * n_head + [int(n_max * factor)] * (n_classes - n_head)
    return np.maximum(np.asarray(counts, dtype=np.int64), 1)


def make_long_tailed(
    X: Any,
    y: Any,
    *,
    imbalance_ratio: float = 100,
    profile: str = "exp",
    selection: str = "ldam",
    random_state: int | np.random.RandomState | None = 0,
    return_indices: bool = False,
) -> tuple[Any, ...]:
    """Take a long-tailed subset of labelled data.

    Classes are taken in the sorted order of their labels: the first one becomes the largest, the
    last one the smallest. With the defaults, the CIFAR training sets give exactly the subsets that
    the code of [1]_ makes (CIFAR-10-LT and CIFAR-100-LT).

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Data with any number of axes: array, memory map, list, dataframe or tensor.
    y : array-like of shape (n_samples,)
        Class labels, integers or strings.
    imbalance_ratio : float, default=100
        Size of the largest class over the size of the smallest one. Finite, at least 1.
    profile : {"exp", "step", "m2m"}, default="exp"
        How the class sizes fall, see :func:`long_tailed_counts`.
    selection : {"ldam", "first", "random", "m2m"}, default="ldam"
        Which samples of a class are kept, and in what order:

        - "ldam": the first ones after a shuffle, class after class with one generator, as in
          [1]_. Samples come out grouped by class, the largest class first;
        - "first": those that come first in the data, as in [2]_. The order stays that of the data;
        - "random": drawn without replacement. The order stays that of the data;
        - "m2m": "first" with the counts of ``profile="m2m"``, the subset of [2]_.
    random_state : int, RandomState instance or None, default=0
        Seed of the selection; "first" and "m2m" do not use it. The published subsets have seed 0.
    return_indices : bool, default=False
        Whether to return the positions of the kept samples too.

    Returns
    -------
    X : same type as the input, of shape (n_kept, ...)
        The kept samples.
    y : same type as the input, of shape (n_kept,)
        Their labels.
    indices : ndarray of shape (n_kept,), dtype int64
        Their positions in the input. Only with ``return_indices=True``.

    Raises
    ------
    ValueError
        If `X` and `y` differ in length or are empty, if `y` holds no class labels, if
        ``selection="m2m"`` meets ``profile="step"``, or if an argument is outside the range given
        above.

    See Also
    --------
    long_tailed_counts : The class sizes alone.

    Notes
    -----
    The size of the largest class, ``n_max``, is the largest number for which every class has as
    many samples as ``long_tailed_counts(n_max, ...)`` asks for. With classes of equal size it is
    that size, as in [1]_. With others, one class that is too small makes all of them smaller: the
    profile and the imbalance ratio are kept, and no class is asked for more than it has. Only
    where ``n_max < imbalance_ratio`` is the ratio out of reach, as a class keeps at least one
    sample.

    References
    ----------
    .. [1] Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with
       Label-Distribution-Aware Margin Loss" (LDAM), NeurIPS 2019.
    .. [2] Kim, Jeong, Shin, "M2m: Imbalanced Classification via Major-to-minor Translation",
       CVPR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_open.datasets import make_long_tailed
    >>> X, y = np.zeros((30, 8, 8)), np.repeat(["cat", "dog", "fox"], 10)
    >>> X_lt, y_lt = make_long_tailed(X, y, imbalance_ratio=10)
    >>> X_lt.shape, np.unique(y_lt, return_counts=True)[1].tolist()
    ((14, 8, 8), [10, 3, 1])
    """
    check_long_tailed(imbalance_ratio, profile, selection, random_state)
    if selection == "m2m":
        profile, selection = "m2m", "first"
    positions = _positions_by_class(X, y)
    sizes = np.array([len(position) for position in positions])
    counts = _fitting_counts(sizes, imbalance_ratio, profile)
    indices = _select(positions, counts, selection, random_state)
    subset = (_safe_indexing(X, indices), _safe_indexing(y, indices))
    return (*subset, indices) if return_indices else subset


def check_long_tailed(
    imbalance_ratio: float,
    profile: str,
    selection: str,
    random_state: int | np.random.RandomState | None,
) -> None:
    """Refuse arguments of `make_long_tailed` that are outside their range."""
    _check_profile(imbalance_ratio, profile)
    if selection not in _SELECTIONS:
        raise ValueError(f"selection must be one of {_SELECTIONS}; got {selection!r}.")
    if selection == "m2m" and profile == "step":
        raise ValueError(
            'selection="m2m" has class sizes of its own, but profile="step" was given: leave '
            'profile out, or pass selection="first" for the first images of every class.'
        )
    check_random_state(random_state)


def _check_profile(imbalance_ratio: float, profile: str) -> None:
    if not (
        isinstance(imbalance_ratio, Real)
        and math.isfinite(imbalance_ratio)
        and imbalance_ratio >= 1
    ):
        raise ValueError(
            "imbalance_ratio is the size of the largest class over that of the smallest one, a "
            f"finite number of at least 1; got {imbalance_ratio!r}. If you have the factor between "
            "0 and 1 that some papers use, pass 1 / factor."
        )
    if profile not in _PROFILES:
        raise ValueError(f"profile must be one of {_PROFILES}; got {profile!r}.")


def _positions_by_class(X: Any, y: Any) -> list[np.ndarray]:
    """Return the ascending positions of every class, classes in sorted order."""
    # Labels on an accelerator have to be brought to the host before NumPy can read them.
    labels = column_or_1d(y.cpu() if hasattr(y, "cpu") else y)
    if _num_samples(X) != len(labels):
        raise ValueError(
            f"X has {_num_samples(X)} samples and y has {len(labels)} labels; there must be one "
            "label for each sample. Check that both come from the same data."
        )
    if len(labels) == 0:
        raise ValueError("X and y are empty; there must be at least one sample.")
    check_classification_targets(labels)
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    # A stable sort keeps the order of the data inside a class.
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])


def _fitting_counts(sizes: np.ndarray, imbalance_ratio: float, profile: str) -> np.ndarray:
    """Return the counts of the largest long-tailed subset of classes of these sizes."""

    def counts(n_max: int) -> np.ndarray:
        return long_tailed_counts(
            n_max, len(sizes), imbalance_ratio=imbalance_ratio, profile=profile
        )

    # The counts grow with n_max, and n_max = 1 always fits: it takes one sample of each class.
    candidates = range(1, int(sizes[0]) + 1)
    n_max = bisect_left(candidates, True, key=lambda n: bool((counts(n) > sizes).any()))
    return counts(n_max)


def _select(
    positions: list[np.ndarray],
    counts: np.ndarray,
    selection: str,
    random_state: int | np.random.RandomState | None,
) -> np.ndarray:
    """Return the positions of the kept samples."""
    if selection == "first":
        kept = [position[:n] for position, n in zip(positions, counts, strict=True)]
        return np.sort(np.concatenate(kept))
    # For a seed this is NumPy's legacy generator: the bits that LDAM draws from the global one.
    rng = check_random_state(random_state)
    if selection == "random":
        kept = [rng.choice(p, n, replace=False) for p, n in zip(positions, counts, strict=True)]
        return np.sort(np.concatenate(kept))
    for position in positions:
        rng.shuffle(position)
    return np.concatenate([position[:n] for position, n in zip(positions, counts, strict=True)])
