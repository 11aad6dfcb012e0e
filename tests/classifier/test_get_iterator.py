"""Batches, and data loaders of one's own."""

import numpy as np
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def test_a_data_loader_of_one_s_own(images):
    X, y = images
    own = {"iterator_train__drop_last": True, "iterator_train__batch_size": 25}
    clf = make(tiny_net, resampler=None, max_epochs=1, **own).fit(X, y)
    assert clf.history[0, "batches", :, "train_batch_size"] == [25, 25]
    small = make(tiny_net, iterator_train__batch_size=30, iterator_valid__batch_size=7)
    small.fit(X, y)
    assert small.planner_.batch_size == 30
    sizes = [len(batch) for batch in small.forward_iter(X)]
    assert sizes == [7] * 8 + [4]
    plain = make(tiny_net, iterator_valid=torch.utils.data.DataLoader).fit(X, y)
    other = make(tiny_net, iterator_valid__drop_last=False).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), other.predict_proba(X))


def test_predictions_choose_the_size_of_their_batches(images):
    sizes = []

    def watch(module, args, output):
        sizes.append(len(args[0]))

    clf = make(batch_size=7).fit(*images)
    clf.module_.register_forward_hook(watch)
    proba = clf.predict_proba(images[0])
    assert sizes == [60]
    clf.set_params(iterator_valid__batch_size=25)
    np.testing.assert_allclose(clf.predict_proba(images[0]), proba, atol=1e-3)
    assert sizes == [60, 25, 25, 10]


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


def test_the_last_rows_of_a_loader_of_one_s_own_may_be_dropped():
    X, y = np.random.RandomState(0).rand(9, 3, 1, 1), [0, 1, 0] * 3
    own = {"iterator_train__drop_last": True, "batch_size": 4, "resampler": None}
    clf = watched(**own).fit(X, y)  # a lone ninth row could not be normalised
    assert [len(x) for x, _ in clf.given_] == [4, 4]
    assert int(clf.module_.features[1].num_batches_tracked) == 2
    assert clf.predict(X).shape == (9,)
