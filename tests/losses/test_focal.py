"""Focal loss by hand, and where probabilities are 1."""

import math

import pytest
import torch
from torch.nn import functional as F

from sklearn_open.losses import FocalLoss


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 5])
def test_by_hand(logits, gamma):
    codes = torch.tensor([0, 1, 2, 0, 1])
    by_hand = []
    for row, y in zip(logits.tolist(), codes.tolist(), strict=True):
        p = math.exp(row[y]) / sum(math.exp(z) for z in row)
        by_hand.append(-((1 - p) ** gamma) * math.log(p))
    rows = FocalLoss(gamma, reduction="none")(logits, codes)
    expected = torch.tensor(by_hand, dtype=torch.float64)
    torch.testing.assert_close(rows, expected, rtol=1e-11, atol=0)


def test_gamma_0_is_cross_entropy(logits):
    codes = torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(FocalLoss(0)(logits, codes), F.cross_entropy(logits, codes))


@pytest.mark.parametrize("gamma", [0.5, 2])
def test_rows_that_are_sure_have_finite_gradients(gamma):
    z = torch.tensor([[200.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    FocalLoss(gamma)(z, torch.tensor([0, 0])).backward()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("gamma", [-1, "2", float("nan")])
def test_wrong_values_are_refused(gamma):
    with pytest.raises(ValueError, match="gamma="):
        FocalLoss(gamma)
