"""A progress bar over the whole training."""

from __future__ import annotations

import sys
from typing import Any

from skorch.callbacks import Callback
from tqdm.asyncio import tqdm as console_tqdm
from tqdm.auto import tqdm

from sklearn_open.callbacks._terminal import is_terminal

__all__ = ["TrainingProgress"]


class TrainingProgress(Callback):
    """A progress bar with the time left for the whole training, at ``verbose=2`` and above.

    It is drawn on a terminal or in a notebook, not into files and pipes, where every move would be
    one more line of control characters.
    """

    bar_: Any = None  # not there unless training with a bar is going on

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the bar."""
        if net.verbose >= 2 and _is_seen():
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
            self.step_ = 1 / dataset_train.plan(epoch - 1).n_batches

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


def _is_seen() -> bool:
    in_notebook = tqdm is not console_tqdm  # where it is a widget
    return in_notebook or is_terminal(sys.stderr)
