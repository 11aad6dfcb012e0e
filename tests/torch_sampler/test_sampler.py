"""The sampler's epochs are the planner's, and the shares of ranks are parts of them."""

import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from sklearn_open import OPeNClassifier
from sklearn_open.torch_sampler import PureNoiseBatchSampler

LABELS = np.repeat([0, 1, 2], [40, 12, 3])


@pytest.mark.parametrize("composition", ["even", "bernoulli"])
@pytest.mark.parametrize("epoch_length", ["n_samples", "resampled"])
def test_epochs_are_those_of_the_classifier(composition, epoch_length):
    shared = {"batch_size": 16, "delta": 0.5, "random_state": 7, "start_epoch": 1}
    shared |= {"composition": composition, "epoch_length": epoch_length}
    labels = np.array(["a", "b", "c"])[LABELS]
    X = np.random.RandomState(0).rand(len(labels), 3)
    clf = OPeNClassifier(max_epochs=1, verbose=0, **shared).fit(X, labels)
    sampler = PureNoiseBatchSampler(labels, **shared)
    for epoch in (0, 1, 5):
        sampler.set_epoch(epoch)
        plan = clf.epoch_plan(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == plan.n_batches
        for batch, (index, n_noise) in zip(batches, plan.batches(), strict=True):
            assert [row.index for row in batch] == index.tolist()
            assert [row.is_noise for row in batch] == [False] * (len(index) - n_noise) + (
                [True] * n_noise
            )
            assert [row.code for row in batch] == LABELS[index].tolist()
        np.testing.assert_array_equal(sampler.epoch_plan(epoch).index, plan.index)


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    batch_size=st.integers(2, 20),
    delta=st.floats(0, 1),
    epoch=st.integers(0, 10**6),
    composition=st.sampled_from(["even", "bernoulli"]),
    epoch_length=st.sampled_from(["n_samples", "resampled"]),
)
@settings(deadline=None, max_examples=60)
def test_laws_of_every_epoch(counts, batch_size, delta, epoch, composition, epoch_length):
    y = np.repeat(np.arange(len(counts)), counts)
    sampler = PureNoiseBatchSampler(
        y,
        batch_size=batch_size,
        delta=delta,
        composition=composition,
        epoch_length=epoch_length,
    )
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sum(map(len, batches)) == (
        len(y) if epoch_length == "n_samples" else max(counts) * len(counts)
    )
    seeds = [row.noise_seed for batch in batches for row in batch if row.is_noise]
    assert len(set(seeds)) == len(seeds)  # no two noise images of an epoch are alike
    for batch in batches:
        mask = [row.is_noise for row in batch]
        assert mask == sorted(mask)  # natural rows first
        assert 2 <= len(batch) <= max(batch_size, 3)  # no lone row
        assert mask.count(False) >= 2
        assert all(row.code == y[row.index] for row in batch)


def test_an_epoch_does_not_depend_on_what_ran_before():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    sampler.set_epoch(3)
    first = list(sampler)
    for epoch in (0, 7):
        sampler.set_epoch(epoch)
        assert list(sampler) != first
    sampler.set_epoch(3)
    assert list(sampler) == first
    other = PureNoiseBatchSampler(LABELS, batch_size=16, random_state=1)
    other.set_epoch(3)
    assert list(other) != first


def test_set_epoch_does_not_change_an_iteration_under_way():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    expected = list(sampler)
    under_way = iter(sampler)
    batches = [next(under_way)]
    sampler.set_epoch(5)
    assert [*batches, *under_way] == expected


def test_plain_training_before_start_epoch_and_without_delta():
    late = PureNoiseBatchSampler(LABELS, batch_size=16, start_epoch=2)
    rows = [row for batch in late for row in batch]
    assert sorted(row.index for row in rows) == list(range(len(LABELS)))
    late.set_epoch(2)
    assert any(row.is_noise for batch in late for row in batch)
    never = PureNoiseBatchSampler(LABELS, batch_size=16, delta=0)
    assert not any(row.is_noise for batch in never for row in batch)


def test_labels_of_every_kind():
    expected = list(PureNoiseBatchSampler(LABELS, batch_size=16))
    for y in (torch.from_numpy(LABELS), LABELS.tolist(), [5 * label - 3 for label in LABELS]):
        assert list(PureNoiseBatchSampler(y, batch_size=16)) == expected
    sampler = PureNoiseBatchSampler(np.array(["x", "y", "z"])[LABELS], batch_size=16)
    assert list(sampler) == expected
    assert sampler.classes_.tolist() == ["x", "y", "z"]


def test_sampling_strategy():
    sampler = PureNoiseBatchSampler(
        LABELS, batch_size=16, delta=1, sampling_strategy={2: 40}, epoch_length="resampled"
    )
    rows = [row for batch in sampler for row in batch]
    assert np.bincount([row.code for row in rows]).tolist() == [40, 12, 40]
    assert np.bincount([row.code for row in rows if row.is_noise]).tolist() == [0, 0, 37]


