"""Weights of the last layer that may not grow."""

import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import MaxNorm

SETTINGS = {"max_epochs": 3, "random_state": 0, "verbose": 0, "lr_milestones": (9,)}


def lengths(clf):
    return clf.module_.fc.weight.norm(dim=1)


def test_rows_are_no_longer_than_the_limit(images):
    free = OPeNClassifier(**SETTINGS).fit(*images)
    bound = OPeNClassifier(callbacks=[("max_norm", MaxNorm(0.4))], **SETTINGS).fit(*images)
    assert lengths(free).max() > 0.41
    assert lengths(bound).max() <= 0.4 + 1e-6


def test_a_limit_out_of_reach_changes_nothing(images):
    free = OPeNClassifier(**SETTINGS).fit(*images)
    bound = OPeNClassifier(callbacks=[MaxNorm(100.0)], **SETTINGS).fit(*images)
    for own, other in zip(free.module_.parameters(), bound.module_.parameters(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (MaxNorm(0), "max_norm=0"),
        (MaxNorm(names="head.weight"), r"fits no weight matrix.*fc.weight"),
    ],
)
def test_what_fits_nothing_is_refused(images, callback, message):
    with pytest.raises(ValueError, match=message):
        OPeNClassifier(callbacks=[callback], **SETTINGS).fit(*images)


def test_averages_are_no_longer_either(images):
    params = {**SETTINGS, "averaging": "ema", "start_epoch": 1}
    clf = OPeNClassifier(callbacks=[MaxNorm(0.3)], **params).fit(*images)
    assert lengths(clf).max() <= 0.3 + 1e-6
