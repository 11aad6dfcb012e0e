"""What every norm keeps, found by `NORMS`: a new one is tested once it is listed there."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.nn import convert_norm, forward_mixed, revert_norm
from sklearn_open.nn._convert import NORMS
from sklearn_open.nn._dar_bn import DARNorm


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )


def bits(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def check_natural_rows_see_the_layer_as_it_was(norm):
    x = torch.rand(6, 3, 8, 8)
    plain, converted = make_net(), convert_norm(make_net(), norm)
    assert_same(converted(x), plain(x))
    assert_same({n: converted.state_dict()[n] for n in plain.state_dict()}, bits(plain))
    assert_same(converted.eval()(x), plain.eval()(x))


def check_the_way_back(norm):
    net = make_net()
    before, layer = bits(net), net[1]
    revert_norm(convert_norm(net, norm))
    assert type(net[1]) is nn.BatchNorm2d
    assert net[1] is layer
    assert_same(bits(net), before)
    assert set(vars(layer)) == set(vars(make_net()[1]))


def check_copies(norm):
    x, mask = torch.rand(6, 3, 8, 8), torch.arange(6) >= 4
    net = convert_norm(make_net(), norm)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(again[1]) is type(net[1])
        assert_same(forward_mixed(again, x, mask), forward_mixed(copy.deepcopy(net), x, mask))


def check_it_trains(norm, images):
    settings = {"max_epochs": 2, "start_epoch": 0, "delta": 1, "batch_size": 16, "random_state": 0}
    fits = [OPeNClassifier(norm=norm, **settings, verbose=0).fit(*images) for _ in range(2)]
    assert fits[0].epoch_plan(0).is_noise.any()
    assert_same(*(bits(clf.module_) for clf in fits))
    again = pickle.loads(pickle.dumps(fits[0]))
    assert (again.predict_proba(images[0]) == fits[0].predict_proba(images[0])).all()


CHECKS = [
    check_natural_rows_see_the_layer_as_it_was,
    check_the_way_back,
    check_copies,
]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(norm, check):
    check(norm)


@pytest.mark.parametrize("norm", NORMS)
def test_it_trains(norm, images):
    check_it_trains(norm, images)


class HalvedNorm(DARNorm):
    """A throw-away norm: noise rows leave it at half their size."""

    prefix = "Halved"

    def _normalize_noise(self, x):
        return super()._normalize_noise(x) / 2


def test_a_new_one_needs_a_class_and_a_line(monkeypatch, images):
    monkeypatch.setitem(NORMS, "halved", HalvedNorm)
    for check in CHECKS:
        check("halved")
    check_it_trains("halved", images)
