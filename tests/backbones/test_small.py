import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from sklearn_open.backbones import SmallCNN, SmallMLP


@pytest.fixture(scope="module")
def digits():
    """1297 training images (n, 1, 8, 8) in [0, 1], 500 test images, and their labels."""
    X, y = load_digits(return_X_y=True)
    images = torch.from_numpy(X).float().view(-1, 1, 8, 8) / 16
    labels = torch.from_numpy(y)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return images[order[500:]], labels[order[500:]], images[order[:500]], labels[order[:500]]


def train(network, X, y, epochs):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(X), generator=generator).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(X[rows]), y[rows]).backward()
            optimizer.step()


def accuracy(network, X, y):
    network.eval()
    with torch.no_grad():
        return (network(X).argmax(1) == y).float().mean().item()


def test_small_cnn_learns_digits_in_a_few_epochs(digits):
    X, y, X_test, y_test = digits
    torch.manual_seed(0)
    network = SmallCNN(num_classes=10, in_channels=1)
    train(network, X, y, epochs=5)
    assert accuracy(network, X_test, y_test) > 0.97


def test_small_mlp_learns_digits_in_a_few_epochs(digits):
    X, y, X_test, y_test = digits
    torch.manual_seed(0)
    network = SmallMLP(num_classes=10, in_features=64)
    train(network, X.flatten(1), y, epochs=5)
    assert accuracy(network, X_test.flatten(1), y_test) > 0.93


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (7, 5), (28, 28), (96, 64)])
def test_small_cnn_takes_any_image_size(size):
    network = SmallCNN(num_classes=4, in_channels=2, width=8).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, *size)).shape == (1, 4)


def test_small_cnn_trains_on_one_pixel_images():
    network = SmallCNN(num_classes=4, in_channels=2, width=8)
    network(torch.rand(5, 2, 1, 1)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_small_cnn_widths():
    network = SmallCNN(num_classes=4, in_channels=1, width=8)
    shapes = []
    network.features.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))
    network(torch.zeros(2, 1, 9, 8))
    assert shapes == [(2, 32, 3, 2)]


def test_small_mlp_takes_flat_rows_and_one_pixel_images():
    network = SmallMLP(num_classes=3, in_features=5, hidden=16).eval()
    X = torch.rand(7, 5)
    assert network(X).shape == (7, 3)
    assert torch.equal(network(X), network(X.view(7, 5, 1, 1)))
