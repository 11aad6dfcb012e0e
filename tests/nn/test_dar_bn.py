"""DAR-BN against the formulas of section 3.2, in float64."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sklearn_open.nn import (
    DARBatchNorm1d,
    DARBatchNorm2d,
    DARBatchNorm3d,
    DARSyncBatchNorm,
    convert_norm,
    noise_route,
)

LAYERS = [
    (nn.BatchNorm1d, DARBatchNorm1d, (5,)),
    (nn.BatchNorm1d, DARBatchNorm1d, (5, 7)),
    (nn.BatchNorm2d, DARBatchNorm2d, (5, 4, 3)),
    (nn.BatchNorm3d, DARBatchNorm3d, (5, 2, 3, 2)),
    (nn.SyncBatchNorm, DARSyncBatchNorm, (5, 4, 3)),
]


def make_layer(cls, **kwargs):
    layer = cls(5, **kwargs).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5, dtype=torch.float64))
        layer.bias.copy_(torch.randn(5, dtype=torch.float64))
    return layer


def rows(n, shape, seed=0, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, *shape, generator=generator, dtype=torch.float64, **kwargs) + 1


def by_formula(x, weight, bias, eps):
    """Eq. 11 and 13, with + beta."""
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    mean = x.mean(axes)
    variance = ((x - mean.reshape(shape)) ** 2).mean(axes)
    normalized = (x - mean.reshape(shape)) / torch.sqrt(variance.reshape(shape) + eps)
    return weight.reshape(shape) * normalized + bias.reshape(shape)


@pytest.fixture(params=LAYERS, ids=lambda p: f"{p[0].__name__}-{len(p[2])}d")
def pair(request):
    """A batch norm layer, its converted copy, and the shape of a row."""
    base, dar, shape = request.param
    torch.manual_seed(0)
    plain = make_layer(base)
    converted = convert_norm(copy.deepcopy(plain))
    assert type(converted) is dar
    return plain, converted, shape


def test_natural_rows_are_plain_batch_norm(pair):
    plain, dar, shape = pair
    for seed in range(3):
        natural, noise = rows(6, shape, seed), rows(4, shape, seed + 10)
        expected = plain(natural)
        torch.testing.assert_close(dar(natural), expected, rtol=0, atol=0)
        with noise_route(dar):
            dar(noise)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dar.get_buffer(name), buffer, rtol=0, atol=0)
    assert int(dar.num_batches_tracked) == 3


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_noise_rows_follow_the_formula(pair, noise_grad):
    _, dar, shape = pair
    convert_norm(dar, noise_grad=noise_grad)
    noise = rows(4, shape)
    with noise_route(dar):
        out = dar(noise)
    torch.testing.assert_close(out, by_formula(noise, dar.weight, dar.bias, dar.eps))
    axes = [0, *range(2, noise.ndim)]
    torch.testing.assert_close(out.mean(axes), dar.bias)
    expected_std = dar.weight.abs()
    torch.testing.assert_close(out.std(axes, unbiased=False), expected_std, rtol=1e-5, atol=1e-5)


def test_eval_is_plain_batch_norm_on_both_routes(pair):
    plain, dar, shape = pair
    plain(rows(6, shape))
    dar(rows(6, shape))
    plain.eval()
    dar.eval()
    x = rows(4, shape, seed=5)
    torch.testing.assert_close(dar(x), plain(x), rtol=0, atol=0)
    with noise_route(dar):
        torch.testing.assert_close(dar(x), plain(x), rtol=0, atol=0)


def test_state_dict_keys_are_those_of_batch_norm(pair):
    plain, dar, _ = pair
    assert list(dar.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(dar.state_dict())
    dar.load_state_dict(plain.state_dict())


def test_gamma_and_beta_get_no_gradient_from_noise(pair):
    _, dar, shape = pair
    for noise_grad in ("head", "all"):
        convert_norm(dar, noise_grad=noise_grad)
        natural, noise = rows(6, shape), rows(4, shape, seed=1, requires_grad=True)
        with noise_route(dar):
            out = dar(noise)
        loss = (dar(natural) ** 3).sum() + (out**3).sum() * (1 if out.requires_grad else 0)
        together = torch.autograd.grad(loss, [dar.weight, dar.bias])
        alone = torch.autograd.grad((dar(natural) ** 3).sum(), [dar.weight, dar.bias])
        for got, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_head_stops_and_all_passes_gradients(pair):
    _, dar, shape = pair
    noise = rows(4, shape, requires_grad=True)
    with noise_route(dar):
        assert not dar(noise).requires_grad
    convert_norm(dar, noise_grad="all")
    with noise_route(dar):
        assert torch.autograd.gradcheck(dar, (noise,))
        out = dar(noise)
    weights = rows(4, shape, seed=3)
    (got,) = torch.autograd.grad((out * weights).sum(), noise)
    formula = by_formula(noise, dar.weight.detach(), dar.bias.detach(), dar.eps)
    (expected,) = torch.autograd.grad((formula * weights).sum(), noise)
    torch.testing.assert_close(got, expected)
    assert got.abs().max() > 0


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_one_value_per_channel_becomes_beta(noise_grad):
    torch.manual_seed(0)
    dar = convert_norm(make_layer(nn.BatchNorm2d), noise_grad=noise_grad)
    x = rows(1, (5, 1, 1), requires_grad=True)
    with noise_route(dar):
        out = dar(x)
    torch.testing.assert_close(out, dar.bias.detach().reshape(1, 5, 1, 1))
    if noise_grad == "all":
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "kwargs", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}]
)
def test_options_of_batch_norm_are_kept(kwargs):
    plain = nn.BatchNorm2d(5, **kwargs).double()
    dar = convert_norm(copy.deepcopy(plain))
    natural, noise = rows(6, (5, 4, 3)), rows(4, (5, 4, 3), seed=1)
    torch.testing.assert_close(dar(natural), plain(natural), rtol=0, atol=0)
    one, zero = torch.ones(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    with noise_route(dar):
        torch.testing.assert_close(dar(noise), by_formula(noise, one, zero, dar.eps))
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dar.get_buffer(name), buffer, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_low_precision_activations(dtype, noise_grad):
    # What autocast gives a norm layer: low-precision rows, float32 parameters.
    dar = convert_norm(nn.BatchNorm2d(5), noise_grad=noise_grad)
    x = rows(4, (5, 4, 3)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16), noise_route(dar):
        out = dar(x)
    assert out.dtype == dtype
    one, zero = torch.ones(5), torch.zeros(5)
    torch.testing.assert_close(
        out.float(), by_formula(x.float(), one, zero, dar.eps), rtol=0.02, atol=0.02
    )


def test_the_route_survives_neither_an_error_nor_nesting_wrongly():
    dar = convert_norm(nn.Sequential(nn.BatchNorm2d(5)))
    with pytest.raises(RuntimeError, match="stop"), noise_route(dar):
        raise RuntimeError("stop")
    assert not dar[0].on_noise_route
    with noise_route(dar):
        with noise_route(dar):
            pass
        assert dar[0].on_noise_route
    assert not dar[0].on_noise_route


class Doubled(nn.BatchNorm2d):
    def forward(self, x):
        return 2 * super().forward(x)


def test_layers_pickle_and_copy():
    local = type("Local", (nn.BatchNorm2d,), {})  # its class cannot be found by name
    for base in (nn.BatchNorm2d, Doubled):
        dar = convert_norm(base(5), noise_grad="all")
        for twin in (pickle.loads(pickle.dumps(dar)), copy.deepcopy(dar)):
            assert type(twin) is type(dar)
            assert twin.noise_grad == "all"
            x = torch.randn(4, 5, 3, 3)
            with noise_route(dar), noise_route(twin):
                torch.testing.assert_close(twin(x), dar(x), rtol=0, atol=0)
    assert type(copy.deepcopy(convert_norm(local(5)))).__name__ == "DARLocal"


def test_layers_can_be_constructed():
    layer = DARBatchNorm2d(5, eps=1e-3)
    assert isinstance(layer, nn.BatchNorm2d)
    assert repr(layer).startswith("DARBatchNorm2d(5, eps=0.001")
    with noise_route(layer):
        assert not layer(torch.randn(2, 5, 3, 3)).requires_grad


class Frozen(nn.Sequential):
    """Batch norm is held in eval mode, as in fine-tuning."""

    def train(self, mode=True):
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        return self


@pytest.mark.parametrize("noise_grad", ["head", "all"])
@pytest.mark.parametrize("own_forward", [False, True])
def test_noise_trains_the_same_parts_where_batch_norm_is_held_in_eval_mode(noise_grad, own_forward):
    class Scaled(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) * 2

    torch.manual_seed(0)
    norm = Scaled(4) if own_forward else nn.BatchNorm2d(4)
    norm.running_mean.normal_()
    net = Frozen(nn.Conv2d(3, 4, 3), norm, nn.Flatten(), nn.Linear(144, 2)).train()
    plain = copy.deepcopy(net)
    convert_norm(net, noise_grad=noise_grad)
    x = torch.randn(5, 3, 8, 8)
    with noise_route(net):
        out = net(x)
    torch.testing.assert_close(out, plain(x), rtol=0, atol=0)
    before = norm.running_mean.clone()
    out.sum().backward()
    assert torch.equal(norm.running_mean, before)
    assert norm.weight.grad is None
    assert norm.bias.grad is None
    assert (net[0].weight.grad is not None) == (noise_grad == "all")
    assert net[3].weight.grad is not None
