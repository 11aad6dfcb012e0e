"""A training that is going on: what is there while `fit_loop` runs, and where it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from sklearn_open._persistence.checkpoints import Checkpoints
from sklearn_open._persistence.shared_phase import SharedPhase
from sklearn_open._protocols import TrainingNet
from sklearn_open._training.interrupt import NOT_INTERRUPTED, Interrupt, held_back
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.callbacks._progress import TrainingProgress

__all__ = ["NO_RUN", "RunningFit", "running_fit"]


class RunningFit:
    """What belongs to one call of `fit_loop`.

    Attributes
    ----------
    interrupt : Interrupt
        Whether Ctrl-C has come.
    datasets : tuple of TrainSet and ImageDataset (or None), or None
        Rows to train on and rows held out, once they were split: a fit in parts splits once.
    checkpoints : Checkpoints or None
        Where epochs are kept.
    """

    def __init__(self, interrupt: Interrupt, at_end: ExitStack) -> None:
        self.interrupt = interrupt
        self.datasets: tuple[TrainSet, ImageDataset | None] | None = None
        self.checkpoints: Checkpoints | None = None
        self._at_end = at_end

    def take_up(self, net: TrainingNet, train: Callable[..., Any], epochs: int) -> None:
        """Go to where an earlier fit was, by its checkpoint, or by the epochs that are shared.

        Parameters
        ----------
        net : OPeNClassifier
            Initialised, not yet trained.
        train : callable
            ``train(epochs=n)`` trains for some epochs.
        epochs : int
            How many are wanted in all.
        """
        if net.checkpoint is not None:
            self.checkpoints = self._at_end.enter_context(Checkpoints(net))
            self.checkpoints.take_seed()
        train(epochs=0)  # skorch splits the rows, by what `fit` was given for that
        assert self.datasets is not None
        if self.checkpoints is not None:
            self.checkpoints.resume(*self.datasets)
        if net.memory is not None and len(net.history) == 0:
            shared = min(self.datasets[0].planner.start_epoch, epochs)
            phase = SharedPhase(net, *self.datasets, shared, self.interrupt.raise_if_pending)
            phase.run(partial(train, epochs=shared))

    def after_epoch(self) -> None:
        """Keep what an epoch has reached, and end if Ctrl-C has come."""
        if self.checkpoints is not None:
            self.checkpoints.after_epoch(is_last=self.interrupt.pending)
        self.interrupt.raise_if_pending()


NO_RUN = RunningFit(NOT_INTERRUPTED, ExitStack())  # outside of any training


@contextmanager
def running_fit(callbacks: Sequence[tuple[str, Any]]) -> Iterator[RunningFit]:
    """Make a `RunningFit`, which holds Ctrl-C back and ends with this context."""
    with ExitStack() as at_end:
        for _, callback in callbacks:
            if isinstance(callback, TrainingProgress):
                at_end.callback(callback.close)  # an error leaves it open
        yield RunningFit(at_end.enter_context(held_back()), at_end)
