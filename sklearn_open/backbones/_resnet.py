"""The residual networks of the CIFAR experiments of He and others (2016)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open.backbones._heads import make_head
from sklearn_open.backbones._wide_resnet import init_weights

__all__ = ["CifarResNet", "resnet32"]


class _ShrinkAndPad(nn.Module):
    """Option-A shortcut: every second pixel, new channels zero (half of them on each side)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        new = out_channels - in_channels
        self.channel_padding = (new // 2, new - new // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, *self.channel_padding))


class _BasicBlock(nn.Module):
    """conv3x3-BN-ReLU-conv3x3-BN, plus the shortcut, then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Identity() if stride == 1 else _ShrinkAndPad(in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.bn2(self.conv2(y)))


class CifarResNet(nn.Module):
    r"""Residual network for small images, ResNet-`depth` of the CIFAR experiments of [1]_.

    .. code-block:: text

        conv3x3 in_channels -> 16, BN, ReLU
        3 stages of n = (depth - 2) / 6 blocks: widths 16, 32, 64; strides 1, 2, 2
            block: x -> ReLU(shortcut(x) + f(x))
                f = conv3x3(stride)-BN-ReLU-conv3x3-BN
                shortcut = identity, or every second pixel with zeros for the new channels
                (option A, which has no parameters)
        global average pool-linear 64 -> num_classes

    Parameters
    ----------
    depth : int, default=32
        Number of convolutions and the linear layer, 6n + 2.
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Raises
    ------
    ValueError
        If `depth` is not of the form 6n + 2 with n >= 1.

    Notes
    -----
    Input is (n, in_channels, H, W) with H, W >= 1, output (n, num_classes) logits.
    Weights start as in :class:`WideResNet`. ResNet-32 is the network of most long-tailed
    CIFAR tables (LDAM, M2m, MiSLAS).

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition",
       CVPR 2016, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import CifarResNet
    >>> CifarResNet(depth=8, num_classes=5)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        depth: int = 32,
        num_classes: int = 10,
        in_channels: int = 3,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        blocks = _blocks_per_stage(depth)
        self.stem = nn.Conv2d(in_channels, 16, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.stage1 = _stage(16, 16, blocks, 1)
        self.stage2 = _stage(16, 32, blocks, 2)
        self.stage3 = _stage(32, 64, blocks, 2)
        self.fc = make_head(64, num_classes, head, scale)
        init_weights(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of images (n, in_channels, H, W)."""
        x = F.relu(self.bn(self.stem(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(x.mean(dim=(-2, -1)))


def _blocks_per_stage(depth: int) -> int:
    blocks, remainder = divmod(depth - 2, 6)
    if remainder or blocks < 1:
        below, above = 6 * blocks + 2, 6 * blocks + 8
        valid = f"{below} or {above}" if blocks >= 1 else "8 or 14"
        raise ValueError(
            f"depth={depth} does not fit a CIFAR residual network, whose three stages of two "
            f"convolutions per block need a depth of 6n + 2 with n >= 1: use {valid}."
        )
    return blocks


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = _BasicBlock(in_channels, out_channels, stride)
    rest = [_BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def resnet32(
    num_classes: int = 10,
    in_channels: int = 3,
    head: str = "linear",
    scale: str | float = "ldam",
) -> CifarResNet:
    """Build the CIFAR ResNet-32 (0.46 million parameters).

    Parameters
    ----------
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Returns
    -------
    CifarResNet
        The network, freshly initialised.
    """
    return CifarResNet(32, num_classes, in_channels, head, scale)
