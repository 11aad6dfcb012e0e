"""What fit is given besides images and labels."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold, cross_val_score
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN


def make(module=None, **params):
    settings = {"max_epochs": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(module, **{**settings, **params}, verbose=0)


class Shifted(SmallCNN):
    def forward(self, x, shift=0.0):
        return super().forward(x) + shift


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sample_weight": np.ones(60)}, "criterion__weight"),
        ({"groups": np.arange(60)}, r"train_split=ValidSplit\(GroupKFold"),
        ({"epochs_": 3}, "neither the network's forward nor train_split takes"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_nobody_takes_is_refused(images, given, message, method):
    clf = make()
    with pytest.raises(TypeError, match=message):
        getattr(clf, method)(*images, **given)
    assert not clf.initialized_


def test_groups_go_to_the_split_only(images):
    groups = np.arange(60) % 6
    clf = make(train_split=ValidSplit(GroupKFold(3))).fit(*images, groups=groups)
    assert clf.history[-1, "valid_loss"] > 0
    assert len(clf.planner_.codes) == 40


def test_what_the_network_takes_goes_to_the_network_only(images):
    split = ValidSplit(3)
    shifted = make(Shifted, train_split=split).fit(*images, shift=torch.tensor(1.0))
    plain = make(Shifted, train_split=split).fit(*images)
    assert shifted.history[:, "train_loss"] == pytest.approx(plain.history[:, "train_loss"])


def test_both_at_once(images):
    groups = np.arange(60) % 6
    clf = make(Shifted, train_split=ValidSplit(GroupKFold(3)))
    clf.fit(*images, groups=groups, shift=0.5)
    assert clf.history[-1, "valid_loss"] > 0


def test_groups_of_a_cross_validation_are_its_own(images):
    groups = np.arange(60) % 6
    assert len(cross_val_score(make(), *images, groups=groups, cv=GroupKFold(2))) == 2


class TakesAll(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(192, 3)

    def forward(self, x, **others):
        return self.fc(x.flatten(1))


@pytest.mark.filterwarnings("ignore::sklearn_open.exceptions.NoBatchNormWarning")
def test_networks_that_take_anything(images):
    clf = make(TakesAll).fit(*images, sample_weight=1, anything=2)
    assert len(clf.history) == clf.max_epochs
