"""Losses by name."""

import pytest
from torch import nn

from sklearn_open import losses
from sklearn_open.losses._names import LOSSES, find_loss


def test_every_loss_has_a_name():
    bases = {"ClassCountLoss", "ShiftedLogitsLoss"}
    public = {name for name in losses.__all__ if name.endswith("Loss")} - bases
    assert {loss.__name__ for loss in LOSSES.values()} == public | {"CrossEntropyLoss"}
    for name, loss in LOSSES.items():
        assert find_loss(name) is loss
        assert loss.__name__.lower() == f"{name.replace('_', '')}loss"


def test_what_is_no_name_stays_what_it_is():
    assert find_loss(nn.NLLLoss) is nn.NLLLoss


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"criterion='balanced-softmax' is no.*'balanced_softmax'"):
        find_loss("balanced-softmax")
