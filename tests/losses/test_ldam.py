"""LDAM against sums in plain Python, and the cosine head that it needs."""

import math

import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.losses import LDAMLoss

COUNTS = [100, 10, 1]
COSINES = [[0.6, 0.1, -0.2], [0.3, 0.4, 0.5], [-0.1, 0.2, 0.3], [0.9, -0.4, 0.05]]
CODES = torch.tensor([0, 1, 2, 0])
SETTINGS = {"max_epochs": 2, "random_state": 0, "verbose": 0}


def rows_by_hand(logits, codes, change):
    """Cross-entropy, in Python's floats, of rows that were changed first."""
    losses = []
    for row, code in zip(logits.tolist(), codes.tolist(), strict=True):
        changed = change(row, code)
        losses.append(math.log(sum(math.exp(z) for z in changed)) - changed[code])
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (30, [3.51292e-05, 11.4376, 12.0001, 9.67233e-10]),
        (10, [0.0338024, 3.95792, 4.06588, 0.000999442]),
    ],
)
def test_published_formula(scale, expected, dtype):
    loss = LDAMLoss(scale=scale, class_counts=COUNTS, reduction="none")
    rows = loss(torch.tensor(COSINES, dtype=dtype), CODES)
    torch.testing.assert_close(rows, torch.tensor(expected, dtype=dtype), rtol=2e-5, atol=1e-6)


def test_gradient():
    z = torch.tensor(COSINES, dtype=torch.float64, requires_grad=True)
    LDAMLoss(scale=10, class_counts=COUNTS, reduction="none")(z, CODES)[1].backward()
    expected = torch.tensor([1.16926, -9.80897, 8.63971], dtype=torch.float64)
    torch.testing.assert_close(z.grad[1], expected, rtol=2e-5, atol=0)


def test_class_weights_reduce_as_in_the_authors_code():
    weights = [0.0271587, 0.270369, 2.70247]
    loss = LDAMLoss(class_counts=COUNTS, weight=weights)
    mean = loss(torch.tensor(COSINES, dtype=torch.float64), CODES)
    torch.testing.assert_close(mean, torch.tensor(11.7346).double(), rtol=2e-5, atol=0)


def test_margins_by_hand(logits):
    codes, counts = torch.tensor([0, 1, 2, 0, 1]), [5000, 800, 3]
    loss = LDAMLoss(0.3, 8, class_counts=counts, reduction="none")
    margins = [0.3 * (n**-0.25) / (3**-0.25) for n in counts]

    def change(row, code):
        return [8 * (z - margins[c] * (c == code)) for c, z in enumerate(row)]

    expected = rows_by_hand(logits, codes, change)
    torch.testing.assert_close(loss(logits, codes), expected, rtol=1e-11, atol=1e-14)


def test_equal_counts_have_one_margin(logits):
    codes = torch.tensor([0, 1, 2, 0, 1])
    loss = LDAMLoss(scale=2, class_counts=[4, 4, 4], reduction="none")
    expected = rows_by_hand(
        logits, codes, lambda row, y: [2 * (z - 0.5 * (c == y)) for c, z in enumerate(row)]
    )
    torch.testing.assert_close(loss(logits, codes), expected)


def test_logits_that_are_scaled_already():
    cosines = torch.tensor(COSINES, dtype=torch.float64)
    plain = LDAMLoss(class_counts=COUNTS)(cosines, CODES)
    scaled = LDAMLoss(logit_scale=7, class_counts=COUNTS)(7 * cosines, CODES)
    torch.testing.assert_close(scaled, plain)


@pytest.mark.parametrize("scale", ["ldam", 12.0])
def test_in_the_classifier_the_head_says_its_scale(images, scale):
    clf = OPeNClassifier(criterion="ldam", module__head="cosine", module__scale=scale, **SETTINGS)
    clf.fit(*images)
    z = clf.module_.eval()(torch.randn(4, 3, 8, 8))
    factor = 30 if scale == "ldam" else scale
    codes = torch.tensor([0, 1, 2, 0])
    expected = LDAMLoss(class_counts=[36, 18, 6])(z / factor, codes)
    torch.testing.assert_close(clf.criterion_(z, codes), expected)
    # Predictions need no way of their own: the softmax of what the network returns.
    proba = torch.from_numpy(clf.predict_proba(images[0]))
    torch.testing.assert_close(proba.log_softmax(1).softmax(1).sum(1), torch.ones(60))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"SmallCNN has no CosineClassifier.*module__head='cosine'"),
        (
            {"module__head": "cosine", "module__scale": "learnable"},
            r"learnt. Fix it: module__scale",
        ),
    ],
)
def test_networks_without_fixed_cosines_are_refused_before_training(images, params, message):
    clf = OPeNClassifier(criterion=LDAMLoss, **SETTINGS, **params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*images)
    assert not clf.initialized_


def test_a_network_of_one_s_own_says_its_scale(images):
    clf = OPeNClassifier(SmallCNN, criterion="ldam", criterion__logit_scale=1, **SETTINGS)
    assert clf.fit(*images).history[-1, "train_loss"] > 0


@pytest.mark.parametrize(
    "params", [{"max_margin": -0.1}, {"scale": 0}, {"scale": "30"}, {"logit_scale": 0}]
)
def test_wrong_values_are_refused(params):
    with pytest.raises(ValueError, match="pass a number above 0"):
        LDAMLoss(**params)
