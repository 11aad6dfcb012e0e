"""Losses and what they are made with."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_open import OPeNClassifier


def make(**params):
    settings = {"max_epochs": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(**{**settings, **params}, verbose=0)


@pytest.mark.parametrize(
    "weight",
    [
        np.array([0.2, 0.5, 1.0]),
        np.array([0.2, 0.5, 1.0], dtype=np.float32),
        [0.2, 0.5, 1.0],
        (0.2, 0.5, 1.0),
        torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64),
    ],
    ids=["array", "float32", "list", "tuple", "double"],
)
def test_weights_of_classes(images, weight):
    clf = make(criterion__weight=weight).fit(*images)
    expected = make(criterion__weight=torch.tensor([0.2, 0.5, 1.0])).fit(*images)
    assert clf.history[:, "train_loss"] == expected.history[:, "train_loss"]
    assert clf.get_params()["criterion__weight"] is weight


def test_whole_numbers(images):
    one, other = (make(criterion__weight=w).fit(*images) for w in (np.array([1, 2, 3]), [1, 2, 3]))
    assert one.history[:, "train_loss"] == other.history[:, "train_loss"]


class Margins(nn.Module):
    def __init__(self, margins, names=()):
        super().__init__()
        self.register_buffer("margins", margins)
        self.names = names

    def forward(self, logits, codes):
        return nn.functional.cross_entropy(logits - self.margins, codes)


def test_losses_of_one_s_own(images):
    clf = make(criterion=Margins, criterion__margins=np.zeros(3), criterion__names=("a", "b"))
    clf.fit(*images)
    assert clf.criterion_.names == ("a", "b")
    assert clf.criterion_.margins.dtype == torch.float32
