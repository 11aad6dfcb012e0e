import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import CosineClassifier, ResNet9


def convolved(layer, x):
    conv, norm = layer[0], layer[1]
    return F.relu(norm(F.conv2d(x, conv.weight, padding=1)))


def test_logits_are_those_of_the_layers_one_after_the_other():
    network = ResNet9(num_classes=4, width=4).double().eval()
    x = torch.rand(3, 3, 16, 16, dtype=torch.float64)
    h = F.max_pool2d(convolved(network.layer1, convolved(network.stem, x)), 2)
    h = h + convolved(network.residual1[1], convolved(network.residual1[0], h))
    h = F.max_pool2d(convolved(network.layer2, h), 2)
    h = F.max_pool2d(convolved(network.layer3, h), 2)
    h = h + convolved(network.residual3[1], convolved(network.residual3[0], h))
    expected = h.flatten(2).max(2).values / 8 @ network.fc.weight.T + network.fc.bias
    assert torch.allclose(network(x), expected, rtol=1e-12)


def test_number_of_parameters():
    network = ResNet9(width=64)
    convs = 9 * (3 * 64 + 64 * 128 + 2 * 128**2 + 128 * 256 + 256 * 512 + 2 * 512**2)
    norms = 2 * (64 + 3 * 128 + 256 + 3 * 512)
    assert sum(p.numel() for p in network.parameters()) == convs + norms + 513 * 10


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (7, 5), (28, 28), (96, 64)])
def test_any_image_size_passes(size):
    network = ResNet9(num_classes=4, in_channels=2, width=4).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, *size)).shape == (1, 4)


def test_a_cosine_head_sees_directions_alone():
    network = ResNet9(num_classes=4, width=4, head="cosine")
    assert isinstance(network.fc, CosineClassifier)
    assert network.fc.scale == 30


def test_learns_digits_by_name():
    digits = load_digits()
    X, y = digits.images.repeat(2, 1).repeat(2, 2)[:, None].astype("float32"), digits.target
    clf = OPeNClassifier(
        "ResNet9",
        module__width=8,
        max_epochs=4,
        lr_decay="cosine",
        batch_size=32,
        resampler=None,
        random_state=0,
        verbose=0,
    )
    assert clf.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
