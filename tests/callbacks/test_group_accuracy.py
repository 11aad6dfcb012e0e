"""Accuracy by class size, epoch by epoch."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import GroupAccuracy
from sklearn_open.metrics import equal_group_accuracy


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
    settings = {"max_epochs": 1, "start_epoch": 0, "lr_milestones": ()}
    clf = OPeNClassifier(**settings, callbacks=[callback], random_state=0, verbose=0)
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


def test_labels_of_another_kind_are_refused(images):
    X, y = images
    names = np.array(["a", "b", "c"])[np.asarray(y)]
    callback = GroupAccuracy(X, names, n_groups=3)
    with pytest.raises(ValueError, match=r"given the labels \['a', 'b', 'c'\], which are none of"):
        OPeNClassifier(max_epochs=1, callbacks=[callback], verbose=0).fit(X, y)
