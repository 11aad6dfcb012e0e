import pytest
import torch
from torch import nn

from sklearn_open.backbones import CifarResNet, resnet32


def test_resnet32_size():
    # 0.46 M in the paper. 432 stem + 3 norms and convolutions per stage + 650 linear.
    assert sum(parameter.numel() for parameter in resnet32().parameters()) == 464_154


@pytest.mark.parametrize(("depth", "blocks"), [(8, 1), (20, 3), (32, 5), (56, 9)])
def test_depth_counts_the_layers_with_weights(depth, blocks):
    network = CifarResNet(depth)
    assert [len(s) for s in (network.stage1, network.stage2, network.stage3)] == [blocks] * 3
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_shortcut_has_no_parameters():
    block = resnet32().stage2[0]
    assert not list(block.shortcut.parameters())
    x = torch.rand(2, 16, 5, 6)
    out = block.shortcut(x)
    assert out.shape == (2, 32, 3, 3)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert torch.all(out[:, :8] == 0)
    assert torch.all(out[:, 24:] == 0)


@torch.no_grad()
def test_block_law():
    torch.manual_seed(0)
    block = CifarResNet(8).stage1[0].eval()
    x = torch.randn(2, 16, 6, 6)
    y = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.relu(x + y))
    # A block whose function is silenced passes on what is positive of its input.
    block.bn2.weight.zero_()
    torch.testing.assert_close(block(x), torch.relu(x))


def test_initialisation():
    torch.manual_seed(0)
    network = resnet32()
    assert network.stage3[1].conv1.weight.std().item() == pytest.approx(
        (2 / (64 * 9)) ** 0.5, rel=0.05
    )
    assert torch.all(network.fc.bias == 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 7), (32, 32)])
def test_any_image_size(size):
    network = resnet32(num_classes=6, in_channels=2).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, *size)).shape == (1, 6)


@pytest.mark.parametrize(("depth", "valid"), [(33, "32 or 38"), (2, "8 or 14"), (30, "26 or 32")])
def test_bad_depth(depth, valid):
    with pytest.raises(ValueError, match=rf"depth={depth} .* use {valid}\."):
        CifarResNet(depth)
