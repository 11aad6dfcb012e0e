"""Standard batch norm on mixed batches is plain batch norm on them, in one call."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open.backbones import WideResNet
from sklearn_open.nn import StandardNorm, convert_norm, forward_mixed, noise_route, revert_norm
from sklearn_open.nn._routing import forward_natural_first


@pytest.fixture
def net():
    torch.manual_seed(0)
    return WideResNet(depth=10, widen_factor=1, num_classes=4).double()


def batch(n=11):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, 9, 9, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 4, (n,), generator=generator)


def test_a_mixed_batch_is_one_call_bit_by_bit(net):
    plain, (x, y) = copy.deepcopy(net), batch()
    convert_norm(net, "standard")
    got, expected = forward_natural_first(net, x, 4), plain(x)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    F.cross_entropy(got, y).backward()
    F.cross_entropy(expected, y).backward()
    for name, parameter in plain.named_parameters():
        assert torch.equal(net.get_parameter(name).grad, parameter.grad)
    torch.testing.assert_close(net.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_forward_mixed_puts_natural_rows_first_and_back(net):
    plain, (x, _) = copy.deepcopy(net), batch(5)
    mask = torch.tensor([True, False, True, False, False])
    order = torch.tensor([1, 3, 4, 0, 2])
    convert_norm(net, "standard")
    got = forward_mixed(net, x, mask)
    torch.testing.assert_close(got[order], plain(x[order]), rtol=0, atol=0)


def test_a_layer_has_the_statistics_of_all_rows():
    layer = nn.Sequential(nn.BatchNorm2d(3)).double()
    x, _ = batch(6)
    convert_norm(layer, "standard")
    got = forward_natural_first(layer, x, 2)
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(got, (x - mean) / torch.sqrt(variance + 1e-5))
    torch.testing.assert_close(layer[0].running_mean, 0.1 * mean.flatten())


def test_there_is_no_route(net):
    convert_norm(net, "standard")
    with pytest.raises(ValueError, match=r"StandardBatchNorm2d, which has no noise route"):
        noise_route(net).__enter__()


def test_two_norms_in_one_network_are_refused():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    convert_norm(net[0], "standard")
    convert_norm(net[1])
    with pytest.raises(ValueError, match="has no noise route"):
        forward_mixed(net, batch(4)[0].float(), torch.tensor([True, False] * 2))
    assert int(net[0].num_batches_tracked) == 0


def test_without_batch_norm_there_is_nothing_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = convert_norm(nn.Linear(2, 2), "standard")
    assert type(net) is nn.Linear


def test_layers_pickle_copy_and_revert(net):
    keys = list(net.state_dict())
    convert_norm(net, "standard")
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert any(isinstance(layer, StandardNorm) for layer in twin.modules())
        assert list(twin.state_dict()) == keys
    assert not any(isinstance(layer, StandardNorm) for layer in revert_norm(net).modules())
