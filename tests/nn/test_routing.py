"""Two routes equal the paper's masked listing, forward and backward, in float64."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sklearn_open.backbones import WideResNet
from sklearn_open.nn import convert_norm, forward_mixed, noise_route


class MaskedBatchNorm(nn.BatchNorm2d):
    """The paper's Listing 1, from its formulas: the mask is an attribute set before the call."""

    mask = None

    def forward(self, x):
        natural = super().forward(x[~self.mask])
        with torch.no_grad():
            noise = x[self.mask]
            mean = noise.mean([0, 2, 3])[None, :, None, None]
            variance = noise.var([0, 2, 3], unbiased=False)[None, :, None, None]
            noise = (noise - mean) / torch.sqrt(variance + self.eps)
            noise = noise * self.weight[None, :, None, None] + self.bias[None, :, None, None]
        out = torch.empty_like(x)
        out[~self.mask] = natural
        out[self.mask] = noise
        return out


def mask_batch_norm(net, mask):
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = MaskedBatchNorm
            layer.mask = mask
    return net


def post_activation():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def pre_activation():
    return WideResNet(depth=10, widen_factor=1, num_classes=4)


@pytest.fixture(params=[post_activation, pre_activation])
def net(request):
    torch.manual_seed(0)
    return request.param().double()


def batch(n, mask_seed=0, n_noise=None):
    generator = torch.Generator().manual_seed(mask_seed)
    x = torch.randn(n, 3, 9, 9, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 4, (n,), generator=generator)
    mask = torch.zeros(n, dtype=torch.bool)
    mask[torch.randperm(n, generator=generator)[: n // 3 if n_noise is None else n_noise]] = True
    return x, y, mask


@pytest.mark.parametrize("seed", range(3))
def test_forward_mixed_equals_the_listing(net, seed):
    x, y, mask = batch(11, seed)
    listing = mask_batch_norm(copy.deepcopy(net), mask)
    dar = convert_norm(net)
    expected, got = listing(x), forward_mixed(dar, x, mask)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)

    F.cross_entropy(expected, y).backward()
    F.cross_entropy(got, y).backward()
    reference = dict(listing.named_parameters())
    for name, parameter in dar.named_parameters():
        torch.testing.assert_close(parameter.grad, reference[name].grad, rtol=1e-10, atol=1e-12)
    for name, buffer in dar.named_buffers():
        torch.testing.assert_close(buffer, listing.get_buffer(name), rtol=1e-12, atol=1e-12)


def test_forward_mixed_equals_two_calls(net):
    dar = convert_norm(net)
    x, _, mask = batch(10)
    twin = copy.deepcopy(dar)
    got = forward_mixed(dar, x, mask)
    natural = twin(x[~mask])
    with noise_route(twin):
        noise = twin(x[mask])
    torch.testing.assert_close(got[~mask], natural, rtol=0, atol=0)
    torch.testing.assert_close(got[mask], noise, rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(mask=st.lists(st.booleans(), min_size=2, max_size=9))
def test_any_mask(mask):
    torch.manual_seed(0)
    dar = convert_norm(post_activation().double())
    mask = torch.tensor(mask)
    x = batch(len(mask))[0]
    out = forward_mixed(dar, x, mask)
    assert out.shape == (len(mask), 4)
    assert torch.isfinite(out).all()
    tracked = int(dar[1].num_batches_tracked)
    assert tracked == (0 if mask.all() else 1)


def test_no_noise_is_bit_equal_to_batch_norm(net):
    plain = copy.deepcopy(net)
    x, _, _ = batch(8)
    dar = convert_norm(net)
    out = forward_mixed(dar, x, torch.zeros(8, dtype=torch.bool))
    torch.testing.assert_close(out, plain(x), rtol=0, atol=0)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dar.get_buffer(name), buffer, rtol=0, atol=0)


def noise_gradients(net, noise_grad):
    dar = convert_norm(net, noise_grad=noise_grad)
    x, y, _ = batch(6)
    with noise_route(dar):
        F.cross_entropy(dar(x), y).backward()
    return {name: parameter.grad for name, parameter in dar.named_parameters()}


def last_norm_and_before(net):
    """Names of the parameters up to and with the last norm layer (the linear head excluded)."""
    names = [name for name, _ in net.named_parameters()]
    head = {name for name in names if net.get_parameter(name).shape[0] == 4}
    return [name for name in names if name not in head], sorted(head)


def test_under_head_noise_trains_only_what_lies_behind_the_last_norm(net):
    before, head = last_norm_and_before(net)
    gradients = noise_gradients(net, "head")
    for name in before:
        assert gradients[name] is None or not gradients[name].any(), name
    for name in head:
        assert gradients[name].abs().max() > 0, name


def test_under_all_noise_trains_everything_but_gamma_and_beta(net):
    gradients = noise_gradients(net, "all")
    norms = {
        f"{path}.{name}"
        for path, layer in net.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for name in ("weight", "bias")
    }
    for name, gradient in gradients.items():
        if name in norms:
            assert gradient is None or not gradient.any(), name
        elif name.endswith("weight"):
            assert gradient.abs().max() > 0, name


def test_under_all_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    # A smooth activation: finite differences straddle the kinks of ReLU.
    dar = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Flatten(), nn.Linear(36, 4)
    ).double()
    convert_norm(dar, noise_grad="all")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 5, 5, generator=generator, dtype=torch.float64)

    def loss(weight):
        with noise_route(dar):
            out = torch.func.functional_call(dar, {"0.weight": weight}, (x,))
        return (out**2).sum()

    assert torch.autograd.gradcheck(loss, (dar[0].weight.detach().requires_grad_(),))


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_autocast(noise_grad):
    torch.manual_seed(0)
    dar = convert_norm(post_activation(), noise_grad=noise_grad)
    x, y, mask = batch(12)
    with torch.autocast("cpu", torch.bfloat16):
        out = forward_mixed(dar, x.float(), mask)
    full = forward_mixed(copy.deepcopy(dar), x.float(), mask)
    torch.testing.assert_close(out.float(), full, rtol=0.1, atol=0.1)
    F.cross_entropy(out.float(), y).backward()
    assert all(torch.isfinite(p.grad).all() for p in dar.parameters() if p.grad is not None)


class ManyOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        z = self.norm(x)
        return {"a": z, "b": (z + 1, [x])}


def test_nested_outputs_keep_the_order_of_rows():
    dar = convert_norm(ManyOutputs())
    x = torch.randn(6, 3)
    mask = torch.tensor([True, False, False, True, False, False])
    out = forward_mixed(dar, x, mask)
    torch.testing.assert_close(out["b"][1][0], x)
    torch.testing.assert_close(out["b"][0], out["a"] + 1)


def test_outputs_that_cannot_be_merged_are_an_error():
    class Odd(ManyOutputs):
        def forward(self, x):
            return "logits"

    with pytest.raises(TypeError, match="returned a str"):
        forward_mixed(convert_norm(Odd()), torch.randn(4, 3), torch.tensor([True, False] * 2))


def test_masks_of_other_kinds():
    dar = convert_norm(nn.Sequential(nn.BatchNorm1d(3)))
    x, mask = torch.randn(4, 3), [True, False, True, False]
    expected = forward_mixed(dar, x, torch.tensor(mask))
    for other in (mask, np.array(mask)):
        torch.testing.assert_close(forward_mixed(dar, x, other), expected)


def test_forgetting_to_convert_is_an_error():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x = torch.rand(4, 3, 5, 5)
    with pytest.raises(
        ValueError, match=r"'1' is a BatchNorm2d.*Call convert_norm\(module\) first"
    ):
        forward_mixed(net, x, torch.tensor([True, False] * 2))
    assert int(net[1].num_batches_tracked) == 0
    with noise_route(nn.Linear(2, 2)):  # without batch norm there is nothing to forget
        pass


@pytest.mark.parametrize(
    "mask", [torch.zeros(3, dtype=torch.bool), torch.zeros(4), torch.zeros(4, 1, dtype=torch.bool)]
)
def test_a_wrong_mask_is_refused(mask):
    dar = convert_norm(nn.Sequential(nn.BatchNorm1d(3)))
    with pytest.raises(ValueError, match=r"one torch\.bool per row"):
        forward_mixed(dar, torch.randn(4, 3), mask)
