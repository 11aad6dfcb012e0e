"""Wide residual networks for small images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open.backbones._heads import make_head

__all__ = ["WideResNet", "wrn16_2", "wrn28_10"]


def init_weights(network: nn.Module) -> None:
    """Initialise as residual networks are: He et al.'s normal law over the fan-out, no offsets.

    Convolutions draw from N(0, 2 / fan_out), norm layers start at weight 1 and bias 0 (torch's
    default), linear layers keep torch's weights and start at bias 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class _PreActivationBlock(nn.Module):
    """Two 3x3 convolutions, each behind its own BN-ReLU, around a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        if stride == 1 and in_channels == out_channels:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Conv2d(
                in_channels, out_channels, kernel_size=1, stride=stride, bias=False
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The ReLUs are not in place: x is needed again, and a user may put a norm layer here
        # that hands its input on. Autograd keeps the ReLU's output only, so memory is the same.
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(self.dropout(y))))
        return self.shortcut(x) + y


class WideResNet(nn.Module):
    r"""Wide residual network, WRN-`depth`-`widen_factor` [1]_.

    .. code-block:: text

        conv3x3 in_channels -> 16
        3 stages of n = (depth - 4) / 6 blocks, k = widen_factor:
            widths 16k, 32k, 64k; the first block of each has stride 1, 2, 2
            block: x -> shortcut(x) + f(x)
                f = BN-ReLU-conv3x3(stride)-[dropout]-BN-ReLU-conv3x3
                shortcut = identity, or a 1x1 convolution of x where the shape changes
        BN-ReLU-global average pool-linear 64k -> num_classes

    Convolutions have no bias; see Notes for how weights start.

    Parameters
    ----------
    depth : int, default=28
        Number of convolutions on the longest path and the linear layer, 6n + 4.
    widen_factor : int, default=10
        Width of every stage as a multiple of the plain residual network's.
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    dropout : float, default=0.0
        Probability of zeroing an activation between a block's convolutions. The OPeN paper does
        not say whether it used any; both public reproductions that reach its numbers use 0.3.
    head : {"linear", "cosine"}, default="linear"
        The last layer: linear, or a :class:`CosineClassifier`, as LDAM needs it.
    scale : {"learnable", "oltr", "ldam"} or float, default="ldam"
        Of the cosine classifier; "ldam" is 30, and fixed.

    Raises
    ------
    ValueError
        If `depth` is not of the form 6n + 4 with n >= 1.

    Notes
    -----
    Input is (n, in_channels, H, W) with H, W >= 1, output (n, num_classes) logits. Spatial sizes
    are rounded up where a stride halves them, so no image is too small.

    Convolutions start at He et al.'s normal law over the fan-out, batch norms at weight 1 and
    bias 0, the linear layer at bias 0.

    References
    ----------
    .. [1] S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.backbones import WideResNet
    >>> WideResNet(depth=10, widen_factor=1)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        depth: int = 28,
        widen_factor: int = 10,
        num_classes: int = 10,
        in_channels: int = 3,
        dropout: float = 0.0,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__()
        blocks = _blocks_per_stage(depth)
        widths = [16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        self.stem = nn.Conv2d(in_channels, 16, kernel_size=3, padding=1, bias=False)
        self.stage1 = _stage(16, widths[0], blocks, 1, dropout)
        self.stage2 = _stage(widths[0], widths[1], blocks, 2, dropout)
        self.stage3 = _stage(widths[1], widths[2], blocks, 2, dropout)
        self.bn = nn.BatchNorm2d(widths[2])
        self.fc = make_head(widths[2], num_classes, head, scale)
        init_weights(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, num_classes) of images (n, in_channels, H, W)."""
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        x = F.relu(self.bn(x))
        return self.fc(x.mean(dim=(-2, -1)))


def _blocks_per_stage(depth: int) -> int:
    blocks, remainder = divmod(depth - 4, 6)
    if remainder or blocks < 1:
        below, above = 6 * blocks + 4, 6 * blocks + 10
        valid = f"{below} or {above}" if blocks >= 1 else "10 or 16"
        raise ValueError(
            f"depth={depth} does not fit a wide residual network, whose three stages of two "
            f"convolutions per block need a depth of 6n + 4 with n >= 1: use {valid}."
        )
    return blocks


def _stage(
    in_channels: int, out_channels: int, blocks: int, stride: int, dropout: float
) -> nn.Sequential:
    first = _PreActivationBlock(in_channels, out_channels, stride, dropout)
    rest = [_PreActivationBlock(out_channels, out_channels, 1, dropout) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


# The factories name their arguments, rather than take **kwargs, because the classifier looks at
# a callable's signature to see whether it can be told the number of classes and channels.


def wrn28_10(
    num_classes: int = 10,
    in_channels: int = 3,
    dropout: float = 0.0,
    head: str = "linear",
    scale: str | float = "ldam",
) -> WideResNet:
    """Build WRN-28-10, the paper's backbone for small images (36.5 million parameters).

    Parameters
    ----------
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    dropout : float, default=0.0
        Probability of zeroing an activation between a block's convolutions; see
        :class:`WideResNet`.
    head, scale
        The last layer; see :class:`WideResNet`.

    Returns
    -------
    WideResNet
        The network, freshly initialised.
    """
    return WideResNet(28, 10, num_classes, in_channels, dropout, head, scale)


def wrn16_2(
    num_classes: int = 10,
    in_channels: int = 3,
    dropout: float = 0.0,
    head: str = "linear",
    scale: str | float = "ldam",
) -> WideResNet:
    """Build WRN-16-2, a small sibling for quick runs (0.7 million parameters).

    Parameters
    ----------
    num_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    dropout : float, default=0.0
        Probability of zeroing an activation between a block's convolutions; see
        :class:`WideResNet`.
    head, scale
        The last layer; see :class:`WideResNet`.

    Returns
    -------
    WideResNet
        The network, freshly initialised.
    """
    return WideResNet(16, 2, num_classes, in_channels, dropout, head, scale)
