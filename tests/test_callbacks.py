"""The paper's learning rates, the progress bar, accuracy by class size."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import GroupAccuracy, StepSchedule
from sklearn_open.metrics import equal_group_accuracy


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
    clf = three_groups(max_epochs=5 // calls, callbacks=[RatesOfAllGroups()])
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


def by_group(clf, what):
    return np.stack([clf.history[:, f"group_{g + 1}_{what}"] for g in range(3)], axis=1)


def test_group_accuracy_is_that_of_the_network_after_each_epoch(images):
    X, codes = images
    y = np.array(["few", "many", "some"])[codes.clip(0, 2)]
    seen = []

    class Check(Callback):
        def on_epoch_end(self, net, **kwargs):
            proba = net.predict_proba(X)
            loss = -np.log(proba[np.arange(len(y)), np.searchsorted(net.classes_, y)])
            accuracy = proba.argmax(axis=1) == np.searchsorted(net.classes_, y)
            smallest_first = net.classes_[np.argsort([np.sum(y == c) for c in net.classes_])]
            seen.append([(accuracy[y == c].mean(), loss[y == c].mean()) for c in smallest_first])

    clf = OPeNClassifier(
        max_epochs=3,
        start_epoch=1,
        callbacks=[GroupAccuracy(X, y, n_groups=3), Check()],
        random_state=0,
        verbose=0,
    ).fit(X, y)
    np.testing.assert_allclose(by_group(clf, "acc"), np.array(seen)[..., 0])
    np.testing.assert_allclose(by_group(clf, "loss"), np.array(seen)[..., 1], rtol=1e-4)


def test_group_accuracy_of_fewer_than_five_classes(images):
    X, y = images
    settings = {"max_epochs": 1, "random_state": 0, "verbose": 0}
    clf = OPeNClassifier(callbacks=[GroupAccuracy(X, y)], **settings).fit(X, y)
    named = [f"group_{g}_{what}" for g in (1, 2, 3) for what in ("acc", "loss")]
    assert [name for name in clf.history[0] if name.startswith("group")] == named
    accuracy = equal_group_accuracy(y, clf.predict(X), y_train=y, n_groups=3)
    np.testing.assert_allclose(by_group(clf, "acc")[0], accuracy)


@pytest.mark.parametrize("n_groups", [0, 4, 1.5])
def test_a_wrong_number_of_groups_is_refused_before_training(images, n_groups):
    callback = GroupAccuracy(*images, n_groups=n_groups)
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(net)

    clf = OPeNClassifier(max_epochs=1, callbacks=[callback, Watch()], verbose=0)
    with pytest.raises(ValueError, match=rf"n_groups={n_groups}, but .* 3 classes.*from 1 to 3"):
        clf.fit(*images)
    assert not seen


def test_group_accuracy_of_chunks_that_lack_classes(images):
    """Classes without a row count as the smallest, the later label first."""
    X, y = images
    callback = GroupAccuracy(X, y, n_groups=3)
    clf = OPeNClassifier(max_epochs=1, callbacks=[callback], random_state=0, verbose=0)
    y = np.asarray(y)
    for rows, smallest_first in (
        (y == 2, [1, 0, 2]),
        (y > 0, [0, 2, 1] if (y == 2).sum() < (y == 1).sum() else [0, 1, 2]),
        (y >= 0, np.argsort(np.bincount(y))),
    ):
        clf.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        y_pred = clf.predict(X)
        expected = [np.mean(y_pred[y == c] == c) for c in smallest_first]
        np.testing.assert_allclose(by_group(clf, "acc")[-1], expected)


def test_group_accuracy_with_classes_in_another_order(images):
    X, y = images
    callback = GroupAccuracy(X, y)
    clf = OPeNClassifier(
        max_epochs=1, classes=[2, 0, 1], callbacks=[callback], random_state=0, verbose=0
    ).fit(X, y)
    np.testing.assert_allclose(
        by_group(clf, "acc")[0], equal_group_accuracy(y, clf.predict(X), y_train=y)
    )


def test_group_accuracy_does_not_change_training(images):
    settings = {"max_epochs": 3, "start_epoch": 1, "augment": "flip_crop", "random_state": 0}
    plain = OPeNClassifier(verbose=0, **settings).fit(*images)
    callback = GroupAccuracy(*images, n_groups=3)
    watched = OPeNClassifier(verbose=0, callbacks=[callback], **settings).fit(*images)
    for a, b in zip(plain.module_.parameters(), watched.module_.parameters(), strict=True):
        assert a.equal(b)


def test_group_accuracy_without_rows_of_a_class_and_with_clones(images):
    X, y = images
    callback = GroupAccuracy(X[y != 2], y[y != 2], n_groups=3)
    clf = OPeNClassifier(max_epochs=1, callbacks=[callback], random_state=0, verbose=0)
    clf = clone(clf).fit(X, y)
    for what in ("acc", "loss"):
        assert np.isnan(by_group(clf, what)).tolist() == [[True, False, False]]
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(by_group(again, "acc"), by_group(clf, "acc"))


def test_group_accuracy_goes_with_checkpoints_and_memory(images, tmp_path):
    settings = {"max_epochs": 3, "start_epoch": 2, "random_state": 0, "verbose": 0}
    callback = GroupAccuracy(*images, n_groups=3)
    plain = OPeNClassifier(callbacks=[callback], **settings).fit(*images)
    for folder in ("checkpoint", "memory"):
        kept = {folder: str(tmp_path / folder)}
        for _ in range(2):
            clf = OPeNClassifier(callbacks=[callback], **kept, **settings).fit(*images)
            np.testing.assert_array_equal(by_group(clf, "acc"), by_group(plain, "acc"))
