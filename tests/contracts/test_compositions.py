"""What every composition of epochs keeps, found by `COMPOSITIONS`."""

import numpy as np
import pytest

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.plan import COMPOSITIONS, EpochPlan, EpochPlanner


def planner(composition, seed=0):
    codes = np.repeat([0, 1, 2], [40, 15, 5])
    draw = LabelDraw(PureNoiseOverSampler(delta=1 / 2), codes)
    settings = {"start_epoch": 1, "batch_size": 16, "delta": 1 / 2, "composition": composition}
    return EpochPlanner(codes, draw, seed=seed, **settings)


def check_plans_are_whole(composition):
    for epoch in range(4):
        plan = planner(composition).plan(epoch)
        assert len(plan.index) == len(plan.is_noise) == plan.bounds[-1]
        assert plan.bounds[0] == 0
        assert (np.diff(plan.bounds) > 0).all()
        assert np.isin(plan.index, np.arange(60)).all()
        assert plan.is_noise.any() == (epoch > 0)


def check_natural_rows_come_first_in_every_batch(composition):
    plan = planner(composition).plan(1)
    for start, stop in zip(plan.bounds[:-1], plan.bounds[1:], strict=True):
        noise = plan.is_noise[start:stop]
        assert (np.sort(noise) == noise).all()
        assert (~noise).sum() >= 2


def check_plans_follow_seed_and_epoch(composition):
    first, again = planner(composition).plan(2), planner(composition).plan(2)
    np.testing.assert_array_equal(first.index, again.index)
    np.testing.assert_array_equal(first.is_noise, again.is_noise)
    for other in (planner(composition).plan(3), planner(composition, seed=1).plan(2)):
        assert not np.array_equal(first.index, other.index)


CHECKS = [
    check_plans_are_whole,
    check_natural_rows_come_first_in_every_batch,
    check_plans_follow_seed_and_epoch,
]


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(composition, check):
    check(composition)


def in_one_batch(planner, draw, rng):
    """Make the plan of a throw-away composition: all rows in one batch."""
    index, is_noise = draw(rng)
    order = rng.permutation(len(index))
    order = order[np.argsort(is_noise[order], kind="stable")]
    return EpochPlan(index[order], is_noise[order], np.array([0, len(index)]))


def test_a_new_one_needs_a_function_and_a_line(monkeypatch, images):
    monkeypatch.setitem(COMPOSITIONS, "in_one_batch", in_one_batch)
    for check in CHECKS:
        check("in_one_batch")
    settings = {"max_epochs": 1, "start_epoch": 0, "random_state": 0, "verbose": 0}
    clf = OPeNClassifier(composition="in_one_batch", **settings).fit(*images)
    assert clf.epoch_plan(0).n_batches == 1
