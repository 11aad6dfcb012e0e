"""What callbacks change of networks and criteria is there after memory= and checkpoint=."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet

LAST = 4


class Net(WideResNet):
    def __init__(self, num_classes=3):
        super().__init__(depth=10, widen_factor=1, num_classes=num_classes, dropout=0.2)
        self.act = torch.relu


class Sets(Callback):
    """Changes something at the beginning of the second epoch."""

    def __init__(self, change):
        self.change = change

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            self.change(net)


def weigh(net):
    net.criterion_.weight = torch.tensor([0.2, 0.5, 1.0])


def smooth(net):
    net.criterion_.label_smoothing = 0.3


def drop_more(net):
    for layer in net.module_.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.6


def slow_statistics(net):
    for layer in net.module_.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.01


def note(net):
    net.module_.temperature = np.float64(2.0)
    net.criterion_.counts = {"a": [1, 2], "b": (3.5, None)}


def make(change, **params):
    settings = {"max_epochs": LAST, "start_epoch": 3, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(Net, **settings, callbacks=[Sets(change), Killer()], verbose=0, **params)


class Die(Exception):
    pass


class Killer(Callback):
    armed = False

    def on_epoch_begin(self, net, **kwargs):
        if Killer.armed and len(net.history) == 3:
            raise Die


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.history[:, "train_loss"] == other.history[:, "train_loss"]


CHANGES = [weigh, smooth, drop_more, slow_statistics, note]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_shared_epochs_end_as_if_they_had_been_trained(images, tmp_path, change):
    expected = make(change).fit(*images)
    for _ in range(2):
        assert_same(make(change, memory=tmp_path).fit(*images), expected, images[0])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_training_that_died_goes_on(images, tmp_path, change, monkeypatch):
    expected = make(change).fit(*images)
    monkeypatch.setattr(Killer, "armed", True)
    with pytest.raises(Die):
        make(change, checkpoint=tmp_path).fit(*images)
    monkeypatch.undo()
    again = make(change, checkpoint=tmp_path)
    assert_same(again.fit(*images), expected, images[0])
    if change is note:
        assert again.criterion_.counts == {"a": [1, 2], "b": (3.5, None)}
        assert again.module_.temperature == 2


def other_function(net):
    net.module_.act = torch.tanh


def new_layer(net):
    net.module_.add_module("extra", nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("change", "name"), [(other_function, "act"), (new_layer, "extra")], ids=["function", "layer"]
)
def test_what_cannot_be_kept_is_refused_by_name(images, tmp_path, change, name):
    make(change, memory=tmp_path).fit(*images)
    with pytest.raises(ValueError, match=rf"module_ is not as when .*{name}"):
        make(change, memory=tmp_path).fit(*images)


def test_weights_that_are_given_stay_given(images, tmp_path):
    weight = torch.tensor([0.2, 0.5, 1.0])
    settings = {"criterion__weight": weight, "max_epochs": 2, "start_epoch": 1, "verbose": 0}
    first, second = (
        OPeNClassifier(random_state=0, memory=tmp_path, **settings).fit(*images) for _ in range(2)
    )
    assert_same(first, second, images[0])
    torch.testing.assert_close(second.criterion_.weight, weight)


class Focal(nn.CrossEntropyLoss):
    pass


class Config:
    def __init__(self):
        self.p = 0.1


def other_loss(net):
    net.criterion_ = Focal()


def other_layer(net):
    net.module_.stage1[0].bn1 = nn.BatchNorm2d(16, affine=False)


def hook_on_a_weight(net):
    net.module_.fc.weight.register_hook(lambda grad: grad * 0)


def more_groups(net):
    weight = net.optimizer_.param_groups[0]["params"].pop()
    net.optimizer_.add_param_group({"params": [weight], "lr": 0.01})


def other_optimizer(net):
    net.optimizer_ = torch.optim.Adam(net.module_.parameters())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (other_loss, "criterion_"),
        (other_layer, "module_.*bn1"),
        (hook_on_a_weight, "module_.*fc.weight"),
        (more_groups, "optimizer_.*param_groups"),
        (other_optimizer, "optimizer_"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_parts_that_were_replaced_are_refused_by_name(images, tmp_path, change, name):
    make(change, memory=tmp_path).fit(*images)
    with pytest.raises(ValueError, match=f"{name}.*is not as when|{name.partition('.')[0]} is not"):
        make(change, memory=tmp_path).fit(*images)


def configure(net):
    net.module_.config = Config()
    net.module_.config.p = 0.7


def test_objects_come_back_with_their_content(images, tmp_path):
    make(configure, memory=tmp_path).fit(*images)
    assert make(configure, memory=tmp_path).fit(*images).module_.config.p == 0.7
