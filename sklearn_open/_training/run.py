"""A training that is going on: what is there while `fit_loop` runs, and where it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from sklearn_open._distributed.ranks import ALONE, Ranks
from sklearn_open._parameters.settings import defers
from sklearn_open._persistence.checkpoints import Checkpoints
from sklearn_open._persistence.shared_phase import SharedPhase
from sklearn_open._protocols import TrainingNet
from sklearn_open._training.averaging import put_average_in_place
from sklearn_open._training.interrupt import NOT_INTERRUPTED, Interrupt, held_back
from sklearn_open._training.same import check_same_networks, check_same_rows, check_same_weights
from sklearn_open._training.translation import BatchTranslation
from sklearn_open._warnings import warn_user
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.callbacks._progress import TrainingProgress

__all__ = ["NO_RUN", "RunningFit", "running_fit", "tell_if_best_is_early"]


GOES_ON, ENDED, INTERRUPTED = range(3)  # after a step: by a callback, by Ctrl-C


class RunningFit:
    """What belongs to one call of `fit_loop`.

    Attributes
    ----------
    interrupt : Interrupt
        Whether Ctrl-C has come.
    epochs : int
        How many are wanted.
    datasets : tuple of TrainSet and ImageDataset (or None), or None
        Rows to train on and rows held out, once they were split: a fit in parts splits once.
    checkpoints : Checkpoints or None
        Where epochs are kept.
    ranks : Ranks
        That train together.
    """

    def __init__(self, interrupt: Interrupt, at_end: ExitStack, epochs: int = 0) -> None:
        self.interrupt = interrupt
        self.epochs = epochs
        self.datasets: tuple[TrainSet, ImageDataset | None] | None = None
        self.checkpoints: Checkpoints | None = None
        self.ranks: Ranks = ALONE
        self._others_know = False  # that it ends
        self._at_end = at_end

    def take_up(self, net: TrainingNet, train: Callable[..., Any]) -> int:
        """Go to where an earlier fit was, by its checkpoint, or by the epochs that are shared.

        Parameters
        ----------
        net : OPeNClassifier
            Initialised.
        train : callable
            ``train(epochs=n)`` trains for some epochs.

        Returns
        -------
        int
            Epochs that are left to train.
        """
        if len(net.history) or (net.checkpoint is None and net.memory is None):
            return self.epochs
        if net.checkpoint is not None:
            self.checkpoints = self._at_end.enter_context(Checkpoints(net))
            self.checkpoints.take_seed()
        train(epochs=0)  # skorch splits the rows, by what `fit` was given for that
        assert self.datasets is not None
        if self.checkpoints is not None:
            self.checkpoints.resume(*self.datasets)
        if net.memory is not None and len(net.history) == 0:
            shared = min(self.datasets[0].planner.start_epoch, self.epochs)
            phase = SharedPhase(net, *self.datasets, shared, self.interrupt.raise_if_pending)
            phase.run(partial(train, epochs=shared))
        return self.epochs - len(net.history)

    def spread_weights(self, net: TrainingNet) -> None:
        """Begin on all ranks with the weights of rank 0, and with what its optimisers remember.

        Networks that were passed may differ, and so may trainings that failed before.
        """
        check_same_networks(self.ranks, net)
        for network in net.parts_.networks.values():
            for parameter in network.parameters():
                self.ranks.spread(parameter.detach())
        self._spread_buffers(net)
        if self.ranks.are_grouped and len(net.history):  # training goes on
            optimizers = net.parts_.optimizers
            states = self.ranks.from_first(
                lambda: {n: o.state_dict() for n, o in optimizers.items()}
            )
            for name, optimizer in optimizers.items():
                optimizer.load_state_dict(states[name])

    def end_epoch(self, net: TrainingNet) -> None:
        """End an epoch on all ranks with the same weights, and with the buffers of rank 0.

        Those of batch norm are the same; layers of other kinds may have counted a rank's own rows.
        """
        check_same_weights(self.ranks, net)
        self._spread_buffers(net)

    def _spread_buffers(self, net: TrainingNet) -> None:
        for network in net.parts_.networks.values():
            for buffer in network.buffers():
                self.ranks.spread(buffer)

    def keep(self, net: TrainingNet, datasets: tuple[TrainSet, ImageDataset | None]) -> None:
        """Keep the rows of this fit, with what translates them; outside of one, do nothing."""
        if self is NO_RUN:
            return
        check_same_rows(self.ranks, *datasets)
        if datasets[0].planner.start_epoch < len(net.history) + self.epochs:
            stop = self.interrupt.raise_if_pending
            datasets[0].translation = BatchTranslation.of(net, datasets[0], stop)
        self.datasets = datasets

    @contextmanager
    def callbacks_end_together(self, method_name: str) -> Iterator[None]:
        """Let a callback that ends training after a step or epoch, on one rank, end it on all."""
        if method_name not in ("on_batch_end", "on_epoch_end"):
            yield
            return
        reason = GOES_ON
        try:
            yield
        except KeyboardInterrupt:
            if not self.ranks.are_grouped:
                raise
            reason = INTERRUPTED if self.interrupt.pending else ENDED
        self._end_together(reason)

    def raise_if_interrupted(self) -> None:
        """Raise KeyboardInterrupt on all ranks if Ctrl-C has come to one."""
        self._end_together(INTERRUPTED if self.interrupt.pending else GOES_ON)

    def _end_together(self, reason: int) -> None:
        reason = self._agreed(reason)
        if reason != GOES_ON:
            self._others_know = True
            raise KeyboardInterrupt

    def _agreed(self, reason: int) -> int:
        """Return the strongest reason of all ranks; never forget a Ctrl-C that comes meanwhile."""
        reason = self.ranks.largest(reason)
        if reason == INTERRUPTED:
            self.interrupt.pending = True
        return reason

    def after_epoch(self) -> None:
        """Keep what an epoch has reached, and end if Ctrl-C has come."""
        reason = self._agreed(INTERRUPTED if self.interrupt.pending else GOES_ON)
        if self.checkpoints is not None:
            self.checkpoints.after_epoch(is_last=reason == INTERRUPTED)
        self.raise_if_interrupted()

    def tell_others(self, error: KeyboardInterrupt) -> None:
        """Say that this rank was interrupted at once, in the middle of something, if it was."""
        if not self._others_know:
            self.ranks.say(error)

    def finish(self, net: TrainingNet, *, is_whole: bool) -> None:
        """Put the average of the weights in their place, if one was made."""
        if self.datasets is not None:
            put_average_in_place(net, self.datasets[0], tell_of_none=is_whole)

    def tell_if_cut_short(self, net: TrainingNet, wanted: int) -> None:
        """Warn if a callback has ended training before any epoch was rebalanced.

        Parameters
        ----------
        net : OPeNClassifier
            Its training has ended.
        wanted : int
            Epochs that it was to have then.
        """
        n_epochs = len(net.history)
        planner = None if self.datasets is None else self.datasets[0].planner
        if planner is None or not defers(net, planner.draw) or self.interrupt.pending:
            return
        # An epoch that was left in the middle was left by somebody who knows.
        whole = n_epochs and "train_batch_count" in net.history[-1]
        if whole and n_epochs <= planner.start_epoch < wanted:
            what, plainly = "rebalancing", "resampler=None"
            lost = "no noise or repeated row was trained on"
            if planner.draw is None:
                what, plainly = "what is deferred", "class_weight=None and another criterion"
                lost = "no class weight, late loss or average was at work"
            warn_user(
                f"training was ended after epoch {n_epochs}, before {what} sets in "
                f"(start_epoch={planner.start_epoch}): {lost}. Let early stopping wait (more "
                f"patience), set start_epoch lower, or set {plainly} for plain training."
            )


def tell_if_best_is_early(net: Any) -> None:
    """Warn if a callback has put back the weights of an epoch before rebalancing sets in."""
    planner = getattr(net, "planner_", None)
    if planner is None or not defers(net, planner.draw):
        return
    for _, callback in net.callbacks_:
        best = getattr(callback, "best_epoch_", None) if hasattr(callback, "load_best") else None
        if best is not None and callback.load_best and best <= planner.start_epoch:
            warn_user(
                f"{type(callback).__name__} has put back the weights of epoch {best}, before "
                f"rebalancing sets in (start_epoch={planner.start_epoch}): no noise or repeated "
                "row was trained on, and no class weight or late loss was at work. Let it watch a "
                "score that small classes count in (balanced accuracy), or set start_epoch lower."
            )


NO_RUN = RunningFit(NOT_INTERRUPTED, ExitStack())  # outside of any training


@contextmanager
def running_fit(net: TrainingNet, epochs: int) -> Iterator[RunningFit]:
    """Make a `RunningFit`, which holds Ctrl-C back and ends with this context.

    Parameters
    ----------
    net : OPeNClassifier
        Gets `interrupted_`.
    epochs : int
        How many are wanted.
    """
    wanted, net.interrupted_ = len(net.history) + epochs, False
    with ExitStack() as at_end:
        for _, callback in net.callbacks_:
            if isinstance(callback, TrainingProgress):
                at_end.callback(callback.close)  # an error leaves it open
        interrupt = at_end.enter_context(held_back(sigterm=net.ranks_.are_grouped))
        run = RunningFit(interrupt, at_end, epochs)
        run.ranks = net.ranks_
        run.spread_weights(net)
        try:
            yield run
            run.finish(net, is_whole=True)
        except KeyboardInterrupt as error:
            run.tell_others(error)
            run.tell_if_cut_short(net, wanted)
            run.finish(net, is_whole=False)
            raise
        finally:
            net.interrupted_ = run.interrupt.pending
