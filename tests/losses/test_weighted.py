"""Weighted rows of any criterion."""

import pytest
import torch
from torch import nn

from sklearn_open.losses import DeferredLoss, FocalLoss
from sklearn_open.losses._weighted import check_takes_weights, weighted_loss

CODES = torch.tensor([0, 1, 2, 0, 1])
OF_CLASSES = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)


def weighted(criterion, logits, reduction):
    weights = OF_CLASSES[CODES]
    return weighted_loss(criterion, lambda: criterion(logits, CODES), weights, reduction)


def test_the_weighted_mean_is_torch_s(logits):
    expected = nn.CrossEntropyLoss(weight=OF_CLASSES)(logits, CODES)
    criterion = nn.CrossEntropyLoss()
    torch.testing.assert_close(weighted(criterion, logits, "weighted_mean"), expected)
    assert criterion.reduction == "mean"


def test_the_plain_mean_is_m2m_s(logits):
    rows = nn.CrossEntropyLoss(reduction="none")(logits, CODES)
    expected = (OF_CLASSES[CODES] * rows).mean()
    torch.testing.assert_close(weighted(nn.CrossEntropyLoss(), logits, "mean"), expected)


def test_losses_of_ours_weight_as_with_weights_of_their_own(logits):
    own = FocalLoss(weight=OF_CLASSES)(logits, CODES)
    torch.testing.assert_close(weighted(FocalLoss(), logits, "weighted_mean"), own)


def test_a_batch_of_classes_without_weight_has_no_loss(logits):
    weights = torch.zeros(5, dtype=torch.float64)
    criterion = nn.CrossEntropyLoss()
    loss = weighted_loss(criterion, lambda: criterion(logits, CODES), weights, "weighted_mean")
    assert loss == 0


class WholeBatch(nn.Module):
    """One number for all rows, whatever is asked."""

    reduction = "mean"

    def forward(self, logits, codes):
        return nn.functional.cross_entropy(logits, codes)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (nn.Identity(), "Identity gives one number.*attribute `reduction`"),
        (nn.CrossEntropyLoss(weight=torch.ones(3)), "the weight= of CrossEntropyLoss both"),
        (DeferredLoss(late=FocalLoss(weight=[1, 2, 3])), "the weight= of FocalLoss both"),
    ],
)
def test_what_takes_no_weights_is_refused(criterion, message):
    with pytest.raises(ValueError, match=message):
        check_takes_weights(criterion)


def test_a_criterion_that_promises_rows_must_give_them(logits):
    criterion = WholeBatch()
    check_takes_weights(criterion)
    with pytest.raises(ValueError, match=r"WholeBatch returns a tensor of shape \(\) for 5 rows"):
        weighted(criterion, logits, "mean")
    assert criterion.reduction == "mean"


def test_a_deferred_loss_is_weighted_in_both_times(logits):
    loss = DeferredLoss(late__class_counts=[60, 30, 10])
    for is_late in (False, True):
        loss.is_late = is_late
        rows = loss.at_work(logits, CODES)
        assert weighted(loss, logits, "mean") != rows
