"""The paper's networks for large images: torchvision's, with a cosine classifier."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sklearn_open.backbones._heads import make_head
from sklearn_open.backbones._weight_files import read_weight_file

if TYPE_CHECKING:  # torchvision is slow to import, and `import sklearn_open` should not pay for it
    from torchvision.models import ResNet

__all__ = ["resnet152_cosine", "resnext50_cosine"]


def resnext50_cosine(
    num_classes: int = 1000,
    in_channels: int = 3,
    scale: str | float = "learnable",
    head: str = "cosine",
) -> ResNet:
    """Build ResNeXt-50-32x4d with a cosine classifier, the paper's network for ImageNet-LT.

    torchvision's network from scratch, with :class:`CosineClassifier` as its layer ``fc``
    (23.0 million parameters, and 2048 for each class).

    Parameters
    ----------
    num_classes : int, default=1000
        Number of logits.
    in_channels : int, default=3
        Channels of the images.
    scale : {"learnable", "oltr", "ldam"} or float, default="learnable"
        See :class:`CosineClassifier`.
    head : {"cosine", "linear"}, default="cosine"
        The last layer. (LADE's and Balanced Softmax's own configurations have a linear one.)

    Returns
    -------
    torchvision.models.ResNet
        The network, freshly initialised.
    """
    from torchvision import models

    network = models.resnext50_32x4d()
    return _with_head(network, num_classes, in_channels, head, scale)


def resnet152_cosine(
    num_classes: int = 365,
    in_channels: int = 3,
    scale: str | float = "learnable",
    weights: Any = None,
    head: str = "cosine",
) -> ResNet:
    """Build ResNet-152 with a fresh cosine classifier, the paper's network for Places-LT.

    torchvision's network with :class:`CosineClassifier` as its layer ``fc`` (58.1 million
    parameters, and 2048 for each class). All of it is trained.

    Parameters
    ----------
    num_classes : int, default=365
        Number of logits.
    in_channels : int, default=3
        Channels of the images; 3 with `weights`.
    scale : {"learnable", "oltr", "ldam"} or float, default="learnable"
        See :class:`CosineClassifier`.
    head : {"cosine", "linear"}, default="cosine"
        The last layer. (LADE's and Balanced Softmax's own configurations have a linear one.)
    weights : torchvision.models.ResNet152_Weights, str, path or None, default=None
        What all layers but the classifier start from: torchvision's weights by enum or name
        ("IMAGENET1K_V1", "IMAGENET1K_V2", "DEFAULT"), which torchvision downloads once; or a file
        with the state dict of such a network, by itself or under "state_dict" or "model". A file's
        code is never run. None starts from scratch. The paper's is pre-trained on ImageNet.

    Returns
    -------
    torchvision.models.ResNet
        The network.

    Raises
    ------
    ValueError
        If `weights` are none of these, or are those of another network.
    OSError
        If torchvision's weights cannot be downloaded; the error says where to put them.
    """
    from torchvision import models

    network = models.resnet152()
    if weights is not None:
        if in_channels != 3:
            raise ValueError(
                f"weights={weights!r} are for images of 3 channels, and in_channels is "
                f"{in_channels}. Pass weights=None, or images of 3 channels."
            )
        _load_backbone(network, _state_dict(weights, models.ResNet152_Weights), weights)
    return _with_head(network, num_classes, in_channels, head, scale)


def _with_head(
    network: ResNet, num_classes: int, in_channels: int, head: str, scale: str | float
) -> ResNet:
    if in_channels != 3:
        stem = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.conv1 = stem
    network.fc = make_head(network.fc.in_features, num_classes, head, scale)
    return network


def _state_dict(weights: Any, known: Any) -> Mapping[str, torch.Tensor]:
    """Return the tensors that torchvision's weights, by enum or name, or a file hold."""
    if isinstance(weights, str) and weights in known.__members__:
        weights = known[weights]
    if isinstance(weights, known):
        return _downloaded(weights)
    if isinstance(weights, (str, PathLike)) and Path(weights).is_file():
        return read_weight_file(weights)
    raise ValueError(
        f"weights={weights!r} are neither a file nor weights of torchvision. Pass the path of a "
        f"state dict, one of {', '.join(map(repr, known.__members__))}, or None."
    )


def _downloaded(weights: Any) -> Mapping[str, torch.Tensor]:
    """Return torchvision's weights, which torch keeps in its folder once they are there."""
    try:
        return weights.get_state_dict(check_hash=True, progress=False)
    except OSError as error:
        reason = f"could not be downloaded ({error})"
        raise OSError(_to_download(weights, reason)) from error
    except Exception:  # a wrong checksum, a file that was cut off
        raise OSError(_to_download(weights, "are damaged where torch keeps them")) from None


def _to_download(weights: Any, reason: str) -> str:
    return (
        f"weights={weights.name!r} {reason}. Download {weights.url} and put it into "
        f"{str(Path(torch.hub.get_dir(), 'checkpoints'))!r}, or pass its path as "
        "module__weights=<path>."
    )


def _load_backbone(network: ResNet, state: Mapping[str, torch.Tensor], weights: Any) -> None:
    """Load all but the classifier, or nothing."""
    own = {name: tensor for name, tensor in network.state_dict().items() if _is_backbone(name)}
    given = {name: tensor for name, tensor in state.items() if _is_backbone(name)}
    wrong = sorted(own.keys() ^ given.keys())
    # Files from before torch counted batches, as IMAGENET1K_V1, lack the counters; they stay 0,
    # and batch norms of a fixed momentum do not read them.
    wrong = [name for name in wrong if not name.endswith("num_batches_tracked")]
    wrong += [name for name in own.keys() & given.keys() if own[name].shape != given[name].shape]
    if wrong:
        raise ValueError(
            f"weights={weights!r} are not those of this ResNet: {len(wrong)} tensors are missing, "
            f"unknown or of another shape, such as {wrong[0]!r}. Pass the state dict of "
            "torchvision's network of the same depth."
        )
    network.load_state_dict(given, strict=False)


def _is_backbone(name: str) -> bool:
    return not name.startswith("fc.")
