"""Samplers of imbalanced-learn as sources of epochs."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import NearMiss, RandomUnderSampler

from sklearn_open import PureNoiseOverSampler
from sklearn_open.batching import ImageDataset
from sklearn_open.over_sampling._epochs import build_resampler, rebalance


def data():
    rng = np.random.RandomState(0)
    codes = np.repeat([0, 1], [30, 8])
    X = np.where(codes[:, None, None, None] == 1, 200 + 5 * rng.randint(0, 10, (38, 1, 4, 4)), 20)
    return ImageDataset(X.astype(np.uint8), codes, np.array(["many", "few"])[codes])


def draws(sampler, n=2):
    rows, draw = rebalance(sampler, data(), seed=0)
    return rows, [draw(np.random.RandomState(i)) for i in range(n)]


def test_synthetic_pixels_do_not_wrap_around():
    rows, ((index, noise), again) = draws(SMOTE(k_neighbors=3))
    np.testing.assert_array_equal(index, again[0])  # made once
    assert not noise.any()
    made = rows.X[index][rows.codes[index] == 1]
    assert rows.X.dtype == np.uint8
    assert len(made) == 30
    assert made.min() >= 200
    assert made.max() <= 245
    np.testing.assert_array_equal(rows.y == "few", rows.codes == 1)


def test_synthetic_rows_follow_the_seed():
    first, second = (rebalance(SMOTE(k_neighbors=3), data(), seed)[0].X for seed in (0, 0))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, rebalance(SMOTE(k_neighbors=3), data(), 1)[0].X)


@pytest.mark.parametrize("sampler", [RandomOverSampler(), RandomUnderSampler()])
def test_samplers_of_rows_draw_anew(sampler):
    rows, ((first, noise), (second, _)) = draws(sampler)
    assert len(rows) == 38
    assert not noise.any()
    assert not np.array_equal(first, second)
    counts = np.bincount(rows.codes[first])
    assert counts[0] == counts[1]


def test_smoothed_bootstrap_makes_pixels():
    rows, ((index, _), _) = draws(RandomOverSampler(shrinkage=0.5, random_state=0))
    assert index.min() == 38
    assert len(rows) == 38 + 60


def test_under_samplers_that_look_at_pixels():
    rows, ((index, _), _) = draws(NearMiss())
    np.testing.assert_array_equal(np.bincount(rows.codes[index]), [8, 8])


@pytest.mark.parametrize(
    ("own", "given", "params", "delta"),
    [
        (None, 0.2, {}, 0.2),
        (0.5, None, {}, 0.5),
        (0.5, 0.5, {}, 0.5),
        (None, None, {}, 1 / 3),
        (1 / 3, 0.2, {"delta": 0.9}, 0.9),
    ],
)
def test_one_delta(own, given, params, delta):
    instance = PureNoiseOverSampler(delta=own)
    assert build_resampler(instance, given, params).delta == delta
    assert instance.delta == own
    of_class = params.get("delta", 1 / 3 if given is None else given)
    assert build_resampler(PureNoiseOverSampler, given, params).delta == of_class


@pytest.mark.parametrize(("own", "given"), [(0.5, 0.2), (1 / 3, 0.2), (0.5, 1 / 3), (0, 1)])
def test_two_deltas_are_refused(own, given):
    with pytest.raises(ValueError, match=rf"delta={given} contradicts.* delta is {own}\."):
        build_resampler(PureNoiseOverSampler(delta=own), given, {})


def test_a_delta_of_none_is_not_set():
    for resampler in (PureNoiseOverSampler, PureNoiseOverSampler()):
        assert build_resampler(resampler, 0.9, {"delta": None}).delta == 0.9
    assert build_resampler(PureNoiseOverSampler(delta=0.2), None, {"delta": None}).delta == 0.2
