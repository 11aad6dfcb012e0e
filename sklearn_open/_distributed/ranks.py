"""The ranks of one training: what they do together, and how they end together."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed

from sklearn_open._distributed.farewell import Farewell
from sklearn_open.batching._share import WHOLE, Share

__all__ = ["ALONE", "GroupRanks", "Ranks", "is_other_rank", "open_ranks"]

T = TypeVar("T")
N_CHECKED_CALLS = 1000  # of a training; each check takes as long as a message


class Ranks:
    """One process on its own: what several ranks do together, it does alone.

    Attributes
    ----------
    share : Share
        Which rows of every batch are this rank's.
    """

    share: Share = WHOLE

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""
        return self.share.rank

    @property
    def are_grouped(self) -> bool:
        """Whether there is a process group, of one rank or more."""
        return False

    def gather(self, value: T) -> list[T]:
        """Return what each rank has passed, in their order."""
        return [value]

    def largest(self, value: int) -> int:
        """Return the largest of the numbers that ranks have passed."""
        return value

    def anywhere(self, flags: list[bool]) -> list[bool]:
        """Return, for each flag, whether any rank has set it."""
        return flags

    def add_up(self, tensor: torch.Tensor) -> None:
        """Put the sum over all ranks in the place of each one's tensor."""

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensors of all ranks, of one shape, along a new first axis."""
        return tensor[None]

    def spread(self, tensor: torch.Tensor) -> None:
        """Put the tensor of rank 0 in the place of each one's."""

    def tell(self, value: Any) -> None:
        """Send something from rank 0 to all others, which `hear` it."""

    def hear(self) -> Any:
        """Return what rank 0 tells next."""
        raise NotImplementedError("there is no rank 0 beside this process")

    def say(self, error: BaseException) -> None:
        """Say why this rank is about to leave; the others read it when it has."""

    def from_first(self, make: Callable[[], T]) -> T:
        """Return on every rank what rank 0 makes, or raise what it has raised."""
        return make()


ALONE = Ranks()


class _Counter:
    """Numbers that all ranks agree on, for the trainings of their processes."""

    def __init__(self) -> None:
        self.count = 0

    def next(self, gather: Callable[[int], list[int]]) -> int:
        self.count = max(gather(self.count)) + 1
        return self.count


_trainings = _Counter()


