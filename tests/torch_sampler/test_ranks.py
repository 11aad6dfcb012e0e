"""Ranks that cannot share batches are refused, or warned of."""

import warnings

import numpy as np
import pytest
import torch.distributed as dist

from sklearn_open.torch_sampler import PureNoiseBatchSampler
from sklearn_open.torch_sampler._ranks import check_group, check_ranks


@pytest.mark.parametrize(
    ("num_replicas", "rank", "found"),
    [(None, None, (0, 1)), (1, 0, (0, 1)), (3, 2, (2, 3)), (np.int64(2), np.int64(1), (1, 2))],
)
def test_which_rank_of_how_many(num_replicas, rank, found):
    assert check_ranks(num_replicas, rank, 0) == found


@pytest.mark.parametrize(
    ("num_replicas", "rank", "message"),
    [
        (2, None, "pass both"),
        (None, 0, "pass both"),
        (2, 2, "they are 0 to 1"),
        (2, -1, "rank=-1: pass a whole number"),
        (0, 0, "num_replicas=0: pass a whole number of 1"),
        (2.0, 0, "num_replicas=2.0"),
        (2, True, "rank=True"),
    ],
)
def test_refuses_ranks_that_are_none(num_replicas, rank, message):
    with pytest.raises(ValueError, match=message):
        check_ranks(num_replicas, rank, 0)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_several_ranks_need_a_seed_that_is_the_same(random_state):
    assert check_ranks(1, 0, random_state) == (0, 1)
    with pytest.raises(ValueError, match="Pass an int, the same on all ranks"):
        check_ranks(2, 0, random_state)


@pytest.fixture
def group_of(monkeypatch):
    """A process group, as far as the sampler asks for it."""

    def initialise(world, rank):
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_world_size", lambda: world)
        monkeypatch.setattr(dist, "get_rank", lambda: rank)

    return initialise


@pytest.mark.parametrize(
    ("world", "own", "num_replicas", "rank"),
    [(4, 2, 4, 2), (4, 2, 2, 1), (4, 2, 1, 0), (1, 0, None, None), (1, 0, 1, 0)],
)
def test_groups_whose_ranks_all_have_a_share(group_of, world, own, num_replicas, rank):
    group_of(world, own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_group(num_replicas, rank)


@pytest.mark.parametrize(("num_replicas", "rank"), [(4, 0), (8, 2)])
def test_rows_that_no_rank_or_two_would_have(group_of, num_replicas, rank):
    group_of(4, 2)
    with pytest.raises(ValueError, match=r"rank 2 of 4 .*not LOCAL_RANK"):
        check_group(num_replicas, rank)


def test_a_group_that_does_not_share_is_warned_of_when_an_epoch_starts(group_of):
    sampler = PureNoiseBatchSampler([0] * 9 + [1] * 3, batch_size=6)
    whole = list(sampler)
    group_of(2, 1)
    with pytest.warns(UserWarning, match="group of 2 ranks .* num_replicas=1, rank=0"):
        assert list(sampler) == whole  # nothing changes by itself
    share = PureNoiseBatchSampler([0] * 9 + [1] * 3, batch_size=6, num_replicas=2, rank=0)
    with pytest.raises(ValueError, match="rank=0 of num_replicas=2, and this is rank 1 of 2"):
        iter(share)
