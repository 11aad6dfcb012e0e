"""Last layers: linear or cosine, of every backbone."""

import pytest
import torch
from torch import nn

from sklearn_open.backbones import CosineClassifier
from sklearn_open.backbones._heads import make_head
from sklearn_open.backbones._names import find_maker, network_names

ALWAYS = {
    "SmallCNN": {"in_channels": 3},
    "SmallMLP": {"in_features": 5},
    "WideResNet": {"depth": 10, "widen_factor": 1},
    "CifarResNet": {"depth": 8},
}


@pytest.mark.parametrize("name", network_names())
def test_every_backbone_takes_both(name):
    params = {"num_classes": 4, **ALWAYS.get(name, {})}
    cosine = find_maker(name)(head="cosine", scale=7.0, **params)
    assert isinstance(cosine.fc, CosineClassifier)
    assert cosine.fc.scale == 7
    learnt = find_maker(name)(head="cosine", scale="learnable", **params)
    assert isinstance(learnt.fc.scale, nn.Parameter)
    linear = find_maker(name)(head="linear", **params)
    assert isinstance(linear.fc, nn.Linear)
    with pytest.raises(ValueError, match="head='cos' is unknown"):
        find_maker(name)(head="cos", **params)


def test_the_scale_of_ldam_is_the_default_of_small_networks():
    head = find_maker("wrn16_2")(head="cosine").fc
    assert head.scale == 30
    assert not head.scale.requires_grad


def test_logits_of_a_cosine_head_are_within_its_scale():
    torch.manual_seed(0)
    logits = make_head(5, 3, "cosine", 2.0)(100 * torch.randn(9, 5))
    assert logits.abs().max() <= 2
