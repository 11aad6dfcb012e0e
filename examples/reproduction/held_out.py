"""Validation rows, for choices: CIFAR's training images that a long-tailed subset leaves out."""

from __future__ import annotations

import numpy as np

from sklearn_open.datasets import make_long_tailed

__all__ = ["held_out_split"]

SHARE = 10  # one training image in so many of every class is for validation


def held_out_split(y: np.ndarray, imbalance_ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which training images are trained on, and which are for validation.

    A tenth of every class is for validation: 500 images of CIFAR-10, 50 of CIFAR-100, always the
    same ones. They are such as the long-tailed subset leaves out, in the order of a permutation
    with a fixed seed. Where too few are left out, in the largest classes, the subset loses the
    missing ones: of CIFAR-10 at ratio 100, airplane keeps 4,500 of its 5,000 images, and all other
    classes are whole. So validation rows are balanced, and the test set is not touched.

    Parameters
    ----------
    y : array of shape (n,)
        Labels of the whole, balanced training set.
    imbalance_ratio : float
        Of the subset, as for `make_long_tailed`.

    Returns
    -------
    train, validation : array
        Positions in `y`: the subset in its own order, less what it loses; and classes in sorted
        order.
    """
    rows = np.arange(len(y))
    subset, y_subset = make_long_tailed(rows, y, imbalance_ratio=imbalance_ratio)
    left_out = np.setdiff1d(rows, subset)
    classes, sizes = np.unique(y, return_counts=True)
    n_wanted = sizes.min() // SHARE
    rng = np.random.default_rng(0)
    found = {c: left_out[y[left_out] == c] for c in classes}
    spared = {  # drawn before all others
        c: rng.permutation(subset[y_subset == c])[: n_wanted - len(found[c])]
        for c in classes
        if len(found[c]) < n_wanted
    }
    validation = [
        np.concatenate([found[c], spared[c]])
        if c in spared
        else rng.permutation(found[c])[:n_wanted]
        for c in classes
    ]
    lost = np.concatenate([rows[:0], *spared.values()])
    return subset[~np.isin(subset, lost)], np.concatenate(validation)
