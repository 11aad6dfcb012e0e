import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open.backbones import WideResNet, wrn16_2, wrn28_10


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def expected_count(depth, k, num_classes, in_channels):
    """The architecture's count, written from the paper's table."""
    total = 9 * in_channels * 16
    before = 16
    for width in (16 * k, 32 * k, 64 * k):
        for _ in range((depth - 4) // 6):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
            total += before * width if before != width else 0
            before = width
    return total + 2 * before + (before + 1) * num_classes


def reference_forward(network, x):
    """WRN of one block per stage, written out with the network's own weights in eval mode."""

    def bn_relu(bn, x):
        shape = (1, -1, 1, 1)
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        return ((x - bn.running_mean.view(shape)) * scale.view(shape) + bn.bias.view(shape)).relu()

    x = F.conv2d(x, network.stem.weight, padding=1)
    for stage, stride in [(network.stage1, 1), (network.stage2, 2), (network.stage3, 2)]:
        (block,) = stage
        y = F.conv2d(bn_relu(block.bn1, x), block.conv1.weight, stride=stride, padding=1)
        y = F.conv2d(bn_relu(block.bn2, y), block.conv2.weight, padding=1)
        x = F.conv2d(x, block.shortcut.weight, stride=stride) + y
    return bn_relu(network.bn, x).mean((2, 3)) @ network.fc.weight.T + network.fc.bias


def test_wrn28_10_size():
    with torch.device("meta"):
        network = wrn28_10()
    assert count(network) == 36_479_194


@pytest.mark.parametrize("args", [(28, 10, 10, 3), (16, 2, 100, 3), (10, 1, 5, 1), (40, 4, 7, 4)])
def test_parameter_count(args):
    with torch.device("meta"):
        assert count(WideResNet(*args)) == expected_count(*args)


@torch.no_grad()
def test_forward_law():
    torch.manual_seed(0)
    network = WideResNet(10, 2, num_classes=4)
    x = torch.rand(3, 3, 15, 16)
    for _ in range(3):
        network(torch.rand(8, 3, 15, 16))  # running statistics that are not the initial ones
    network.eval()
    torch.testing.assert_close(network(x), reference_forward(network, x))


def test_blocks_and_strides():
    network = wrn16_2()
    assert [len(stage) for stage in (network.stage1, network.stage2, network.stage3)] == [2, 2, 2]
    shapes = []
    for stage in (network.stage1, network.stage2, network.stage3):
        stage.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    network(torch.zeros(2, 3, 32, 32))
    assert shapes == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    # Only the first block of a stage changes the shape.
    assert isinstance(network.stage2[0].shortcut, nn.Conv2d)
    assert isinstance(network.stage2[1].shortcut, nn.Identity)


def test_initialisation():
    torch.manual_seed(0)
    network = WideResNet(10, 4)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
        elif isinstance(module, nn.BatchNorm2d):
            assert torch.all(module.weight == 1)
            assert torch.all(module.bias == 0)
    assert torch.all(network.fc.bias == 0)


def test_dropout_is_between_the_convolutions():
    torch.manual_seed(0)
    x = torch.rand(4, 3, 8, 8)
    network = wrn16_2(dropout=0.3)
    assert sum(isinstance(module, nn.Dropout) for module in network.modules()) == 6
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    assert not any(isinstance(module, nn.Dropout) for module in wrn16_2().modules())


def test_dropout_of_a_block_leaves_the_shortcut():
    block = WideResNet(10, 1, dropout=0.5).stage2[0]
    block.dropout.p = 1.0
    block.train()
    x = torch.rand(4, 16, 8, 8)
    # All of f is dropped before its second norm layer, whose bias is 0: the shortcut is left.
    torch.testing.assert_close(block(x), block.shortcut(x))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 7), (33, 20)])
def test_any_image_size(size):
    network = wrn16_2(num_classes=6, in_channels=2).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 2, *size)).shape == (1, 6)


def test_every_parameter_learns():
    network = wrn16_2()
    network(torch.rand(4, 3, 16, 16)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.stem.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("depth", "valid"), [(27, "22 or 28"), (29, "28 or 34"), (4, "10 or 16"), (-3, "10 or 16")]
)
def test_bad_depth(depth, valid):
    with pytest.raises(ValueError, match=rf"depth={depth} .* use {valid}\."):
        WideResNet(depth=depth)
