"""The networks of a second stage."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sklearn_open.decoupling._stages import BackboneOutput, HeadOnBackbone, HeadOnFeatures


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 36, 2)
    )


def stage(shift_norm):
    whole = network()
    return HeadOnBackbone(whole, "4", whole[4], shift_norm=shift_norm)


@pytest.mark.parametrize("shift_norm", [False, True])
def test_modes(shift_norm):
    made = stage(shift_norm).train()
    assert made.training
    assert made.head.training
    assert made.network[1].training == shift_norm
    assert not made.network[2].training  # dropout
    made.eval()
    assert not any(layer.training for layer in made.modules())


@pytest.mark.parametrize("shift_norm", [False, True])
def test_only_the_head_learns_and_only_statistics_may_shift(shift_norm):
    made = stage(shift_norm).train()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        made(torch.rand(6, 3, 8, 8)).logsumexp(1).sum().backward()
        optimizer.step()
    changed = {n for n, t in made.state_dict().items() if not torch.equal(t, before[n])}
    statistics = {f"network.1.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")}
    assert changed == {"head.weight", "head.bias"} | (statistics if shift_norm else set())


def test_the_head_has_one_name():
    made = stage(False)
    names = [name for name, _ in made.named_parameters()]
    assert names[:2] == ["head.weight", "head.bias"]
    assert not [name for name in names if name.startswith("network.4")]
    assert len(made.state_dict()) == len(set(made.state_dict())) == 9
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        nn.init.zeros_(twin.head.weight)
        nn.init.zeros_(twin.head.bias)
        assert not twin.eval()(torch.rand(2, 3, 8, 8)).any()  # it calls its own head
    assert made.eval()(torch.rand(2, 3, 8, 8)).any()


def test_features_and_head_are_the_whole():
    whole = network().eval()
    x = torch.rand(5, 3, 8, 8)
    features = BackboneOutput(copy.deepcopy(whole), "4").eval()(x)
    assert features.shape == (5, 144)
    torch.testing.assert_close(HeadOnFeatures(whole[4])(features), whole(x), rtol=0, atol=0)
