"""Rows to train on and rows held out."""

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def test_a_predefined_split(images):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    clf = make(tiny_net, train_split=predefined_split(SkorchDataset(X, names))).fit(X, names)
    assert clf.history[-1, "valid_acc"] == pytest.approx(np.mean(clf.predict(X) == names))


@pytest.mark.parametrize("names", [["a", "b", "c"], [5, 15, 25]])
def test_validation_accuracy_is_that_of_the_user_s_labels(images, names):
    X, y = images
    clf = make(tiny_net, train_split=ValidSplit(3, stratified=True))
    labels = np.array(names)[y]
    clf.fit(X, labels)
    held_out = next(iter(ValidSplit(3, stratified=True).check_cv(y).split(X, y)))[1]
    expected = np.mean(clf.predict(X[held_out]) == labels[held_out])
    assert clf.history[-1, "valid_acc"] == pytest.approx(expected)
    assert len(clf.planner_.codes) == 40  # held-out rows are not trained on


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


def test_batches_of_one_row(images):
    X = images[0]
    clf = watched(batch_size=1, resampler=None).fit(X[:6], [0, 1] * 3)
    assert [len(x) for x, _ in clf.given_] == [1] * 6
    assert torch.isfinite(weights(clf)).all()
    # A max pool by two, twice, leaves one value per channel of images of 4 x 4.
    for call, rows in [("fit", 6), ("partial_fit", 6), ("partial_fit", 1)]:
        clf = watched(batch_size=1 if rows > 1 else 16, classes=[0, 1], resampler=None)
        with pytest.raises(ValueError, match=r"single row.*\(3, 4, 4\).*batch_size=2 or more"):
            getattr(clf, call)(X[:rows, :, :4, :4], [0, 1] * 3 if rows > 1 else [0])
        assert not clf.initialized_
        assert not hasattr(clf, "module_")
    group_norm = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.GroupNorm(2, 4), nn.Linear(4, 2))
    watched(group_norm, batch_size=1, resampler=None).fit(X[:6, :, :4, :4], [0, 1] * 3)


@pytest.mark.parametrize("kind", ["tensors", "subset", "items", "skorch"])
def test_rows_held_out_from_any_data_set(images, kind):
    X, y = images
    whole = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    held = {
        "tensors": TensorDataset(torch.from_numpy(X[:20]), torch.from_numpy(y[:20])),
        "subset": Subset(whole, range(20)),
        "items": [(X[i], y[i]) for i in range(20)],
        "skorch": SkorchDataset(X[:20], y[:20]),
    }[kind]
    if kind == "items":
        held = Listed(held)
    clf = make(train_split=predefined_split(held)).fit(X, y)
    expected = make(train_split=predefined_split(SkorchDataset(X[:20], y[:20]))).fit(X, y)
    assert clf.history[:, "valid_loss"] == expected.history[:, "valid_loss"]
    assert clf.history[:, "valid_acc"] == expected.history[:, "valid_acc"]


class Listed(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def test_rows_held_out_of_another_shape_are_refused(images):
    X, y = images
    held = TensorDataset(torch.from_numpy(X[:20, :, :4]), torch.from_numpy(y[:20]))
    with pytest.raises(ValueError, match=r"shape \(3, 4, 8\)"):
        make(train_split=predefined_split(held)).fit(X, y)


@pytest.mark.parametrize("instance", [True, False])
def test_rows_held_out_are_not_those_of_a_data_set_of_one_s_own(images, instance):
    X, y = images

    class Own(SkorchDataset):
        pass

    held = predefined_split(SkorchDataset(255 - X[::3], y[::3]))
    clf = make(dataset=Own(X, y) if instance else Own, train_split=held).fit(X, y)
    expected = make(train_split=held).fit(X, y)
    assert clf.history[:, "valid_loss"] == expected.history[:, "valid_loss"]


def test_codes_are_not_taken_for_positions_of_names(images):
    X, y = images
    held = predefined_split(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)))
    names = np.array(["a", "b", "c"])[y]
    with pytest.raises(ValueError, match=r"labels \[0, 1, 2\], which are not in classes"):
        make(classes=["c", "a", "b"], train_split=held).fit(X, names)
    clf = make(classes=["c", "a", "b"], train_split=held).fit(X, y)  # codes, all the way
    assert clf.history[-1, "valid_acc"] == clf.score(X, y)
