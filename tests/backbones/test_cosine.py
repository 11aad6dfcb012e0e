import pytest
import torch
from torch import nn

from sklearn_open.backbones import CosineClassifier

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def classifier(scale="learnable"):
    torch.manual_seed(0)
    return CosineClassifier(5, 3, scale).double()


def cosines(layer):
    """One angle at a time."""
    rows = [[x @ w / (x @ x).sqrt() / (w @ w).sqrt() for w in layer.weight] for x in X]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize(("scale", "factor"), [("learnable", 10), ("ldam", 30), (7.5, 7.5)])
def test_logits_are_scaled_cosines(scale, factor):
    layer = classifier(scale)
    torch.testing.assert_close(layer(X), factor * cosines(layer))


def test_oltr_squashes_the_features_length():
    layer = classifier("oltr")
    length = (X**2).sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(layer(X), 16 * length / (1 + length) * cosines(layer))


def test_only_directions_count():
    layer = classifier()
    logits = layer(X)
    torch.testing.assert_close(layer(100 * X), logits)
    with torch.no_grad():
        layer.weight[1] *= 50
    torch.testing.assert_close(layer(X), logits)


def test_the_scale_is_trained_where_it_should_be():
    assert [name for name, _ in classifier().named_parameters()] == ["weight", "scale"]
    for scale in ("oltr", "ldam", 4):
        assert [name for name, _ in classifier(scale).named_parameters()] == ["weight"]
        assert "scale" in classifier(scale).state_dict()


@pytest.mark.parametrize("scale", ["learnable", "oltr", "ldam"])
def test_gradients(scale):
    layer = classifier(scale)
    weights = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (X.clone().requires_grad_(), *weights))


def test_weights_start_as_those_of_a_linear_layer():
    torch.manual_seed(0)
    ours, theirs = CosineClassifier(256, 500).weight, nn.Linear(256, 500).weight
    assert ours.abs().max() <= 1 / 16
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.02)


@pytest.mark.parametrize("scale", ["learnable", "oltr", "ldam"])
def test_zero_features_have_zero_logits_and_finite_gradients(scale):
    layer = classifier(scale)
    x = torch.zeros(2, 5, dtype=torch.float64, requires_grad=True)
    logits = layer(x)
    assert torch.equal(logits, torch.zeros(2, 3, dtype=torch.float64))
    logits.logsumexp(1).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("scale", ["learnable", "oltr", "ldam"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_zero_features_in_half_precision(scale, dtype):
    layer = classifier(scale).to(dtype)
    assert torch.equal(layer(torch.zeros(2, 5, dtype=dtype)), torch.zeros(2, 3, dtype=dtype))


@pytest.mark.parametrize("given", ["oltr", "ldam", 4])
def test_a_state_dict_brings_scale_and_squashing(given, tmp_path):
    layer, other = classifier(given), classifier("ldam" if given == "oltr" else "oltr")
    torch.save(layer.state_dict(), tmp_path / "weights.pth")
    other.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    assert other.squash is layer.squash
    torch.testing.assert_close(other(X), layer(X))


def test_what_is_printed():
    assert repr(classifier("oltr")) == "CosineClassifier(5, 3, scale=16, squash=True)"
    shown = "CosineClassifier(5, 3, scale=10 (trained), squash=False)"
    assert repr(classifier()) == shown
    assert repr(classifier().to("meta")) == shown.replace("10", "?")


@pytest.mark.parametrize("scale", ["gidaris", 0, -1.0, True, None, float("nan")])
def test_scale_is_checked(scale):
    with pytest.raises(ValueError, match=r"Pass one of 'learnable', 'oltr', 'ldam', or a number"):
        CosineClassifier(5, 3, scale)
