"""A training that learns nothing ends with a warning; others do not."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_open import OPeNClassifier
from sklearn_open._training import learning
from sklearn_open.backbones import SmallCNN
from sklearn_open.decoupling import MetaSampledClassifier
from sklearn_open.recipes import make_classifier


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(learning, "FEWEST_STEPS", 8)


@pytest.fixture
def noise():
    """Images that say nothing of their labels."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [80, 30, 10])
    return rng.randint(0, 256, (120, 8, 8), dtype=np.uint8), rng.permutation(y)


SETTINGS = {"max_epochs": 5, "batch_size": 60, "lr": 1e-4, "random_state": 0, "verbose": 0}


def make(**params):
    return OPeNClassifier(**{**SETTINGS, **params})


def told(clf, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    return [str(one.message) for one in caught if one.category is ConvergenceWarning]


def test_it_says_what_was_seen_and_what_to_try(noise):
    (message,) = told(make(augment="flip_crop"), *noise)
    assert "learnt nothing: after 8 steps on rows as they are the loss is" in message
    assert "guessing by the shares of the classes gives 0.824" in message
    for advice in (
        "a lower lr (it is 0.0001)",
        "max_epochs='auto'",
        "augment='flip_crop'",
        "labels",
    ):
        assert advice in message


def test_more_than_what_auto_has_found(noise, monkeypatch):
    from sklearn_open._training import settled

    monkeypatch.setattr(settled, "auto_epochs", lambda *rows: 5)
    (message,) = told(make(max_epochs="auto"), *noise)
    assert "more epochs (max_epochs=10)" in message
    assert "augment" not in message


@pytest.mark.parametrize("method", ["erm", "open", "drw", "deferred_balanced_softmax"])
def test_methods_that_begin_plainly(noise, method):
    assert len(told(make_classifier(method=method, **SETTINGS), *noise)) == 1


NOT_PLAIN = [
    {"mixup": 1.0},
    {"criterion": "focal"},
    {"criterion": "ldam", "module__head": "cosine"},
    {"criterion": "balanced_softmax"},
    {"criterion__label_smoothing": 0.1},
    {"criterion__weight": [1.0, 2.0, 3.0]},
    {"criterion": torch.nn.MultiMarginLoss},
    {"class_weight": "balanced", "start_epoch": 0},
    {"start_epoch": 0},
    {"start_epoch": 0, "delta": 1},
    {"max_epochs": 3},
    {"max_epochs": 0},
    {"callbacks": "disable"},
]


@pytest.mark.parametrize("params", NOT_PLAIN, ids=str)
def test_nothing_is_said_where_it_is_not_known(noise, params):
    assert told(make(**params), *noise) == []


@pytest.mark.parametrize("method", ["erm", "open", "drw", "lws"])
def test_nothing_is_said_of_one_that_learns(images, method):
    settings = {"max_epochs": 12, "batch_size": 30, "random_state": 0, "verbose": 0}
    clf = make_classifier(method=method, **settings)
    if getattr(clf, "final_estimator", None) is not None:
        clf.set_params(final_estimator__max_epochs=4)
    assert told(clf, *images) == []


class AddsToTheLoss(OPeNClassifier):
    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) + 1.0


class WithAuxHeads(SmallCNN):
    aux_logits = True


def test_nothing_is_said_where_the_loss_has_more_in_it(noise):
    assert told(AddsToTheLoss(**SETTINGS), *noise) == []
    assert told(make(module=WithAuxHeads), *noise) == []
    meta = MetaSampledClassifier(**SETTINGS, criterion=torch.nn.CrossEntropyLoss, start_epoch=0)
    assert told(meta, *noise) == []


def test_nothing_is_said_in_parts(noise):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        make(start_epoch=4, lr_milestones=(5,)).partial_fit(*noise)
