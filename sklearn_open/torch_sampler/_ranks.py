"""Which of the ranks that share every batch a process is."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from sklearn_open._checks import check_whole, is_whole
from sklearn_open._warnings import warn_user

__all__ = ["check_group", "check_ranks"]


def check_ranks(num_replicas: Any, rank: Any, random_state: Any) -> tuple[int, int]:
    """Return which rank this is, and of how many.

    Parameters
    ----------
    num_replicas, rank : int or None
        Both None for one process.
    random_state : object
        An int where there are several ranks: each draws the plan by itself.

    Raises
    ------
    ValueError
        For anything else.
    """
    if num_replicas is None and rank is None:
        return 0, 1
    if num_replicas is None or rank is None:
        raise ValueError(
            f"num_replicas={num_replicas!r} and rank={rank!r}: pass both, the number of ranks and "
            "which of them this process is; or neither, to train in one process."
        )
    n_ranks = check_whole("num_replicas", num_replicas, 1)
    if check_whole("rank", rank, 0) >= n_ranks:
        raise ValueError(
            f"rank={rank} is none of num_replicas={n_ranks} ranks: they are 0 to {n_ranks - 1}."
        )
    if n_ranks > 1 and not is_whole(random_state):
        raise ValueError(
            f"random_state={random_state!r} and num_replicas={n_ranks}: every rank would plan "
            "batches of its own. Pass an int, the same on all ranks."
        )
    return int(rank), n_ranks


def check_group(num_replicas: int | None, rank: int | None) -> None:
    """Compare with the process group, where one is initialised by the time an epoch starts.

    Parameters
    ----------
    num_replicas, rank : int or None
        As `check_ranks` has found them right.

    Raises
    ------
    ValueError
        When the ranks of the group cannot all have a share of their own.

    Warns
    -----
    UserWarning
        When there is a group of several ranks and no word of sharing.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    world, own = dist.get_world_size(), dist.get_rank()
    if num_replicas is None and world > 1:
        warn_user(
            f"a process group of {world} ranks is initialised, and PureNoiseBatchSampler gives all "
            "rows of every batch to each of them. To share the batches pass "
            "num_replicas=torch.distributed.get_world_size(), rank=torch.distributed.get_rank(); "
            "num_replicas=1, rank=0 if this is what you want."
        )
    if num_replicas is None:
        return
    # Fewer shares than ranks are right where several ranks hold the parts of one network.
    if num_replicas > world or (num_replicas == world and rank != own):
        raise ValueError(
            f"PureNoiseBatchSampler was given rank={rank} of num_replicas={num_replicas}, and this "
            f"is rank {own} of {world} in the process group: rows would be left out or seen twice. "
            "Pass torch.distributed.get_rank() (not LOCAL_RANK) and get_world_size()."
        )
