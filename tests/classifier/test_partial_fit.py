"""Training that goes on, and chunks."""

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
