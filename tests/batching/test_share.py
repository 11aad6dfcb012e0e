"""What ranks have of an epoch's batches is disjoint, complete, and what one process has."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_open import PureNoiseOverSampler
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.augment import check_augment
from sklearn_open.batching import BatchTransform, EpochBatches, TrainSet
from sklearn_open.batching._share import WHOLE, Share
from sklearn_open.noise import check_noise
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.plan import COMPOSITIONS, EpochPlanner

CPU = torch.device("cpu")


def batches(X, y, share=WHOLE, *, augment=None, noise="class_gaussian", mixup=None, **plan):
    """Batches of an epoch with noise."""
    statistics = PixelStatistics.of(X)
    family = check_noise(noise).fit(X, y, statistics)
    augmentation = check_augment(augment)
    transform = BatchTransform(
        statistics.scale, statistics.mean, statistics.std, augmentation, family, 0, mixup
    )
    plan = {"start_epoch": 0, "batch_size": 13, "seed": 0, "delta": 0.5, **plan}
    planner = EpochPlanner(y, LabelDraw(PureNoiseOverSampler(delta=0.5), y), **plan)
    train = TrainSet(X, y, y, planner)
    return list(EpochBatches(train, transform, CPU, lambda: 1, share=share))


def put_together(parts):
    """Return the rows of a batch from those of its ranks, natural rows first."""
    natural, noise = [], []
    for batch in parts:
        n_noise = batch.n_noise
        own, own_noise = batch.share.rows(len(batch[1]) - n_noise, n_noise)
        n_own = own.stop - own.start
        assert len(batch[0]) == n_own + own_noise.stop - own_noise.start
        natural.append(batch[0][:n_own])
        noise.append(batch[0][n_own:])
    return torch.cat(natural), torch.cat(noise)


def test_one_process_has_all_rows_and_its_old_keys():
    assert WHOLE == Share(0, 1)
    assert WHOLE.key == ()
    assert WHOLE.rows(5, 3) == (slice(0, 5), slice(0, 3))
    assert [Share(rank, 2).key for rank in range(2)] == [(0,), (1,)]


@settings(max_examples=100, deadline=None)
@given(n_natural=st.integers(0, 40), n_noise=st.integers(0, 40), n_ranks=st.integers(1, 9))
def test_shares_are_disjoint_complete_and_even(n_natural, n_noise, n_ranks):
    shares = [Share(rank, n_ranks).rows(n_natural, n_noise) for rank in range(n_ranks)]
    for kind, n_rows in enumerate((n_natural, n_noise)):
        rows = np.concatenate([np.arange(n_rows)[share[kind]] for share in shares])
        np.testing.assert_array_equal(rows, np.arange(n_rows))
    sizes = [sum(part.stop - part.start for part in share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=25, deadline=None)
@given(
    n_ranks=st.integers(2, 5),
    batch_size=st.integers(2, 60),
    composition=st.sampled_from(sorted(COMPOSITIONS)),
    seed=st.integers(0, 99),
)
def test_ranks_have_the_batches_of_the_plan(images, n_ranks, batch_size, composition, seed):
    X, y = images
    plan = {"batch_size": batch_size, "composition": composition, "seed": seed}
    whole = batches(X, y, **plan)
    of_ranks = [batches(X, y, Share(rank, n_ranks), **plan) for rank in range(n_ranks)]
    for batch, *parts in zip(whole, *of_ranks, strict=True):
        n_natural = len(batch[1]) - batch.n_noise
        assert all(part.n_noise == batch.n_noise for part in parts)
        assert all(torch.equal(part[1], batch[1]) for part in parts)  # labels: of all rows
        natural, noise = put_together(parts)
        assert torch.equal(natural, batch[0][:n_natural])
        assert torch.equal(noise, batch[0][n_natural:])


@pytest.mark.parametrize("n_ranks", [2, 3])
@pytest.mark.parametrize("noise", ["gaussian", "class_gaussian", "uniform", "additive"])
def test_noise_is_that_of_one_process(images, n_ranks, noise):
    """Bit by bit, also where it starts from images, which are augmented on natural rows only."""
    X, y = images
    params = {"noise": noise, "augment": "flip_crop"}
    whole = batches(X, y, **params)
    of_ranks = [batches(X, y, Share(rank, n_ranks), **params) for rank in range(n_ranks)]
    assert sum(batch.n_noise for batch in whole) > 10
    for batch, *parts in zip(whole, *of_ranks, strict=True):
        _, got = put_together(parts)
        assert torch.equal(got, batch[0][len(batch[1]) - batch.n_noise :])


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_ranks_augment_by_numbers_of_their_own(n_ranks):
    """Their rows would else be cropped alike, the first ones of all, the second ones, and so on."""
    ramp = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    X, y = np.repeat(ramp, 48, axis=0), np.repeat([0, 1], 24)
    params = {"augment": "flip_crop", "batch_size": 48}
    (whole,) = batches(X, y, **params)
    parts = [batches(X, y, Share(rank, n_ranks), **params)[0] for rank in range(n_ranks)]
    n_own = min(len(part[0]) for part in parts)
    alike = [(parts[0][0][i] == part[0][i]).all() for part in parts[1:] for i in range(n_own)]
    assert np.mean(alike) < 0.5  # of 162 ways, a few may be the same by chance
    again = [batches(X, y, Share(rank, n_ranks), **params)[0] for rank in range(n_ranks)]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(parts, again, strict=True))
    assert not torch.equal(put_together(parts)[0], whole[0])


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_rows_are_mixed_with_those_of_the_same_rank(images, n_ranks):
    X, y = images
    whole = batches(X, y, mixup=1.0)
    plain = batches(X, y)
    of_ranks = [batches(X, y, Share(rank, n_ranks), mixup=1.0) for rank in range(n_ranks)]
    for batch, unmixed, *parts in zip(whole, plain, *of_ranks, strict=True):
        mix, n_natural = parts[0].mix, len(batch[1]) - batch.n_noise
        assert mix.share == batch.mix.share
        for part in parts:
            assert torch.equal(part.mix.order, mix.order)
            assert torch.equal(part.mix.codes, mix.codes)
            own, _ = part.share.rows(n_natural, 0)
            partners = mix.order[own]
            assert sorted(partners.tolist()) == list(range(own.start, own.stop))
            n_own = own.stop - own.start
            rows = unmixed[0][:n_natural]
            expected = mix.share * rows[own] + (1 - mix.share) * rows[partners]
            torch.testing.assert_close(part[0][:n_own], expected, rtol=0, atol=1e-5)
        assert torch.equal(mix.codes[:n_natural], batch[1][:n_natural][mix.order])
        assert torch.equal(mix.codes[n_natural:], batch[1][n_natural:])


def test_each_rank_reads_its_rows_only(images):
    X, y = images
    read = {rank: [] for rank in range(2)}
    for rank, rows in read.items():
        epoch = EpochBatches(
            TrainSet(X, y, y, EpochPlanner(y, None, 0, 13, 0)),
            BatchTransform(PixelStatistics.of(X).scale, np.zeros(3), np.ones(3), None, None, 0),
            CPU,
            lambda: 0,
            share=Share(rank, 2),
        )
        pixels = epoch.pixels
        epoch.pixels = lambda index, seed, rows=rows, pixels=pixels: (
            rows.extend(np.concatenate(index)) or pixels(index, seed)
        )
        list(epoch)
    assert sorted(read[0] + read[1]) == list(range(len(X)))
    assert abs(len(read[0]) - len(read[1])) <= 5  # one for each batch at most
