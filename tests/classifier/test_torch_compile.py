"""Compiled training steps."""

import pickle

import numpy as np
import torch
from torch._dynamo.testing import CompileCounter

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def test_compiled_steps_are_two_graphs(images):
    counter = CompileCounter()
    torch._dynamo.reset()
    settings = {"start_epoch": 1, "max_epochs": 3, "batch_size": 9, "precision": "float32"}
    settings["delta"] = 1
    clf = make(tiny_net, compile=True, compile__backend=counter, **settings).fit(*images)
    plans = [clf.epoch_plan(epoch) for epoch in range(3)]
    assert len({len(index) for plan in plans for index, _ in plan.batches()}) > 1
    assert counter.frame_count == 2
    plain = make(tiny_net, **settings).fit(*images)
    assert list(clf.module_.state_dict()) == list(plain.module_.state_dict())
    plain.module_.load_state_dict(clf.module_.state_dict())
    X = images[0]
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-5)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert "_compiled_" not in twin.__dict__
    assert counter.frame_count == 2  # predictions are not compiled


def test_compiled_code_is_not_kept_for_another_network(images):
    clf = make(tiny_net, compile=True, compile__backend="eager", max_epochs=1).fit(*images)
    clf.set_params(module__num_classes=3, compile=False)
    assert clf._network is clf.module_
    pickle.loads(pickle.dumps(clf.fit(*images)))


def test_compiled_training_gives_the_same_network(images):
    settings = {"start_epoch": 1, "max_epochs": 2, "precision": "float32"}
    one = make(tiny_net, compile=True, compile__backend="eager", **settings).fit(*images)
    other = make(tiny_net, **settings).fit(*images)
    X = images[0]
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)
