"""Auxiliary batch norm: two complete layers, told apart by the kind of rows, in float64."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from sklearn_open.backbones import WideResNet
from sklearn_open.exceptions import UnsupportedNormError
from sklearn_open.nn import AuxNorm, convert_norm, forward_mixed, noise_route, revert_norm

LAYERS = [
    (nn.BatchNorm1d, (5,)),
    (nn.BatchNorm1d, (5, 7)),
    (nn.BatchNorm2d, (5, 4, 3)),
    (nn.BatchNorm3d, (5, 2, 3, 2)),
    (nn.SyncBatchNorm, (5, 4, 3)),
]


def rows(n, shape, seed=0, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, *shape, generator=generator, dtype=torch.float64, **kwargs) + 1


def randomize(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64))
    return layer


def by_formula(x, weight, bias, eps):
    axes = [0, *range(2, x.ndim)]
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    shape = [1, -1, *[1] * (x.ndim - 2)]
    normalized = (x - mean) / torch.sqrt(variance + eps)
    return weight.reshape(shape) * normalized + bias.reshape(shape)


@pytest.fixture(params=LAYERS, ids=lambda p: f"{p[0].__name__}-{len(p[1])}d")
def pair(request):
    """A batch norm layer, its converted copy, and the shape of a row."""
    base, shape = request.param
    torch.manual_seed(0)
    plain = randomize(base(5).double())
    aux = convert_norm(copy.deepcopy(plain), "aux")
    assert type(aux).__name__ == f"Aux{base.__name__}"
    assert type(aux.auxiliary) is base
    randomize(aux.auxiliary)
    return plain, aux, shape


def bits(layer):
    state = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    return {k: v.detach().clone() for k, v in state.items() if not k.startswith("auxiliary.")}


def test_natural_rows_are_plain_batch_norm(pair):
    plain, aux, shape = pair
    for seed in range(3):
        natural, noise = rows(6, shape, seed), rows(4, shape, seed + 10)
        torch.testing.assert_close(aux(natural), plain(natural), rtol=0, atol=0)
        with noise_route(aux):
            aux(noise)
    torch.testing.assert_close(bits(aux), bits(plain), rtol=0, atol=0)


def test_noise_rows_follow_the_formula_with_parameters_of_their_own(pair):
    _, aux, shape = pair
    before, noise = bits(aux), rows(4, shape, requires_grad=True)
    with noise_route(aux):
        out = aux(noise)
    second = aux.auxiliary
    expected = by_formula(noise, second.weight, second.bias, second.eps)
    torch.testing.assert_close(out, expected)
    # Eq. 14 and 15, for the second layer: momentum 0.1 from 0 and 1, variance unbiased.
    axes = [0, *range(2, noise.ndim)]
    count = noise.numel() // 5
    torch.testing.assert_close(second.running_mean, 0.1 * noise.detach().mean(axes))
    variance = noise.detach().var(axes, unbiased=False) * count / (count - 1)
    torch.testing.assert_close(second.running_var, 0.9 + 0.1 * variance)

    weights = rows(4, shape, seed=3)
    inputs = [noise, second.weight, second.bias]
    got = torch.autograd.grad((out * weights).sum(), inputs)
    reference = torch.autograd.grad((expected * weights).sum(), inputs)
    for gradient, formula in zip(got, reference, strict=True):
        torch.testing.assert_close(gradient, formula)
        assert gradient.abs().max() > 0
    torch.testing.assert_close(bits(aux), before, rtol=0, atol=0)
    assert aux.weight.grad is None


def test_eval_is_plain_batch_norm_on_both_routes(pair):
    plain, aux, shape = pair
    plain.eval()
    assert not aux.eval().auxiliary.training
    x = rows(4, shape, seed=5)
    torch.testing.assert_close(aux(x), plain(x), rtol=0, atol=0)
    with noise_route(aux):
        torch.testing.assert_close(aux(x), plain(x), rtol=0, atol=0)


def test_state_dict_has_the_natural_keys_and_auxiliary_ones(pair):
    plain, aux, _ = pair
    natural = list(plain.state_dict())
    assert list(aux.state_dict()) == [*natural, *(f"auxiliary.{key}" for key in natural)]
    revert_norm(aux)
    assert list(aux.state_dict()) == natural
    assert type(aux) is type(plain)
    assert not any("noise" in name for name in vars(aux))
    torch.testing.assert_close(bits(aux), bits(plain), rtol=0, atol=0)


def test_a_second_layer_is_new_whatever_the_first_has_learnt(pair):
    plain, _, shape = pair
    plain(rows(6, shape))
    plain.register_forward_hook(lambda *_: pytest.fail("a hook of the first layer is called"))
    plain.requires_grad_(False).eval()
    second = convert_norm(plain, "aux").auxiliary
    new = type(second)(5).double()
    torch.testing.assert_close(second.state_dict(), new.state_dict(), rtol=0, atol=0)
    assert not second.training
    assert not second.weight.requires_grad
    second(rows(4, shape))


def test_one_value_per_channel_becomes_beta():
    aux = convert_norm(nn.BatchNorm2d(5).double(), "aux")
    randomize(aux.auxiliary)
    with noise_route(aux):
        out = aux(rows(1, (5, 1, 1)))
    torch.testing.assert_close(out, aux.auxiliary.bias.reshape(1, 5, 1, 1))


@pytest.mark.parametrize(
    "kwargs", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}]
)
def test_options_of_batch_norm_hold_for_both(kwargs):
    plain = nn.BatchNorm2d(5, **kwargs).double()
    aux = convert_norm(copy.deepcopy(plain), "aux")
    natural, noise = rows(6, (5, 4, 3)), rows(4, (5, 4, 3), seed=1)
    torch.testing.assert_close(aux(natural), plain(natural), rtol=0, atol=0)
    twin = nn.BatchNorm2d(5, **kwargs).double()
    with noise_route(aux):
        torch.testing.assert_close(aux(noise), twin(noise), rtol=0, atol=0)
    torch.testing.assert_close(
        aux.auxiliary.state_dict(), twin.state_dict(), rtol=0, atol=0, equal_nan=True
    )


class TwoNorms(nn.BatchNorm2d):
    """AdvProp by hand: the mask is an attribute that is set before the call."""

    mask = None

    def forward(self, x):
        out = torch.empty_like(x)
        out[~self.mask] = super().forward(x[~self.mask])
        out[self.mask] = self.second(x[self.mask])
        return out


def test_a_network_equals_masked_layers_forward_and_backward():
    torch.manual_seed(0)
    net = WideResNet(depth=10, widen_factor=1, num_classes=4).double()
    x, y = torch.randn(11, 3, 9, 9, dtype=torch.float64), torch.arange(11) % 4
    mask = torch.zeros(11, dtype=torch.bool)
    mask[[1, 4, 10]] = True
    reference = copy.deepcopy(net)
    for layer in [layer for layer in reference.modules() if isinstance(layer, nn.BatchNorm2d)]:
        layer.second = nn.BatchNorm2d(layer.num_features).double()
        layer.__class__ = TwoNorms
        layer.mask = mask
    convert_norm(net, "aux")
    expected, got = reference(x), forward_mixed(net, x, mask)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    F.cross_entropy(expected, y).backward()
    F.cross_entropy(got, y).backward()
    for name, parameter in net.named_parameters():
        twin = reference.get_parameter(name.replace("auxiliary", "second"))
        assert twin.grad.abs().max() > 0
        torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-10, atol=1e-12)
    for name, buffer in net.named_buffers():
        twin = reference.get_buffer(name.replace("auxiliary", "second"))
        torch.testing.assert_close(buffer, twin, rtol=1e-12, atol=1e-12)


class Doubled(nn.BatchNorm2d):
    def forward(self, x):
        return 2 * super().forward(x)


def test_layers_pickle_and_copy():
    aux = convert_norm(Doubled(5), "aux")
    x = torch.randn(4, 5, 3, 3)
    with noise_route(aux):
        aux(x)
    for again in (lambda layer: pickle.loads(pickle.dumps(layer)), copy.deepcopy):
        twin = again(aux)
        assert type(twin) is type(aux)
        torch.testing.assert_close(twin.state_dict(), aux.state_dict(), rtol=0, atol=0)
        with noise_route(aux), noise_route(twin):
            torch.testing.assert_close(twin(x), aux(x), rtol=0, atol=0)
    torch.testing.assert_close(aux.auxiliary(x), 2 * nn.BatchNorm2d(5)(x))


def test_shared_layers_get_one_second_layer_and_converting_again_keeps_it():
    shared = nn.BatchNorm2d(3)
    net = convert_norm(nn.Sequential(shared, nn.Sequential(shared)), "aux")
    second = shared.auxiliary
    assert convert_norm(net, "aux")[0].auxiliary is second
    assert sum(isinstance(layer, AuxNorm) for layer in net.modules()) == 1
    assert len(list(net.parameters())) == 4


def test_norms_follow_one_another():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    for norm, name, n_parameters in [
        ("aux", "AuxBatchNorm2d", 6),
        ("dar", "DARBatchNorm2d", 4),
        ("standard", "StandardBatchNorm2d", 4),
        ("aux", "AuxBatchNorm2d", 6),
    ]:
        convert_norm(net, norm, noise_grad="all")
        assert type(net[0]).__name__ == name
        assert len(list(net.parameters())) == n_parameters
        assert ("noise_grad" in vars(net[0])) == (norm == "dar")
    assert type(revert_norm(net)[0]) is nn.BatchNorm2d
    assert len(list(net.parameters())) == 4


def test_a_norm_with_an_activation_keeps_it_in_both():
    timm = pytest.importorskip("timm")
    layer = timm.layers.BatchNormAct2d(4, act_layer=nn.SiLU)
    keys = list(layer.state_dict())
    convert_norm(layer, "aux")
    x = torch.randn(5, 4, 3, 3)
    with noise_route(layer):
        out = layer(x)
    torch.testing.assert_close(out, F.silu(nn.BatchNorm2d(4)(x)))
    assert list(revert_norm(layer).state_dict()) == keys


def test_pruned_layers_are_refused():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    prune.l1_unstructured(net[1], "weight", amount=1)
    with pytest.raises(UnsupportedNormError, match=r"'1' is a BatchNorm2d whose weight.*pruned"):
        convert_norm(net, "aux")
    assert type(net[0]) is nn.BatchNorm2d
    prune.remove(net[1], "weight")
    convert_norm(net, "aux")
