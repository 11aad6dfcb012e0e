"""The paper's learning rates, and the progress bar."""

import pytest

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


def test_partial_fit_goes_on_with_the_schedule(images):
    clf = OPeNClassifier(max_epochs=2, lr_milestones=(3,), random_state=0, verbose=0)
    clf.partial_fit(*images).partial_fit(*images)
    assert clf.history[:, "lr"] == pytest.approx([0.1, 0.1, 0.1, 0.001])


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed(images, capsys, verbose):
    OPeNClassifier(max_epochs=2, random_state=0, verbose=verbose).fit(*images)
    out, err = capsys.readouterr()
    assert ("train_loss" in out) is (verbose > 0)
    assert ("epoch 2 of 2" in err) is (verbose == 2)
    assert ("left" in err) is (verbose == 2)