class GroupRanks(Ranks):
    """The ranks of torch's default process group, in a group of this training's own.

    A rank that leaves closes its group, so that nobody waits for it: the others meet a closed
    connection, and read in the group's store why.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    """

    _others_were_told = False  # that this rank leaves

    def __init__(self, device: torch.device) -> None:
        rank, n_ranks = distributed.get_rank(), distributed.get_world_size()
        self.share = Share(rank, n_ranks)
        # Objects and flags go by the CPU, so that a GPU's queue need not run empty for them.
        self._control: Any = distributed.new_group(backend="gloo")
        on_gpu = device.type == "cuda"
        self._data: Any = distributed.new_group(backend="nccl") if on_gpu else self._control
        self._farewell = Farewell(rank, n_ranks)
        self._n_calls = 0

    def join(self) -> None:
        """Agree with the others on which training this is."""
        self._farewell.training = _trainings.next(self.gather)

    @property
    def are_grouped(self) -> bool:
        return True

    def gather(self, value: T) -> list[T]:
        gathered: list[Any] = [None] * self.share.n_ranks
        with self._together():
            distributed.all_gather_object(gathered, value, group=self._control)
        return gathered

    def largest(self, value: int) -> int:
        return self._largest([value])[0]

    def anywhere(self, flags: list[bool]) -> list[bool]:
        return [bool(flag) for flag in self._largest([int(flag) for flag in flags])]

    def _largest(self, values: list[int]) -> list[int]:
        of_all = torch.tensor(values)
        with self._together():
            distributed.all_reduce(of_all, distributed.ReduceOp.MAX, group=self._control)
        return of_all.tolist()

    def add_up(self, tensor: torch.Tensor) -> None:
        self._check_call(0, tensor)
        with self._together():
            distributed.all_reduce(tensor, group=self._data)

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        self._check_call(1, tensor)
        gathered = [torch.empty_like(tensor) for _ in range(self.share.n_ranks)]
        with self._together():
            distributed.all_gather(gathered, tensor.contiguous(), group=self._data)
        return torch.stack(gathered)

    def spread(self, tensor: torch.Tensor) -> None:
        sent = tensor.contiguous()  # weights with channels last are copied
        with self._together():
            distributed.broadcast(sent, group_src=0, group=self._data)
        if sent is not tensor:
            tensor.copy_(sent)

    def tell(self, value: Any) -> None:
        self._broadcast(value)

    def hear(self) -> Any:
        return self._broadcast(None)

    def from_first(self, make: Callable[[], T]) -> T:
        if self.rank != 0:
            value, error = self.hear()
            if error is not None:
                raise error
            return value
        try:
            made = make()
        except Exception as error:
            self.tell((None, _picklable(error)))
            raise
        self.tell((made, None))
        return made

    def _broadcast(self, value: Any) -> Any:
        box = [value]
        with self._together():
            distributed.broadcast_object_list(box, group_src=0, group=self._control)
        return box[0]

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say why, where a collective has failed."""
        try:
            yield
        except RuntimeError as error:  # a closed connection, or a rank that never came
            raise self._farewell.of_others(error) from error

    def _check_call(self, kind: int, tensor: torch.Tensor) -> None:
        """Refuse calls that are not the same on all ranks, where these begin to train.

        Tensors of other sizes would end the process (gloo), or wait for one another for ever.
        """
        if self._n_calls == N_CHECKED_CALLS:
            return
        self._n_calls += 1
        header = torch.tensor([kind, tensor.numel()])
        headers = [torch.empty_like(header) for _ in range(self.share.n_ranks)]
        with self._together():
            distributed.all_gather(headers, header, group=self._control)
        if any(not torch.equal(header, other) for other in headers):
            raise RuntimeError(
                "the network makes other calls on one rank than on another. How often, and how "
                "wide, its batch norm layers are called must not depend on chance or on the number "
                "of rows, as in layers that are skipped at random or that cut a batch in pieces."
            )

    def say(self, error: BaseException) -> None:
        self._others_were_told = True
        self._farewell.say(error)

    def end(self) -> None:
        """Wait for the others, that none of them reports a success where one has failed."""
        if not self._others_were_told:
            self.largest(0)

    def leave(self) -> None:
        """Close the connections of this rank."""
        groups = {id(group): group for group in (self._data, self._control)}
        self._data = self._control = None  # gloo closes connections with the last reference
        while groups:
            distributed.destroy_process_group(groups.popitem()[1])


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def is_other_rank() -> bool:
    """Whether this process is a rank of torch's default process group, and not the first."""
    return (
        distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0
    )


@contextmanager
def open_ranks(is_wanted: bool, device: torch.device) -> Iterator[Ranks]:
    """Join the ranks of torch's default process group for one training.

    Parameters
    ----------
    is_wanted : bool
        False trains in this process alone.
    device : torch.device
        Where the network is.

    Raises
    ------
    ValueError
        When there is no process group.
    RankEndedError
        When another rank has ended.
    """
    if not is_wanted:
        yield ALONE
        return
    if not (distributed.is_available() and distributed.is_initialized()):
        raise ValueError(
            "distributed=True trains on the ranks of a torch.distributed process group, and there "
            "is none. Start the script by torchrun (or accelerate launch, or Ray Train) and call "
            "torch.distributed.init_process_group() before fit; or set distributed=False. (Worker "
            "processes of a search have no group: n_jobs=1.)"
        )
    with _one_thread():
        ranks = GroupRanks(device)
        try:
            ranks.join()
            yield ranks
            ranks.end()
        except BaseException as error:
            ranks.say(error)
            raise
        finally:
            ranks.leave()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Refuse trainings in several threads: those of two ranks would wait for one another."""
    this = threading.get_ident()
    if set(_threads) - {this}:
        raise ValueError(
            "another thread of this process trains with distributed=True. Ranks train one "
            "estimator at a time: call fit in one thread, and search with n_jobs=1."
        )
    _threads.append(this)  # again, if a training is a part of another one
    try:
        yield
    finally:
        _threads.remove(this)


_threads: list[int] = []  # that train on ranks now
