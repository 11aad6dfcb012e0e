"""The plan of an epoch: shares, dealing, independence of history."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler

from sklearn_open.datasets import long_tailed_counts
from sklearn_open.over_sampling import PureNoiseOverSampler
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.plan import EpochPlanner, draw_pool, rank_part, resolve_epoch

CIFAR10_LT = long_tailed_counts(5000, 10, imbalance_ratio=100)
# (1 - rho) / 3 for these counts.
NOISE_PROBABILITY = [0, 0.1335, 0.2136, 0.2615, 0.2903, 0.3075, 0.3179, 0.3241, 0.3278, 0.33]


def planner(counts, delta=1 / 3, seed=0, **kwargs):
    codes = np.repeat(np.arange(len(counts)), counts)
    draw = LabelDraw(PureNoiseOverSampler(delta=delta), codes)
    settings = {"start_epoch": 0, "batch_size": 128, **kwargs}
    return EpochPlanner(codes, draw, seed=seed, delta=delta, **settings)


@pytest.mark.parametrize("composition", ["even", "bernoulli"])
def test_noise_share_of_every_class_is_that_of_equation_1(composition):
    maker = planner(CIFAR10_LT, composition=composition)
    rows, noise = np.zeros(10), np.zeros(10)
    for epoch in range(200):
        plan = maker.plan(epoch)
        codes = maker.codes[plan.index]
        rows += np.bincount(codes, minlength=10)
        noise += np.bincount(codes, weights=plan.is_noise, minlength=10)
    np.testing.assert_allclose(noise / rows, NOISE_PROBABILITY, atol=0.004)
    np.testing.assert_allclose(noise.sum() / rows.sum(), 0.2506, atol=0.002)
    np.testing.assert_allclose(rows / rows.sum(), 0.1, atol=0.001)  # classes are balanced


def check_even(plan, batch_size):
    sizes = np.diff(plan.bounds)
    noise = np.array([n_noise for _, n_noise in plan.batches()])
    n_batches = plan.n_batches
    assert sizes.max() <= max(batch_size, 3 if batch_size == 2 else 1)
    assert sizes.min() >= min(batch_size, 2, len(plan.index))
    for counts in (sizes, noise, sizes - noise):
        assert counts.max() - counts.min() <= 1
    assert set(noise) <= {plan.is_noise.sum() // n_batches, -(-plan.is_noise.sum() // n_batches)}
    assert (sizes - noise).min() >= min(2, sizes.min())
    for (index, n_noise), start in zip(plan.batches(), plan.bounds, strict=False):
        flags = plan.is_noise[start : start + len(index)]
        assert not flags[: len(index) - n_noise].any()
        assert flags[len(index) - n_noise :].all()


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    delta=st.floats(0, 1),
    batch_size=st.integers(1, 70),
    length=st.sampled_from(["n_samples", "resampled"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_even_dealing_of_any_data(counts, delta, batch_size, length, seed):
    maker = planner(counts, delta, seed, batch_size=batch_size, epoch_length=length)
    plan = maker.plan(3)
    check_even(plan, batch_size)
    n_rows = sum(counts) if length == "n_samples" else max(counts) * len(counts)
    assert len(plan.index) == n_rows
    assert plan.index.min() >= 0
    assert plan.index.max() < sum(counts)


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    delta=st.floats(0, 1),
    batch_size=st.integers(1, 70),
)
def test_bernoulli_batches_hold_natural_rows(counts, delta, batch_size):
    plan = planner(counts, delta, composition="bernoulli", batch_size=batch_size).plan(0)
    for index, n_noise in plan.batches():
        assert 0 < len(index) <= max(batch_size, 3 if batch_size == 2 else 1)
        assert len(index) - n_noise >= min(2, len(index))


def test_bernoulli_batches_vary():
    maker = planner(CIFAR10_LT, composition="bernoulli")
    noise = np.array([n_noise for _, n_noise in maker.plan(0).batches()])
    # The standard deviation of a sum of independent draws with these probabilities.
    p = np.array(NOISE_PROBABILITY)
    expected = np.sqrt(128 * (np.mean(p) - np.mean(p) ** 2))
    assert 0.7 * expected < noise.std() < 1.3 * expected


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    delta=st.floats(0, 1),
    batch_size=st.integers(2, 70),
)
def test_appended_noise_comes_on_top_of_every_row(counts, delta, batch_size):
    maker = planner(counts, delta, composition="appended", batch_size=batch_size)
    plan = maker.plan(0)
    natural = np.sort(plan.index[~plan.is_noise])
    np.testing.assert_array_equal(natural, np.arange(sum(counts)))
    n_new = max(counts) - np.array(counts)
    assert plan.is_noise.sum() == sum(round(delta * n) for n in n_new)
    shares = [n_noise for _, n_noise in plan.batches()]
    assert max(shares) - min(shares) <= 1


def test_a_plan_depends_on_nothing_but_seed_and_epoch():
    maker = planner(CIFAR10_LT)
    late = maker.plan(170)
    for epoch in range(5):
        maker.plan(epoch)
    again = planner(CIFAR10_LT).plan(170)
    for field in ("index", "is_noise", "bounds"):
        np.testing.assert_array_equal(getattr(late, field), getattr(again, field))
    assert not np.array_equal(maker.plan(171).index, late.index)
    assert not np.array_equal(planner(CIFAR10_LT, seed=1).plan(170).index, late.index)


def test_before_the_start_every_row_is_seen_once():
    maker = planner([50, 20, 3], start_epoch=4, batch_size=16)
    for epoch in range(4):
        plan = maker.plan(epoch)
        np.testing.assert_array_equal(np.sort(plan.index), np.arange(73))
        assert not plan.is_noise.any()
        assert plan.noise_share == 0
    assert maker.plan(4).is_noise.any()


def test_without_a_resampler_no_epoch_is_rebalanced():
    maker = EpochPlanner(np.zeros(10, int), None, start_epoch=0, batch_size=4, seed=0)
    np.testing.assert_array_equal(np.sort(maker.plan(9).index), np.arange(10))


@pytest.mark.parametrize("delta", [0, 1 / 3, 1])
def test_pool_is_the_paper_s_rebalanced_data_set(delta):
    counts = np.array([50, 20, 3])
    codes = np.repeat(np.arange(3), counts)
    n_new = {1: 30, 2: 47}
    index, is_noise = draw_pool(codes, n_new, delta, np.random.RandomState(0))
    np.testing.assert_array_equal(index[:73], np.arange(73))
    assert not is_noise[:73].any()
    np.testing.assert_array_equal(np.bincount(codes[index]), [50, 50, 50])
    noise = np.bincount(codes[index], weights=is_noise, minlength=3)
    np.testing.assert_array_equal(noise, [0, round(delta * 30), round(delta * 47)])


@pytest.mark.parametrize("delta", [0, 1 / 3])
def test_duplicates_are_those_of_the_random_over_sampler(delta):
    y = np.repeat([0, 1, 2], [50, 20, 3])
    sampler = RandomOverSampler(random_state=7)
    sampler.fit_resample(y[:, None], y)
    index, _ = PureNoiseOverSampler(delta=delta).draw(y, np.random.RandomState(7))
    np.testing.assert_array_equal(index, sampler.sample_indices_)


@pytest.mark.parametrize(
    ("value", "max_epochs", "epoch"),
    [(0.8, 200, 160), (0.9, 200, 180), (0.29, 100, 29), (0.8, 1, 0), (1.0, 7, 7), (3, 5, 3),
     (np.int64(3), 5, 3), (0.7, 10, 7)],
)  # fmt: skip
def test_epochs_and_shares(value, max_epochs, epoch):
    assert resolve_epoch(value, max_epochs) == epoch


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 17))
def test_the_parts_of_ranks_are_disjoint_complete_and_even(n_natural, n_noise, n_ranks):
    parts = [rank_part(n_natural, n_noise, rank, n_ranks) for rank in range(n_ranks)]
    for rows, of_ranks in zip((n_natural, n_noise), zip(*parts, strict=True), strict=True):
        every = np.concatenate([np.arange(rows)[part] for part in of_ranks])
        np.testing.assert_array_equal(every, np.arange(rows))
        sizes = [part.stop - part.start for part in of_ranks]
        assert max(sizes) - min(sizes) <= 1
    totals = [sum(part.stop - part.start for part in of_rank) for of_rank in parts]
    assert max(totals) - min(totals) <= 1
