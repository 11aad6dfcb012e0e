"""Callbacks that `OPeNClassifier` brings: the paper's learning rates and a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skorch.callbacks import Callback, LRScheduler
from tqdm.auto import tqdm

from sklearn_open.plan import resolve_epoch

__all__ = ["StepSchedule", "TrainingProgress"]


class StepSchedule(Callback):
    """Linear warm-up, then the learning rate drops at milestones.

    The rate is a function of the epoch's number alone, so training that goes on later follows the
    same schedule. It is recorded in the history as ``lr``. A rate that is set from outside
    (``set_params(lr=...)``) becomes the new full rate. Where the net has a schedule of skorch's,
    an `LRScheduler` among its callbacks, this one stands aside.

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
