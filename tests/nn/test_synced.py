"""Batch norm on the rows of several ranks is batch norm on all rows, in all that torch's does."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open._distributed.ranks import ALONE
from sklearn_open.nn import convert_norm, noise_route
from sklearn_open.nn._synced import is_synced, synced_statistics

CLOSE = {"rtol": 0, "atol": 1e-12}


def rows(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (3 + 2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def step(layer, x, weights):
    """One call and one backward pass; returns all that comes of them."""
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * weights).sum().backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in layer.parameters()]
    return out.detach(), x.grad, grads, dict(layer.state_dict())


def on_parts(on_ranks, layer, x, weights, parts):
    """Do a step on ranks, and return what a step on all rows should give."""

    def own_step(ranks):
        own = copy.deepcopy(layer)
        with synced_statistics(ranks):
            return step(own, x[parts[ranks.rank]], weights[parts[ranks.rank]])

    found = on_ranks(len(parts), own_step)
    states = [state for *_, state in found]
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in state)
    outs, of_x, of_parameters, _ = zip(*found, strict=True)
    grads = [sum(of_ranks) for of_ranks in zip(*of_parameters, strict=True)]
    return torch.cat(outs), torch.cat(of_x), grads, states[0]


LAYERS = {
    "plain": (nn.BatchNorm2d, {}),
    "not affine": (nn.BatchNorm2d, {"affine": False}),
    "no running statistics": (nn.BatchNorm2d, {"track_running_stats": False}),
    "momentum None": (nn.BatchNorm2d, {"momentum": None}),
    "own eps and momentum": (nn.BatchNorm2d, {"eps": 0.3, "momentum": 0.7}),
    "1d": (nn.BatchNorm1d, {}),
    "1d of sequences": (nn.BatchNorm1d, {}),
    "3d": (nn.BatchNorm3d, {}),
}
SHAPES = {"1d": (), "1d of sequences": (5,), "3d": (2, 3, 2)}
PARTS = {
    "one": [slice(0, 7)],
    "two": [slice(0, 4), slice(4, 7)],
    "three": [slice(0, 1), slice(1, 2), slice(2, 7)],
    "without rows": [slice(0, 0), slice(0, 7), slice(7, 7)],
}


def made(name, dtype=torch.float64):
    torch.manual_seed(0)
    kind, params = LAYERS[name]
    layer = kind(4, **params).to(dtype)
    if layer.affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_gradients_and_statistics_are_those_of_all_rows(on_ranks, name, parts):
    layer, shape = made(name), (7, 4, *SHAPES.get(name, (3, 2)))
    x, weights = rows(*shape), rows(*shape, seed=1)
    found = on_parts(on_ranks, layer, x, weights, PARTS[parts])
    torch.testing.assert_close(found, step(layer, x, weights), **CLOSE)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_over_several_steps(on_ranks, momentum):
    layer = nn.BatchNorm1d(4, momentum=momentum).double()

    def train(ranks, layer):
        for seed in range(3):
            with synced_statistics(ranks):
                layer(rows(6, 4, seed=seed)[ranks.rank :: ranks.share.n_ranks])
        return layer.state_dict()

    found = on_ranks(2, lambda ranks: train(ranks, copy.deepcopy(layer)))
    for seed in range(3):
        layer(rows(6, 4, seed=seed))
    for state in found:
        torch.testing.assert_close(state, layer.state_dict(), **CLOSE)


@pytest.mark.parametrize("affine", [True, False])
def test_gradcheck(affine):
    x = rows(5, 2, 2).requires_grad_()
    weight, bias = (rows(2, seed=i).requires_grad_() for i in (1, 2)) if affine else (None, None)

    def synced(*tensors):
        with synced_statistics(ALONE):
            return F.batch_norm(tensors[0], None, None, *tensors[1:], training=True)

    given = (x, weight, bias) if affine else (x,)
    assert torch.autograd.gradcheck(synced, given)


def test_gradients_that_are_not_wanted(on_ranks):
    """A frozen layer in a network that is trained, and a first layer, whose input needs none."""
    layer = made("plain")
    layer.weight.requires_grad_(False)
    x = rows(6, 4, 2, 2)

    def own_step(ranks):
        own, part = copy.deepcopy(layer), x[ranks.rank :: 2]
        with synced_statistics(ranks):
            (own(part) ** 2).sum().backward()
        return own.weight.grad, own.bias.grad

    found = on_ranks(2, own_step)
    (layer(x) ** 2).sum().backward()
    assert [of_weight for of_weight, _ in found] == [None, None]
    torch.testing.assert_close(sum(of_bias for _, of_bias in found), layer.bias.grad, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_narrow_inputs_have_statistics_in_float32(on_ranks, dtype):
    """As under autocast: the layer is in float32, its input is not."""
    layer, x = made("plain", torch.float32), rows(8, 4, 3, 3, dtype=dtype)
    weights = rows(8, 4, 3, 3, dtype=dtype, seed=1)
    out, of_x, grads, state = on_parts(
        on_ranks, layer, x, weights, PARTS["two"][:1] + [slice(4, 8)]
    )
    exact = step(layer.double(), x.double(), weights.double())
    assert out.dtype == of_x.dtype == dtype
    assert {t.dtype for t in grads} == {torch.float32}
    tolerance = {torch.bfloat16: 3e-2, torch.float16: 4e-3, torch.float32: 1e-5}[dtype]
    for got, expected in zip((out, of_x, state), (exact[0], exact[1], exact[3]), strict=True):
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance, check_dtype=False)
    for got, expected in zip(grads, exact[2], strict=True):
        torch.testing.assert_close(got, expected, rtol=0.1, atol=0.5, check_dtype=False)
    assert state["running_mean"].dtype == torch.float32


def test_a_large_offset_does_not_cancel(on_ranks):
    layer, x = nn.BatchNorm1d(3), 1e4 + rows(64, 3, dtype=torch.float32)
    parts = [slice(0, 20), slice(20, 64)]
    found, *_ = on_parts(on_ranks, layer, x, torch.ones_like(x), parts)
    exact = F.batch_norm(x.double(), None, None, training=True)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-3)


def test_no_rows_on_any_rank(on_ranks):
    layer, x = made("plain"), rows(0, 4, 2, 2)
    out, of_x, grads, state = on_parts(on_ranks, layer, x, x, [slice(0, 0)] * 2)
    assert out.shape == of_x.shape == x.shape
    assert all(not grad.any() for grad in grads)
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_one_row_in_all_has_no_spread(on_ranks):
    layer, parts = nn.BatchNorm1d(4).double(), [slice(0, 1), slice(1, 1)]
    out, *_, state = on_parts(on_ranks, layer, rows(1, 4), rows(1, 4), parts)
    torch.testing.assert_close(out, torch.zeros_like(out), **CLOSE)
    torch.testing.assert_close(state["running_var"], 0.9 * torch.ones(4).double(), **CLOSE)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_what_comes_in_is_kept(memory_format):
    x = rows(4, 3, 2, 2).contiguous(memory_format=memory_format)
    with synced_statistics(ALONE):
        out = nn.BatchNorm2d(3).double()(x)
    assert out.is_contiguous(memory_format=memory_format)


def test_layers_that_do_not_train_are_left_alone():
    layer, x = made("plain"), rows(4, 4, 2, 2)
    layer(x)
    layer.eval()
    expected, before = layer(x), copy.deepcopy(layer.state_dict())

    class Nobody:
        def __getattr__(self, name):
            raise AssertionError("nothing is to be sent")

    with synced_statistics(Nobody()):
        assert torch.equal(layer(x), expected)
        nn.GroupNorm(2, 4).double()(x)
        F.relu(x)
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


def test_it_ends_with_its_context_also_by_an_error():
    assert not is_synced()
    with synced_statistics(ALONE):
        assert is_synced()
        with synced_statistics(ALONE):
            assert is_synced()
        assert is_synced()
    assert not is_synced()
    with pytest.raises(OSError, match="fire"), synced_statistics(ALONE):
        raise OSError("fire")
    assert not is_synced()
    x = rows(4, 4, 2, 2)
    assert type(made("plain")(x.requires_grad_()).grad_fn).__name__ != "_NormalizeBackward"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("dar", {"noise_grad": "head"}),
        ("dar", {"noise_grad": "all"}),
        ("aux", {}),
        ("standard", {}),
    ],
)
def test_layers_that_route_noise(on_ranks, kind, params):
    """Also where one rank has the only noise row, and another has none."""
    net = convert_norm(nn.Sequential(made("plain")), kind, **params).train()
    x, noise = rows(6, 4, 3, 3), rows(1, 4, 3, 3, seed=5)

    def calls(net, part, noise_part):
        out = net(part)
        if kind == "standard":
            return out, noise_part
        with noise_route(net):
            return out, net(noise_part)

    def own_calls(ranks):
        own, rank = copy.deepcopy(net), ranks.rank
        with synced_statistics(ranks), torch.no_grad():
            found = calls(own, x[rank::2], noise[:rank])
        return *found, own.state_dict()

    (first, of_no_row, _), (second, of_noise, state) = on_ranks(2, own_calls)
    with torch.no_grad():
        expected, of_noise_expected = calls(net, x, noise)
    torch.testing.assert_close(first, expected[::2], **CLOSE)
    torch.testing.assert_close(second, expected[1::2], **CLOSE)
    assert len(of_no_row) == 0
    torch.testing.assert_close(of_noise, of_noise_expected, **CLOSE)
    torch.testing.assert_close(state, net.state_dict(), **CLOSE)


def test_layers_with_a_forward_of_their_own(on_ranks):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm_layers = pytest.importorskip("timm.layers")
    layer = timm_layers.BatchNormAct2d(4).double()
    x, weights = rows(7, 4, 3, 2) - 3, rows(7, 4, 3, 2, seed=1)
    found = on_parts(on_ranks, layer, x, weights, PARTS["two"])
    torch.testing.assert_close(found, step(layer, x, weights), **CLOSE)
