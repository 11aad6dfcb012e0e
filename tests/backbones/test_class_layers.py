"""Layers that depend on the number of classes, found by comparing two networks."""

import pytest
import torch
from torch import nn
from torchvision import models

from sklearn_open.backbones import SmallCNN, wrn16_2
from sklearn_open.backbones._class_layers import class_layers


@pytest.mark.parametrize(
    ("maker", "layers"),
    [
        (SmallCNN, ["fc"]),
        (wrn16_2, ["fc"]),
        (models.vit_b_16, ["heads.head"]),
        (models.swin_t, ["head"]),
        (models.squeezenet1_1, ["classifier.1"]),
        (models.densenet121, ["classifier"]),
    ],
)
def test_heads_by_whatever_name(maker, layers):
    params = {"num_classes": 128, **({"in_channels": 3} if maker is SmallCNN else {})}
    state = torch.get_rng_state()
    assert class_layers(maker, params) == layers
    assert torch.equal(torch.get_rng_state(), state)


def test_auxiliary_heads():
    layers = class_layers(models.googlenet, {"num_classes": 5, "init_weights": False})
    assert layers == ["aux1.fc2", "aux2.fc2", "fc"]


class OfParameters(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.hidden = nn.Linear(4, 5)
        if self.hidden.weight.sum().item() > 100:  # a network that reads its own weights
            raise AssertionError
        self.matrix = nn.Parameter(torch.zeros(n_classes, 5))


def test_parameters_of_the_network_itself():
    assert class_layers(OfParameters, {"n_classes": 5}) == ["matrix"]


def test_without_a_number_of_classes_there_are_none():
    assert class_layers(nn.Linear, {"in_features": 3, "out_features": 4}) == []
