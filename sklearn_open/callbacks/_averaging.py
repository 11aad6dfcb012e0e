"""The average of the weights of the last epochs."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sklearn_open._checks import is_number

__all__ = ["AVERAGES", "WeightAveraging"]

AVERAGES = ("ema", "swa")


class WeightAveraging(Callback):
    """Averages weights from `start_epoch` on, for ``averaging=`` of the classifier.

    When training ends `OPeNClassifier` puts the average in the place of the last weights, and
    estimates the statistics of batch norm anew, on the training rows; see `averaging` there.

    Parameters
    ----------
    decay : float, default=0.999
        Of "ema": what a step leaves of the average so far. The first steps leave less,
        (1 + t) / (10 + t), so that a short training does not keep what it began with.

    Attributes
    ----------
    average_ : torch.optim.swa_utils.AveragedModel or None
        A copy of the network with the average so far, from the first step of `start_epoch` on and
        as long as training lasts.
    """

    average_: AveragedModel | None = None

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin anew: what is trained further has an average of its own."""
        if not is_number(self.decay) or not 0 <= self.decay < 1:
            raise ValueError(
                f"callbacks__averaging__decay={self.decay!r}: pass a number of 0 or more, below 1."
            )
        self.average_ = None
        for _, callback in net.callbacks_ if net.averaging is not None else ():
            if getattr(callback, "load_best", False):
                raise ValueError(
                    f"averaging={net.averaging!r} puts an average in the place of the last "
                    f"weights, and {type(callback).__name__}(load_best=True) those of one epoch. "
                    "Use one of them."
                )

    def on_batch_end(self, net: Any, training: bool = True, **kwargs: Any) -> None:
        """Take up the weights of a step."""
        if training and net.averaging == "ema":
            self._take_up(net)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Take up the weights of an epoch."""
        if net.averaging == "swa":
            self._take_up(net)

    def _take_up(self, net: Any) -> None:
        if len(net.history) - 1 < net.planner_.start_epoch:
            return
        if self.average_ is None:
            mean = Decaying(self.decay) if net.averaging == "ema" else None
            self.average_ = AveragedModel(net.module_, multi_avg_fn=mean)
        self.average_.update_parameters(net.module_)


class Decaying:
    """Exponential moving average, as torch's `AveragedModel` calls it; can be pickled."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.n_steps = 0

    def __call__(self, average: Any, current: Any, n_averaged: Any) -> None:
        """Move the average towards the current weights, in place."""
        self.n_steps += 1
        left = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        get_ema_multi_avg_fn(left)(average, current, n_averaged)
