"""Networks that turn images into logits; none of them knows of noise.

Any other ``torch.nn.Module`` that returns logits works as well: the norm layers of whatever
network the classifier is given are converted, the network's own code is not touched.
"""

from sklearn_open.backbones._cosine import CosineClassifier
from sklearn_open.backbones._cosine_resnets import resnet152_cosine, resnext50_cosine
from sklearn_open.backbones._resnet import CifarResNet, resnet32
from sklearn_open.backbones._resnet9 import ResNet9
from sklearn_open.backbones._small import SmallCNN, SmallMLP
from sklearn_open.backbones._wide_resnet import WideResNet, wrn16_2, wrn28_10

__all__ = [
    "CifarResNet",
    "CosineClassifier",
    "ResNet9",
    "SmallCNN",
    "SmallMLP",
    "WideResNet",
    "resnet32",
    "resnet152_cosine",
    "resnext50_cosine",
    "wrn16_2",
    "wrn28_10",
]
