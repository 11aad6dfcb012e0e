"""Accuracy by class size, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.callbacks import Callback

from sklearn_open.metrics._groups import check_n_groups, equal_groups, mean_of_known

__all__ = ["GroupAccuracy"]


class GroupAccuracy(Callback):
    """Records accuracy and loss by class size on given images, at the end of every epoch.

    Of group 1, the smallest classes, the history gets ``group_1_acc`` and ``group_1_loss``, and so
    on for the other groups; `TrainingCurvesDisplay` draws them. Training is not changed, bit for
    bit.

    Parameters
    ----------
    X : array-like
        Images to predict on, as for `OPeNClassifier.predict`.
    y : array-like of shape (n,)
        Their labels.
    n_groups : int or None, default=None
        Number of groups of classes; None is 5, or the number of classes if there are fewer. Sizes
        are those of the training set, as in `equal_group_accuracy`; classes of which it has no row
        count as the smallest.

    Raises
    ------
    ValueError
        When training begins, for more groups than classes.

    Notes
    -----
    The columns are printed with the others; ``callbacks__print_log=None`` prints none. A pickle of
    the estimator holds `X` and `y`. With `partial_fit` on chunks, sizes are those of the chunk that
    is trained on: a class may be in another group in every call.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.callbacks import GroupAccuracy
    >>> X, y = load_digits().images, load_digits().target
    >>> callback = GroupAccuracy(X[1000:], y[1000:])
    >>> clf = OPeNClassifier(max_epochs=2, callbacks=[callback], random_state=0, verbose=0)
    >>> clf = clf.fit(X[:1000], y[:1000])
    >>> len(clf.history[:, "group_1_acc"])
    2
    """

    def __init__(self, X: Any, y: Any, *, n_groups: int | None = None) -> None:
        self.X = X
        self.y = y
        self.n_groups = n_groups

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Refuse more groups than there are classes, and labels that are none of theirs."""
        check_n_groups(self.n_groups, len(net.classes_))
        unknown = set(np.asarray(self.y).tolist()) - set(net.classes_.tolist())
        if unknown:
            raise ValueError(
                f"GroupAccuracy was given the labels {sorted(map(str, unknown))[:5]}, which are "
                f"none of those that are trained on: {net.classes_.tolist()[:10]}. Pass labels of "
                "the kind that fit gets."
            )

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Predict and record."""
        y, proba = np.asarray(self.y), net.predict_proba(self.X)
        sizes = np.bincount(net.planner_.codes, minlength=len(net.classes_))
        in_order = np.argsort(net.classes_, kind="stable")  # by which equal sizes are told apart
        groups = [in_order[group] for group in equal_groups(sizes[in_order], self.n_groups)]
        recalls, losses = (
            _class_recalls(proba, y, net.classes_),
            _class_losses(proba, y, net.classes_),
        )
        for g, group in enumerate(groups):
            net.history.record(f"group_{g + 1}_acc", mean_of_known(recalls[group]))
            net.history.record(f"group_{g + 1}_loss", mean_of_known(losses[group]))


def _class_recalls(proba: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the share of rows of each class that are told right; nan for one without rows."""
    right = classes[proba.argmax(axis=1)] == y
    return np.array([mean_of_known(right[y == label]) for label in classes.tolist()])


def _class_losses(proba: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the mean cross-entropy of the rows of each class; nan for one without rows."""
    tiny = np.finfo(proba.dtype).tiny  # the logarithm of a probability of 0 is not finite
    losses = [
        -np.log(np.maximum(proba[y == label, c], tiny)) for c, label in enumerate(classes.tolist())
    ]
    return np.array([mean_of_known(loss) for loss in losses])