def test_a_forgotten_set_epoch_is_noticed():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    list(sampler), list(sampler)
    with pytest.warns(UserWarning, match="set_epoch"):
        list(sampler)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delta": 2}, "delta"),
        ({"batch_size": 0}, "batch_size"),
        ({"start_epoch": 0.8}, "int\\(0.8 \\* n_epochs\\)"),
        ({"composition": "odd"}, "'even', 'bernoulli'"),
        ({"epoch_length": "long"}, "'n_samples', 'resampled'"),
        ({"y": np.zeros(5)}, "one class only"),
        ({"y": np.eye(3)}, "shape"),
        ({"sampling_strategy": {0: 1}}, "number of samples"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        PureNoiseBatchSampler(**{"y": LABELS, "batch_size": 16, **wrong})


def test_refuses_epochs_that_are_none():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    for epoch in (-1, 0.5, True):
        with pytest.raises(ValueError, match="epoch="):
            sampler.set_epoch(epoch)


def test_sampler_and_rows_can_be_pickled():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    sampler.set_epoch(4)
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)


@pytest.mark.parametrize(
    "y", [[0.0, np.nan, 1.0], ["a", None, "b"], [0, 0, 0], [[0, 1], [1, 0], [1, 1]]]
)
def test_labels_that_are_none(y):
    with pytest.raises((ValueError, TypeError)):
        PureNoiseBatchSampler(y, batch_size=2)


def test_labels_of_a_data_set():
    data = TensorDataset(torch.zeros(12, 3, 4, 4), torch.arange(12) % 2)
    sampler = PureNoiseBatchSampler(data, batch_size=6)
    np.testing.assert_array_equal(sampler.classes_, [0, 1])
    assert len(sampler.epoch_plan(0).index) == 12


# --- several ranks ---


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    batch_size=st.integers(2, 20),
    delta=st.floats(0, 1),
    epoch=st.integers(0, 3),
    composition=st.sampled_from(["even", "bernoulli", "appended"]),
    n_ranks=st.integers(1, 5),
)
@settings(deadline=None, max_examples=60)
def test_the_shares_of_all_ranks_are_the_batches_of_one(
    counts, batch_size, delta, epoch, composition, n_ranks
):
    y = np.repeat(np.arange(len(counts)), counts)
    shared = {"batch_size": batch_size, "delta": delta, "composition": composition}
    shared |= {"start_epoch": 1, "random_state": 3}
    alone = PureNoiseBatchSampler(y, **shared)
    plans = [alone.epoch_plan(planned) for planned in (0, 1, epoch)]
    fewest = min(len(index) - n_noise for plan in plans for index, n_noise in plan.batches())

    def ranks():
        for rank in range(n_ranks):
            sampler = PureNoiseBatchSampler(y, **shared, num_replicas=n_ranks, rank=rank)
            sampler.set_epoch(epoch)
            yield sampler

    if fewest < n_ranks:
        with pytest.raises(ValueError, match="natural rows"):
            list(ranks())
        return
    alone.set_epoch(epoch)
    assert {len(sampler) for sampler in ranks()} == {len(alone)}
    for batch, *shares in zip(alone, *ranks(), strict=True):
        natural = [[row for row in share if not row.is_noise] for share in shares]
        noise = [[row for row in share if row.is_noise] for share in shares]
        assert [*chain(*natural), *chain(*noise)] == batch  # with the seeds of the noise
        assert shares == [first + last for first, last in zip(natural, noise, strict=True)]
        assert min(map(len, natural)) >= 1
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("start_epoch", [0, 5])
def test_a_batch_without_a_natural_row_for_every_rank(start_epoch):
    few = {"batch_size": 4, "delta": 1, "start_epoch": start_epoch, "epoch_length": "resampled"}
    PureNoiseBatchSampler(LABELS, **few, num_replicas=2, rank=1)  # planned batches have two
    with pytest.raises(ValueError, match=rf"epoch {start_epoch} .* 2 natural rows.* all ranks"):
        PureNoiseBatchSampler(LABELS, **few, num_replicas=3, rank=1)


def test_the_plan_is_that_of_all_ranks():
    alone = PureNoiseBatchSampler(LABELS, batch_size=16)
    share = PureNoiseBatchSampler(LABELS, batch_size=16, num_replicas=2, rank=1)
    np.testing.assert_array_equal(share.epoch_plan(3).index, alone.epoch_plan(3).index)


def test_accelerate_does_not_split_a_share():
    accelerate = pytest.importorskip("accelerate", reason="a test of what accelerate does")
    shard = accelerate.data_loader.BatchSamplerShard
    share = PureNoiseBatchSampler(LABELS, batch_size=16, num_replicas=2, rank=1)
    with pytest.raises(ValueError, match=r"Leave the DataLoader out of accelerator.prepare"):
        shard(share, num_processes=2, process_index=1)
    alone = PureNoiseBatchSampler(LABELS, batch_size=20)
    first, second, third = alone
    alone.set_epoch(0)
    halves = [list(shard(alone, num_processes=2, process_index=rank)) for rank in range(2)]
    assert halves == [[first, third], [second, first]]  # accelerate's own way: batches go round


@pytest.mark.parametrize("ranks", [{}, {"num_replicas": 2, "rank": 1}])
def test_lightning_does_not_split_batches(ranks):
    """It would make a sampler of its own, had this one a `batch_size` and a `drop_last`."""
    pytest.importorskip("lightning", reason="a test of what Lightning does")
    from lightning.pytorch.utilities.data import _update_dataloader

    sampler = PureNoiseBatchSampler(LABELS, batch_size=16, **ranks)
    loader = DataLoader(LABELS, batch_sampler=sampler)
    with pytest.raises(TypeError, match="use_distributed_sampler=False"):
        _update_dataloader(loader, torch.utils.data.SequentialSampler(LABELS))
