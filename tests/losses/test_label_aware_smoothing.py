"""Label-aware smoothing against the published vectors and sums in plain Python."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_open.losses import LabelAwareSmoothingLoss

CIFAR10 = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
LOGITS = torch.tensor([[1.0, 2.0, 0.5]] * 3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("concave", [0.3, 0.241412, 0.157844, 0.0960486, 0.0563079]),
        ("linear", [0.3, 0.178606, 0.105818, 0.0622424, 0.0360606]),
        ("convex", [0.3, 0.121898, 0.0448818, 0.0157912, 0.00533168]),
        ("exp", [0.3, 0.106334, 0.037325, 0.0129137, 0.00433456]),
    ],
)
def test_published_shapes(shape, expected):
    eps = LabelAwareSmoothingLoss(shape=shape, class_counts=CIFAR10).smoothing()
    np.testing.assert_allclose(eps[:5], expected, rtol=2e-5)
    assert eps[-1] == 0


@pytest.mark.parametrize(
    ("form", "expected"),
    [("code", [1.3977, 0.583281, 1.8977]), ("paper", [1.36437, 0.642737, 1.86437])],
)
def test_published_losses(form, expected):
    params = {"head": 0.4, "tail": 0.1, "form": form, "class_counts": [100, 10, 1]}
    loss = LabelAwareSmoothingLoss(reduction="none", **params)
    rows = loss(LOGITS, torch.arange(3))
    torch.testing.assert_close(rows, torch.tensor(expected).double(), rtol=2e-5, atol=0)


@pytest.mark.parametrize("form", ["code", "paper"])
def test_other_inputs_by_hand(logits, form):
    codes, counts = torch.tensor([0, 1, 2, 0, 1]), [50, 20, 9]
    loss = LabelAwareSmoothingLoss(
        0.5, 0.2, form=form, shape="exp", power=3, class_counts=counts, reduction="none"
    )
    by_hand = []
    for row, y in zip(logits.tolist(), codes.tolist(), strict=True):
        eps = 0.2 + 0.3 * ((counts[y] - 9) / 41) ** 3
        minus_log_p = [math.log(sum(math.exp(z) for z in row)) - z for z in row]
        others = minus_log_p if form == "code" else minus_log_p[:y] + minus_log_p[y + 1 :]
        by_hand.append((1 - eps) * minus_log_p[y] + eps * sum(others) / len(others))
    expected = torch.tensor(by_hand, dtype=torch.float64)
    torch.testing.assert_close(loss(logits, codes), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("tail", [0.0, 0.1])
def test_equal_counts_smooth_nothing(logits, tail):
    codes = torch.tensor([0, 1, 2, 0, 1])
    loss = LabelAwareSmoothingLoss(0.4, tail, class_counts=[5, 5, 5])
    torch.testing.assert_close(loss(logits, codes), F.cross_entropy(logits, codes))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"head": 1.5}, "head=1.5 is not a share"),
        ({"tail": -0.1}, "tail=-0.1 is not a share"),
        ({"power": 0}, "power=0"),
        ({"shape": "round"}, "shape='round' is unknown"),
        ({"form": "both"}, "form='both' is unknown"),
    ],
)
def test_wrong_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        LabelAwareSmoothingLoss(**params)
