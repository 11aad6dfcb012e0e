"""Training that goes on, and chunks."""

import numpy as np
import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.nn import DARNorm


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def test_fit_starts_anew_and_partial_fit_goes_on(images):
    whole = make(max_epochs=4, lr_milestones=()).fit(*images)
    parts = make(max_epochs=2, lr_milestones=()).partial_fit(*images).partial_fit(*images)
    assert torch.equal(weights(whole), weights(parts))
    warm = make(max_epochs=2, lr_milestones=(), warm_start=True).fit(*images).fit(*images)
    assert torch.equal(weights(whole), weights(warm))
    again = make(max_epochs=4, lr_milestones=()).fit(*images).fit(*images)
    assert torch.equal(weights(whole), weights(again))


def test_going_on_follows_changed_settings(images):
    X, y = images
    clf = make(delta=0, warm_start=True, start_epoch=0).fit(X, y)
    clf.set_params(delta=0.5, noise_grad="all", augment="cutout").fit(X, y)
    layers = [layer for layer in clf.module_.modules() if isinstance(layer, DARNorm)]
    assert {layer.noise_grad for layer in layers} == {"all"}
    assert clf.transform_.augment is not None
    assert clf.planner_.plan(5).is_noise.any()
    clf.set_params(resampler__noise="uniform").partial_fit(X, y)
    assert type(clf.transform_.noise).__name__ == "UniformNoise"


def test_chunks_of_one_class(images):
    X, y = images
    clf = make().partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
    assert clf.partial_fit(X[y == 2], y[y == 2]).predict_proba(X).shape == (60, 3)


def test_partial_fit_learns_all_classes_named(images):
    X, y = images
    clf = make().partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert clf.predict_proba(X).shape == (60, 3)
    clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="not in classes"):
        clf.partial_fit(X, y + 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"start_epoch": 0.8},
            r"start_epoch=0.8 \(rebalanced from epoch 0 on\), lr_milestones=.*160",
        ),
        ({"start_epoch": 1, "lr_milestones": [0.5]}, r"lr_milestones=\[0.5\] .*never drops"),
        ({"start_epoch": 0.8, "max_epochs": 2}, r"rebalanced from epoch 1 on"),
    ],
)
def test_a_loop_with_shares_is_told_of_once(images, params, message):
    clf = make(**{"max_epochs": 1, **params}).partial_fit(*images)
    with pytest.warns(UserWarning, match=message) as told:
        clf.partial_fit(*images)
    assert len(told) == 1
    clf.partial_fit(*images)


def test_a_loop_with_numbers_of_epochs_is_one_training(images):
    settings = {"start_epoch": 2, "lr_milestones": (3,), "warmup_epochs": 2}
    whole = make(max_epochs=5, **settings).fit(*images)
    parts = make(max_epochs=1, **settings)
    for _ in range(5):
        parts.partial_fit(*images)
    assert torch.equal(weights(whole), weights(parts))
    assert parts.history[:, "lr"] == whole.history[:, "lr"]
    assert [parts.epoch_plan(e).is_noise.any() for e in range(5)] == [False] * 2 + [True] * 3


@pytest.mark.parametrize("params", [{"resampler": None, "lr_milestones": ()}, {"start_epoch": 0}])
def test_loops_that_lose_nothing_are_not_told_of(images, params):
    clf = make(**{"max_epochs": 1, "lr_milestones": (), **params})
    for _ in range(3):
        clf.partial_fit(*images)
    assert len(clf.history) == 3


def test_a_network_that_was_fitted_may_be_tuned(images):
    clf = make(start_epoch=0.8).fit(*images)
    clf.partial_fit(*images).partial_fit(*images)
    assert len(clf.history) == 3 * clf.max_epochs


def test_chunks_keep_the_kind_of_their_labels(images):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    clf = make(lr_milestones=()).partial_fit(X, names)
    with pytest.raises(ValueError, match="not in classes"):
        clf.partial_fit(X, y)
    assert set(clf.predict(X)) <= set("abc")


def test_a_loop_of_warm_starts_is_told_of(images):
    clf = make(max_epochs=1, start_epoch=0.8, warm_start=True).fit(*images)
    with pytest.warns(UserWarning, match="shares are shares of that"):
        clf.fit(*images)
