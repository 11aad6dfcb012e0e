"""Learning rates: warm-up, then the paper's drops at milestones, or half a cosine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from skorch.callbacks import Callback, LRScheduler

from sklearn_open._warnings import warn_user
from sklearn_open.plan import resolve_epoch

__all__ = ["StepSchedule"]


class StepSchedule(Callback):
    """Linear warm-up, then the learning rate drops at milestones, or along a cosine.

    The rate is a function of the epoch's number alone, so training that goes on later follows the
    same schedule. Every parameter group follows it from its own rate
    (``optimizer__param_groups=[("fc*", {"lr": 0.05})]``); that of the first is recorded in the
    history as ``lr``. A rate that is set from outside (``set_params(lr=...)`` for all groups,
    ``optimizer__param_groups__0__lr`` for one) becomes the new full rate. Where the net has a
    schedule of skorch's, an `LRScheduler` among its callbacks, this one stands aside.

    Parameters
    ----------
    warmup_epochs : int, float or "auto", default=0.025
        Epochs (int) or share of `max_epochs` (float) over which the rate rises linearly to its
        full value: epoch e of w runs at (e + 1) / w of it. The default is 5 of 200. "auto" is the
        number that an `OPeNClassifier` with ``warmup_epochs="auto"`` has found.
    milestones : sequence of int or float, default=(0.8, 0.9)
        Epochs, or shares of `max_epochs`, from which the rate is multiplied with `decay` once
        more. Milestones at epoch 0 or at one and the same epoch (in very short trainings) are
        dropped.
    decay : float or "cosine", default=0.01
        Factor at every milestone ("decay by a factor of 0.01 at epochs 160 and 180", D.1). "cosine"
        falls along half a cosine from the end of the warm-up on, and reads no milestones: of n
        epochs, epoch e runs at (1 + cos(pi e / n)) / 2, so that the last one still learns;
        training that goes on beyond them would not, and a warning says so.
    """

    def __init__(
        self,
        warmup_epochs: int | float | str = 0.025,
        milestones: Sequence[int | float] = (0.8, 0.9),
        decay: float | str = 0.01,
    ) -> None:
        self.warmup_epochs = warmup_epochs
        self.milestones = milestones
        self.decay = decay

    def factor(self, epoch: int, max_epochs: int) -> float:
        """Return what the base learning rate is multiplied with in an epoch (0 is the first)."""
        given: Any = self.warmup_epochs
        warmup = resolve_epoch(given, max_epochs)
        if epoch < warmup:
            return (epoch + 1) / warmup
        if isinstance(self.decay, str):
            share = (epoch - warmup) / max(1, max_epochs - warmup)
            return (1 + math.cos(math.pi * min(share, 1))) / 2
        starts = {resolve_epoch(milestone, max_epochs) for milestone in self.milestones} - {0}
        return self.decay ** sum(epoch >= start for start in starts)

    def _settled(self, net: Any) -> StepSchedule:
        """Return the same with a number for "auto"."""
        if self.warmup_epochs != "auto":
            return self
        return StepSchedule(net.warmup_epochs, self.milestones, self.decay)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the learning rate of every parameter group."""
        groups = net.optimizer_.param_groups
        epoch = len(net.history) - 1
        if self.decay == "cosine" and epoch == net.max_epochs:
            warn_user(
                f"lr_decay='cosine' has come to its end with epoch {epoch} (max_epochs): training "
                "goes on at a rate of 0, and learns nothing. Set another lr_decay, or max_epochs "
                "to the number of all epochs."
            )
        if not any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
            factor = self._settled(net).factor(epoch, net.max_epochs)
            for group in groups:
                if group["lr"] != group.get("scheduled_lr"):  # the first epoch, or set by the user
                    group["full_lr"] = group["lr"]
                group["lr"] = group["scheduled_lr"] = group["full_lr"] * factor
        net.history.record("lr", groups[0]["lr"])
