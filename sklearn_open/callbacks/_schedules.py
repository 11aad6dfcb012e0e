"""Callbacks: the paper's learning rates, a progress bar, accuracy by class size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback, LRScheduler
from tqdm.auto import tqdm

from sklearn_open.metrics._groups import check_n_groups, equal_groups, mean_of_known
from sklearn_open.plan import resolve_epoch

__all__ = ["GroupAccuracy", "StepSchedule", "TrainingProgress"]


class StepSchedule(Callback):
    """Linear warm-up, then the learning rate drops at milestones.

    The rate is a function of the epoch's number alone, so training that goes on later follows the
    same schedule. Every parameter group follows it from its own rate
    (``optimizer__param_groups=[("fc*", {"lr": 0.05})]``); that of the first is recorded in the
    history as ``lr``. A rate that is set from outside (``set_params(lr=...)`` for all groups,
    ``optimizer__param_groups__0__lr`` for one) becomes the new full rate. Where the net has a
    schedule of skorch's, an `LRScheduler` among its callbacks, this one stands aside.

    Parameters
    ----------
    warmup_epochs : int or float, default=0.025
        Epochs (int) or share of `max_epochs` (float) over which the rate rises linearly to its
        full value: epoch e of w runs at (e + 1) / w of it. The default is 5 of 200.
    milestones : sequence of int or float, default=(0.8, 0.9)
        Epochs, or shares of `max_epochs`, from which the rate is multiplied with `decay` once
        more. Milestones at epoch 0 or at one and the same epoch (in very short trainings) are
        dropped.
    decay : float, default=0.01
        Factor at every milestone ("decay by a factor of 0.01 at epochs 160 and 180", D.1).
    """

    def __init__(
        self,
        warmup_epochs: int | float = 0.025,
        milestones: Sequence[int | float] = (0.8, 0.9),
        decay: float = 0.01,
    ) -> None:
        self.warmup_epochs = warmup_epochs
        self.milestones = milestones
        self.decay = decay

    def factor(self, epoch: int, max_epochs: int) -> float:
        """Return what the base learning rate is multiplied with in an epoch (0 is the first)."""
        warmup = resolve_epoch(self.warmup_epochs, max_epochs)
        if epoch < warmup:
            return (epoch + 1) / warmup
        starts = {resolve_epoch(milestone, max_epochs) for milestone in self.milestones} - {0}
        return self.decay ** sum(epoch >= start for start in starts)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the learning rate of every parameter group."""
        groups = net.optimizer_.param_groups
        if not any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
            factor = self.factor(len(net.history) - 1, net.max_epochs)
            for group in groups:
                if group["lr"] != group.get("scheduled_lr"):  # the first epoch, or set by the user
                    group["full_lr"] = group["lr"]
                group["lr"] = group["scheduled_lr"] = group["full_lr"] * factor
        net.history.record("lr", groups[0]["lr"])


class TrainingProgress(Callback):
    """A progress bar with the time left for the whole training, at ``verbose=2`` and above."""

    bar_: Any = None  # not there unless training with verbose=2 is going on

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the bar."""
        if net.verbose >= 2:
            self.first_epoch_ = len(net.history)
            self.last_epoch_ = self.first_epoch_ + net.max_epochs
            self.bar_ = tqdm(
                total=net.max_epochs,
                leave=False,
                bar_format="{desc}{percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left",
            )

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Name the epoch; a batch is its n-th part."""
        if self.bar_ is not None:
            epoch = len(net.history)
            self.bar_.set_description(f"epoch {epoch} of {self.last_epoch_}")
            self.bar_.n = epoch - 1 - self.first_epoch_  # some may have come from memory
            self.step_ = 1 / dataset_train.planner.plan(epoch - 1).n_batches

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Move on by one training batch."""
        if self.bar_ is not None and training:
            self.bar_.update(self.step_)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Make room for the line that is printed after the epoch."""
        if self.bar_ is not None:
            self.bar_.clear()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Take the bar off the screen, if it is there."""
        if self.bar_ is not None:
            self.bar_.close()
            del self.bar_

    def __getstate__(self) -> dict[str, Any]:
        # A bar that an error in training left open holds on to the terminal.
        return {name: value for name, value in self.__dict__.items() if name != "bar_"}


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
        """Refuse more groups than there are classes."""
        check_n_groups(self.n_groups, len(net.classes_))

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
