"""Small networks: the defaults, for images and for flat features."""

from __future__ import annotations

import torch
from torch import nn

from sklearn_open.backbones._heads import make_head
from sklearn_open.backbones._wide_resnet import init_weights

__all__ = ["SmallCNN", "SmallMLP"]


class SmallCNN(nn.Module):
    r"""Three-layer convolutional network for images of any size.

    .. code-block:: text

        conv3x3 -> width,  BN, ReLU, max pool 2
        conv3x3 -> 2 width, BN, ReLU, max pool 2
        conv3x3 -> 4 width, BN, ReLU, global average pool
        linear 4 width -> num_classes

    Parameters
    ----------
    num_classes : int
        Number of logits.
    in_channels : int
        Channels of the images.
    width : int, default=32
        Channels of the first layer.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Notes
    -----
    Input is (n, in_channels, H, W) with H, W >= 1, output (n, num_classes) logits. The pools
    round sizes up, so a 1x1 image passes as well. Weights start as in :class:`WideResNet`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import SmallCNN
    >>> SmallCNN(num_classes=3, in_channels=1)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        width: int = 32,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv_layer(in_channels, width),
            nn.MaxPool2d(2, ceil_mode=True),
            *_conv_layer(width, 2 * width),
            nn.MaxPool2d(2, ceil_mode=True),
            *_conv_layer(2 * width, 4 * width),
        )
        self.fc = make_head(4 * width, num_classes, head, scale)
        init_weights(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of images (n, in_channels, H, W)."""
        return self.fc(self.features(x).mean(dim=(-2, -1)))


def _conv_layer(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]


class SmallMLP(nn.Module):
    r"""Two-layer perceptron with batch norm, for flat features.

    .. code-block:: text

        linear -> hidden, BN, ReLU
        linear -> hidden, BN, ReLU
        linear hidden -> num_classes

    Parameters
    ----------
    num_classes : int
        Number of logits.
    in_features : int
        Number of features.
    hidden : int, default=128
        Width of both hidden layers.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Notes
    -----
    Input is (n, in_features), or the same as one-pixel images (n, in_features, 1, 1); output
    (n, num_classes) logits. Hidden weights start at torch's default, the last bias at 0.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import SmallMLP
    >>> SmallMLP(num_classes=3, in_features=5)(torch.zeros(2, 5)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        hidden: int = 128,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_linear_layer(in_features, hidden), *_linear_layer(hidden, hidden)
        )
        self.fc = make_head(hidden, num_classes, head, scale)
        init_weights(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of features (n, F) or (n, F, 1, 1)."""
        return self.fc(self.features(x.flatten(1)))


def _linear_layer(in_features: int, out_features: int) -> list[nn.Module]:
    # The norm layer's own bias makes another one before it redundant.
    return [
        nn.Linear(in_features, out_features, bias=False),
        nn.BatchNorm1d(out_features),
        nn.ReLU(),
    ]
