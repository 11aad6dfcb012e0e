import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import CosineClassifier, FastCNN


def test_logits_are_those_of_the_layers_one_after_the_other():
    network = FastCNN(num_classes=4, width=8).double().eval()
    x = torch.rand(3, 3, 16, 16, dtype=torch.float64)
    h = F.gelu(network.stem[1](network.stem[0](x)))
    for block in (network.block1, network.block2, network.block3):
        conv1, _, norm1, _, conv2, norm2, _ = block
        h = F.gelu(norm1(F.max_pool2d(conv1(h), 2)))
        h = F.gelu(norm2(conv2(h)))
    expected = h.flatten(2).max(2).values / 9 @ network.fc.weight.T + network.fc.bias
    assert torch.allclose(network(x), expected, rtol=1e-12)


def test_number_of_parameters():
    convs = 9 * (3 * 24 + 24 * 48 + 48 * 48 + 48 * 192 + 3 * 192 * 192)
    norms = 2 * (24 + 2 * 48 + 4 * 192)
    assert sum(p.numel() for p in FastCNN().parameters()) == convs + norms + 193 * 10


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (7, 5), (28, 28), (96, 64)])
def test_any_image_size_passes(size):
    network = FastCNN(num_classes=4, in_channels=2, width=8).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, *size)).shape == (1, 4)


def test_a_cosine_head_sees_directions_alone():
    network = FastCNN(num_classes=4, width=8, head="cosine")
    assert isinstance(network.fc, CosineClassifier)
    assert network.fc.scale == 30


def test_learns_digits_by_name():
    digits = load_digits()
    X, y = digits.images.repeat(2, 1).repeat(2, 2)[:, None].astype("float32"), digits.target
    clf = OPeNClassifier(
        "FastCNN",
        module__width=16,
        max_epochs=5,
        batch_size=32,
        resampler=None,
        random_state=0,
        verbose=0,
    )
    assert clf.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
