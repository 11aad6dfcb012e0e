"""A small residual network that learns small images in few passes."""

from __future__ import annotations

import torch
from torch import nn

from sklearn_open.backbones._heads import make_head

__all__ = ["ResNet9"]

FEATURE_SCALE = 1 / 8  # logits begin small, so that a large learning rate finds its way


class ResNet9(nn.Module):
    r"""Nine-layer residual network that learns images of 32x32 in few passes.

    .. code-block:: text

        conv -> width
        conv -> 2 width, max pool 2, plus two convs of it
        conv -> 4 width, max pool 2
        conv -> 8 width, max pool 2, plus two convs of it
            conv: conv3x3, BN, ReLU
        global max pool, times 1/8
        linear 8 width -> num_classes

    The network of the DAWNBench entries that first trained CIFAR-10 in a minute [1]_, there of
    width 64: wide layers on few pixels, and maxima instead of means. At a cost per image near that
    of a `WideResNet` of depth 16 and factor 2 it needs far fewer passes.

    Parameters
    ----------
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    width : int, default=32
        Channels of the first layer.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Notes
    -----
    Input is (n, in_channels, H, W) with H, W >= 1, output (n, num_classes) logits. The pools round
    sizes up, so a 1x1 image passes as well. Weights start as torch's layers have them.

    References
    ----------
    .. [1] Page. "How to Train Your ResNet", 2018.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import ResNet9
    >>> ResNet9(num_classes=3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int = 32,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        self.stem = _conv_layer(in_channels, width)
        self.layer1 = _pooled_layer(width, 2 * width)
        self.residual1 = _two_layers(2 * width)
        self.layer2 = _pooled_layer(2 * width, 4 * width)
        self.layer3 = _pooled_layer(4 * width, 8 * width)
        self.residual3 = _two_layers(8 * width)
        self.fc = make_head(8 * width, num_classes, head, scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of images (n, in_channels, H, W)."""
        x = x.contiguous(memory_format=torch.channels_last)  # torch's pools on CPUs are faster so
        x = self.layer1(self.stem(x))
        x = x + self.residual1(x)
        x = self.layer3(self.layer2(x))
        x = x + self.residual3(x)
        return self.fc(x.amax(dim=(-2, -1)) * FEATURE_SCALE)


def _conv_layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _pooled_layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return _conv_layer(in_channels, out_channels).append(nn.MaxPool2d(2, ceil_mode=True))


def _two_layers(channels: int) -> nn.Sequential:
    return nn.Sequential(_conv_layer(channels, channels), _conv_layer(channels, channels))
