"""Ranks that are threads of one process, so that what they do together can be tested in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from sklearn_open._distributed.ranks import GroupRanks, Ranks
from sklearn_open.batching._share import Share


class Meeting:
    """Where threads hand values to one another."""

    def __init__(self, n_ranks: int) -> None:
        self._values: list[Any] = [None] * n_ranks
        self._all_there = threading.Barrier(n_ranks, timeout=30)

    def exchange(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._all_there.wait()
        values = list(self._values)
        self._all_there.wait()
        return values

    def end(self) -> None:
        self._all_there.abort()


class ThreadRanks(Ranks):
    """A rank that is a thread."""

    def __init__(self, rank: int, n_ranks: int, meeting: Meeting) -> None:
        self.share = Share(rank, n_ranks)
        self._meeting = meeting

    @property
    def are_grouped(self) -> bool:
        return True

    def gather(self, value: Any) -> list[Any]:
        return self._meeting.exchange(self.rank, value)

    def largest(self, value: int) -> int:
        return max(self.gather(value))

    def anywhere(self, flags: list[bool]) -> list[bool]:
        return [any(of_ranks) for of_ranks in zip(*self.gather(flags), strict=True)]

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        return torch.stack(self.gather(tensor.detach().clone()))

    def add_up(self, tensor: torch.Tensor) -> None:
        tensor.copy_(self.stacked(tensor).sum(0))

    def spread(self, tensor: torch.Tensor) -> None:
        tensor.copy_(self.stacked(tensor)[0])

    def tell(self, value: Any) -> None:
        self.gather(value)

    def hear(self) -> Any:
        return self.gather(None)[0]

    from_first = GroupRanks.from_first


def on_ranks(n_ranks: int, function: Callable[[Ranks], Any]) -> list[Any]:
    """Return what ``function(ranks)`` returns on each of some ranks; errors are returned as well.

    A rank that raises ends the others.
    """
    meeting = Meeting(n_ranks)
    results: list[Any] = [None] * n_ranks

    def run(rank: int) -> None:
        try:
            results[rank] = function(ThreadRanks(rank, n_ranks, meeting))
        except Exception as error:
            results[rank] = error
            meeting.end()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(n_ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
