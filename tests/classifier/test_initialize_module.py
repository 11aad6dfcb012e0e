"""From `module` to a network that fits the data."""

import copy
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchvision
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN, WideResNet, wrn28_10
from sklearn_open.exceptions import NoBatchNormWarning
from sklearn_open.nn import DARNorm


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


@pytest.mark.parametrize("module", [tiny_net, SmallCNN, torchvision.models.resnet18, nn.Module])
def test_classes_functions_and_instances(images, module):
    if module is nn.Module:
        module = tiny_net()
    clf = make(module, max_epochs=1, start_epoch=0).fit(*images)
    assert clf.predict_proba(images[0]).shape == (60, 3)
    assert any(isinstance(layer, DARNorm) for layer in clf.module_.modules())


def test_an_instance_is_never_trained(images):
    net = tiny_net()
    before = copy.deepcopy(net.state_dict())
    clf = make(net).fit(*images)
    assert clf.module is net
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(isinstance(layer, DARNorm) for layer in net.modules())


def test_facts_are_passed_on_unless_given(images):
    X, y = images
    clf = make(WideResNet, module__depth=10, module__widen_factor=1, max_epochs=1)
    clf.fit(X[:, :2], y)
    assert next(clf.module_.parameters()).shape[1] == 2
    wider = make(tiny_net, module__num_classes=4, classes=[0, 1, 2, 3], max_epochs=1)
    assert wider.fit(X, y).predict_proba(X).shape == (60, 4)


def test_a_network_without_batch_norm_warns_and_trains(images):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.warns(NoBatchNormWarning, match="Sequential has no batch norm"):
        clf = make(net).fit(*images)
    assert clf.predict(images[0]).shape == (60,)
    make(net, delta=0).fit(*images)  # without noise there is nothing to warn of


def test_tables_reach_a_network_as_they_are(images):
    class Table(nn.Module):
        def __init__(self, in_features, num_classes):
            super().__init__()
            self.layers = nn.Sequential(nn.BatchNorm1d(in_features), nn.Linear(64, num_classes))

        def forward(self, x):
            assert x.ndim == 2
            return self.layers(x)

    X, y = images
    make(Table).fit(X[:, 0].reshape(60, 64), y)


@pytest.mark.slow
def test_wide_resnet_28_10_on_real_images(data_home):
    from sklearn_open.datasets import load_image_folder

    X, y = load_image_folder(data_home / "cifar10-images.zip", subset="test", return_X_y=True)
    rows = np.r_[0:40, 1000:1016, 2000:2008]
    clf = OPeNClassifier(module=wrn28_10, delta=1 / 3, max_epochs=1, verbose=0)
    clf.fit(X[rows], y[rows])
    assert clf.epoch_plan(0).is_noise.any()
    assert set(clf.predict(X[rows][:8])) <= {0, 1, 2}


def test_modules_that_cannot_be_made(images):
    class Needy(nn.Module):
        def __init__(self, depth):
            super().__init__()

    with pytest.raises(ValueError, match=r"Needy could not be made.*module__<name>"):
        make(Needy).fit(*images)
    with pytest.raises(TypeError, match="module=18 is not a network"):
        make(18).fit(*images)
    with pytest.raises(TypeError, match=r"which is no torch\.nn\.Module"):
        make(lambda: 3).fit(*images)
    with pytest.raises(ValueError, match="lazy layers that have not seen data"):
        make(nn.Sequential(nn.Flatten(), nn.LazyLinear(3))).fit(*images)


def test_wrong_output_width(images):
    with pytest.raises(ValueError, match=r"shape \(2, 7\) for 2 rows; needed is \(2, 3\)"):
        make(tiny_net(num_classes=7)).fit(*images)


def test_a_network_for_other_images(images):
    X, y = images
    with pytest.raises(ValueError, match=r"could not process rows of shape \(1, 8, 8\)"):
        make(torchvision.models.resnet18).fit(X[:, 0], y)


def test_no_network_before_data():
    with pytest.raises(ValueError, match="Call fit, or pass a module"):
        OPeNClassifier().initialize()


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


class ReturnsMore(SmallCNN):
    form = None

    def forward(self, x):
        return self.form(super().forward(x))


FORMS = {
    "mapping": lambda out: {"hidden": out * 2, "logits": out},
    "data class": lambda out: Output(logits=out, hidden=out * 2),
    "named tuple": lambda out: namedtuple("Out", "logits hidden")(out, out * 2),
    "ordered": lambda out: OrderedDict(loss=out.sum(1), logits=out),
    "tuple": lambda out: (out, out * 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_networks_that_return_more_than_logits(images, form):
    X, y = images
    cls = type("ReturnsMore", (ReturnsMore,), {"form": staticmethod(FORMS[form])})
    settings = {"module__num_classes": 3, "module__in_channels": 3, "start_epoch": 0, "delta": 1}
    clf = make(cls, train_split=ValidSplit(3), **settings).fit(X, y)
    plain = make(SmallCNN, train_split=ValidSplit(3), **settings).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert clf.history[:, "valid_acc"] == plain.history[:, "valid_acc"]
    raw = torch.from_numpy(X).float()
    torch.testing.assert_close(clf.to_torch()(raw), plain.to_torch()(raw))


@pytest.mark.parametrize("shape", [(60, 8, 8), (60, 1, 8, 8)])
def test_a_network_for_colour_on_gray_images(images, shape):
    X = images[0][:, 0].reshape(shape)
    with pytest.raises(ValueError, match=r"repeat the gray channel: X = (numpy.repeat.*axis=1\))"):
        make("resnet18").fit(X, images[1])
    colour = np.repeat(X.reshape(-1, 1, 8, 8), 3, axis=1)
    make("resnet18", max_epochs=0).fit(colour, images[1])


@pytest.mark.parametrize(
    "form",
    [
        lambda out: {"logits": out, "loss": out.sum(), "name": "net", "scale": 2.0},
        lambda out: [out, out * 2],
    ],
    ids=["with a loss", "list"],
)
@pytest.mark.parametrize("norm", ["dar", "standard"])
def test_parts_of_outputs_that_are_not_of_rows(images, form, norm):
    cls = type("ReturnsMore", (ReturnsMore,), {"form": staticmethod(form)})
    settings = {"module__num_classes": 3, "module__in_channels": 3, "start_epoch": 0, "delta": 1}
    clf = make(cls, norm=norm, **settings).fit(*images)
    plain = make(SmallCNN, norm=norm, **settings).fit(*images)
    np.testing.assert_array_equal(clf.predict_proba(images[0]), plain.predict_proba(images[0]))
