"""Learning rates."""

import math
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import StepSchedule


def test_the_paper_s_schedule():
    schedule = StepSchedule()
    factors = [schedule.factor(epoch, 200) for epoch in range(200)]
    assert factors[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert factors[159:161] == pytest.approx([1, 0.01])
    assert factors[179:181] == pytest.approx([0.01, 0.0001])
    assert len(set(factors)) == 7


def test_the_schedule_stretches():
    schedule = StepSchedule()
    assert [schedule.factor(e, 10) for e in range(10)] == pytest.approx([1] * 8 + [0.01, 0.0001])
    assert schedule.factor(0, 1) == 1  # one epoch: no drop before any training
    assert [schedule.factor(e, 5) for e in range(5)] == pytest.approx([1] * 4 + [0.01])
    assert schedule.factor(250, 200) == pytest.approx(0.0001)


def test_epochs_can_be_numbers():
    schedule = StepSchedule(warmup_epochs=2, milestones=(3, 4, 5), decay=0.1)
    got = [schedule.factor(epoch, 10) for epoch in range(7)]
    assert got == pytest.approx([0.5, 1, 1, 0.1, 0.01, 0.001, 0.001])


def test_rates_reach_every_parameter_group_and_the_history(images):
    clf = OPeNClassifier(
        max_epochs=4,
        lr=0.2,
        warmup_epochs=2,
        lr_milestones=(3,),
        optimizer__param_groups=[("fc*", {"lr": 0.02})],
        random_state=0,
        verbose=0,
    ).fit(*images)
    # The first group is the head's: the one that was given.
    rates = [group["lr"] for group in clf.optimizer_.param_groups]
    assert sorted(rates) == pytest.approx([0.0002, 0.002])
    expected = rates[0] * 100
    assert clf.history[:, "lr"] == pytest.approx([expected / 2, expected, expected, expected / 100])


def three_groups(**params):
    """A net whose layers of three kinds have base rates 0.05, 0.01 and 0.001."""
    groups = [("fc*", {"lr": 0.05}), ("*bias", {"lr": 0.01, "weight_decay": 0.0})]
    return OPeNClassifier(
        lr=0.001,
        optimizer__param_groups=groups,
        warmup_epochs=2,
        lr_milestones=(3, 4),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
        **params,
    )


class RatesOfAllGroups(Callback):
    """Keeps the learning rates of every epoch."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("rates", [group["lr"] for group in net.optimizer_.param_groups])


@pytest.mark.parametrize("calls", [1, 5])
def test_every_group_follows_the_schedule_from_its_own_rate(images, calls):
    clf = three_groups(max_epochs=5 // calls, start_epoch=4, callbacks=[RatesOfAllGroups()])
    for _ in range(calls):
        clf.partial_fit(*images)
    rates = np.array(clf.history[:, "rates"])
    factors = [[0.5], [1], [1], [0.1], [0.01]]
    np.testing.assert_allclose(rates, factors * np.array([[0.05, 0.01, 0.001]]))
    assert clf.history[:, "lr"] == rates[:, 0].tolist()
    decays = [group["weight_decay"] for group in clf.optimizer_.param_groups]
    assert decays == [2e-4, 0.0, 2e-4]
    n_parameters = [len(group["params"]) for group in clf.optimizer_.param_groups]
    assert n_parameters == [2, 3, 6]


def test_a_rate_set_between_epochs_is_the_group_s_new_full_rate(images):
    clf = three_groups(max_epochs=3).fit(*images)
    clf.set_params(optimizer__param_groups__0__lr=0.5, max_epochs=1)
    clf.partial_fit(*images)
    rates = [group["lr"] for group in clf.optimizer_.param_groups]
    assert rates == pytest.approx([0.05, 0.001, 0.0001])


def test_clone_keeps_groups(images):
    clf = three_groups(max_epochs=1)
    copy = clone(clone(clf).fit(*images))
    given = clf.get_params()["optimizer__param_groups"]
    assert copy.get_params()["optimizer__param_groups"] == given


@pytest.mark.parametrize(
    "groups", [[("classifier*", {"lr": 1})], [("fc*", {"lr": 1}), ("fc.bias", {"lr": 2})]]
)
def test_a_group_without_parameters_is_refused(images, groups):
    clf = OPeNClassifier(max_epochs=1, optimizer__param_groups=groups, verbose=0)
    expected = rf"{re.escape(repr(groups[-1][0]))}, which fits no .* has 'features\*', 'fc\*'\."
    with pytest.raises(ValueError, match=expected):
        clf.fit(*images)


def test_a_group_by_number_is_refused_before_fit(images):
    clf, match = (
        three_groups(max_epochs=1),
        r"_groups__0__lr sets .* Pass optimizer__param_groups=\[",
    )
    with pytest.raises(ValueError, match=match):
        clf.set_params(optimizer__param_groups__0__lr=0.5)
    with pytest.raises(ValueError, match=match):
        GridSearchCV(clf, {"optimizer__param_groups__0__lr": [0.5, 1]}, cv=2).fit(*images)
    with pytest.raises(ValueError, match=match):
        OPeNClassifier(optimizer__param_groups__0__lr=1, max_epochs=1, verbose=0).fit(*images)
    clf.fit(*images).set_params(optimizer__param_groups__0__lr=0.5)  # of the running optimizer


def test_partial_fit_goes_on_with_the_schedule(images):
    settings = {"max_epochs": 2, "start_epoch": 3, "lr_milestones": (3,)}
    clf = OPeNClassifier(**settings, random_state=0, verbose=0)
    clf.partial_fit(*images).partial_fit(*images)
    assert clf.history[:, "lr"] == pytest.approx([0.1, 0.1, 0.1, 0.001])


def test_a_cosine_that_has_come_to_its_end(images):
    settings = {"max_epochs": 2, "lr_decay": "cosine", "random_state": 0, "verbose": 0}
    clf = OPeNClassifier(resampler=None, batch_size=16, **settings).fit(*images)
    with pytest.warns(UserWarning, match="has come to its end with epoch 2"):
        clf.partial_fit(*images)
    assert clf.history[:, "lr"] == pytest.approx([0.1, 0.05, 0, 0])


def test_a_cosine_by_hand():
    schedule = StepSchedule(2, (0.5,), "cosine")
    found = [schedule.factor(epoch, 6) for epoch in range(7)]
    half = [(1 + math.cos(math.pi * e / 4)) / 2 for e in range(5)]
    assert found == pytest.approx([0.5, 1.0, *half])
