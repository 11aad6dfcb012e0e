"""Why a rank has left: it says so in the store of the process group, where the others read it."""

from __future__ import annotations

import contextlib
import pickle
import time
from typing import Any

from torch import distributed

from sklearn_open.exceptions import CheckpointError, RankEndedError, TrainingDivergedError

__all__ = ["Farewell"]

# Errors that keep their class on the other ranks: what they say is all that they hold.
KEPT = (TrainingDivergedError, CheckpointError, ValueError, TypeError)
PATIENCE = 0.5  # seconds; a rank that leaves says why before it closes its connections


class Farewell:
    """What the ranks of one training say when they leave.

    Parameters
    ----------
    rank, n_ranks : int

    Attributes
    ----------
    training : int
        Which of the trainings of these processes it is.
    """

    def __init__(self, rank: int, n_ranks: int) -> None:
        self._rank = rank
        self._n_ranks = n_ranks
        self.training = 0
        # torch has no public name for the store that ranks have found one another by.
        self._store: Any = distributed.distributed_c10d._get_default_store()

    def _key(self, rank: int) -> str:
        return f"sklearn_open/training-{self.training}/rank-{rank}"

    def say(self, error: BaseException) -> None:
        """Say why this rank leaves, unless it is because another one did."""
        if getattr(error, "of_other_rank", False):
            return
        kind = next((k for k in KEPT if isinstance(error, k)), None)
        name = type(error).__name__
        said = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else str(error)
        text = (said or name) if kind else f"{name}: {said}".removesuffix(": ")
        with contextlib.suppress(RuntimeError):  # the store has gone with the rank that had it
            self._store.set(self._key(self._rank), pickle.dumps((kind, text)))

    def of_others(self, error: RuntimeError) -> Exception:
        """Return what another rank has said, as the error to raise here."""
        others = [rank for rank in range(self._n_ranks) if rank != self._rank]
        end = time.monotonic() + PATIENCE
        with contextlib.suppress(RuntimeError):
            while True:
                for rank in others:
                    if self._store.check([self._key(rank)]):
                        return _as_said(rank, *pickle.loads(self._store.get(self._key(rank))))
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
        return _marked(
            RankEndedError(
                "another rank of this training has ended, or answers no more, and has not said "
                "why: it was killed, ran out of memory, or its machine is gone. With checkpoint= "
                "the same call goes on from the last epoch that was kept, on any number of ranks. "
                f"(torch.distributed says: {str(error).splitlines()[0]})"
            )
        )


def _as_said(rank: int, kind: type[Exception] | None, text: str) -> Exception:
    said = f"rank {rank} has ended this training: {text}"
    return _marked(RankEndedError(said) if kind is None else kind(said))


def _marked(error: Exception) -> Exception:
    error.of_other_rank = True  # type: ignore[attr-defined]
    return error
