"""A network that learns small images in few passes."""

from __future__ import annotations

import torch
from torch import nn

from sklearn_open.backbones._heads import make_head

__all__ = ["FastCNN"]

FEATURE_SCALE = 1 / 9  # logits begin small, so that a large learning rate finds its way


class FastCNN(nn.Module):
    r"""Seven-layer convolutional network that learns images of 32x32 in few passes.

    .. code-block:: text

        conv3x3 -> stem_width, BN, GELU
        block -> width, block -> 4 width, block -> 4 width
            block: conv3x3, max pool 2, BN, GELU, conv3x3, BN, GELU
        global max pool, times 1/9
        linear 4 width -> num_classes

    Wide layers on few pixels, no shortcuts, and maxima instead of means: in the manner of the
    networks that train on CIFAR-10 in seconds [1]_, without their whitened first layer. At a cost
    per image like that of a `WideResNet` of depth 16 and factor 2 it needs far fewer passes;
    `docs/fast_recipe.md` has the numbers.

    Parameters
    ----------
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    width : int, default=48
        Channels of the first block; the others have four times as many.
    stem_width : int, default=24
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
    .. [1] Jordan. "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import FastCNN
    >>> FastCNN(num_classes=3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int = 48,
        stem_width: int = 24,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv_layer(in_channels, stem_width))
        self.block1 = _block(stem_width, width)
        self.block2 = _block(width, 4 * width)
        self.block3 = _block(4 * width, 4 * width)
        self.fc = make_head(4 * width, num_classes, head, scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of images (n, in_channels, H, W)."""
        x = self.block3(self.block2(self.block1(self.stem(x))))
        return self.fc(x.amax(dim=(-2, -1)) * FEATURE_SCALE)


def _conv_layer(in_channels: int, out_channels: int, *between: nn.Module) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    return [conv, *between, nn.BatchNorm2d(out_channels), nn.GELU()]


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    pool = nn.MaxPool2d(2, ceil_mode=True)  # before the norm layer: fewer pixels to normalise
    return nn.Sequential(
        *_conv_layer(in_channels, out_channels, pool), *_conv_layer(out_channels, out_channels)
    )
