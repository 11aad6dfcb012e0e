"""LADE against sums in plain Python, in all its forms."""

import math

import pytest
import torch

from sklearn_open.losses import BalancedSoftmaxLoss, EpochFacts, LADELoss

COUNTS = [60, 30, 10]
LOGITS = [[1.0, 0.2, -0.5], [0.4, 1.1, 0.0], [-0.3, 0.5, 0.9], [0.8, -0.6, 0.1]]
ALL, WITHOUT_2 = [0, 1, 2, 0], [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("form", "codes", "lambda_", "expected"),
    [
        ("code", ALL, 0.01, 0.620152),
        ("code", ALL, 0.5, 0.635536),
        ("code", WITHOUT_2, 0.01, 0.463499),
        ("rows", ALL, 0.01, 0.657402),
        ("rows", ALL, 0.1, 0.66196),
        ("rows", WITHOUT_2, 0.5, 0.467288),
        ("paper", ALL, 0.01, 0.657402),
        ("paper", WITHOUT_2, 0.01, 0.509404 + 0.1 * -0.489246),
        ("paper", WITHOUT_2, 0.5, 0.509404 + 0.1 * -0.440924),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_published_formula(form, codes, lambda_, expected, dtype):
    loss = LADELoss(0.1, lambda_, form, class_counts=COUNTS)
    value = loss(torch.tensor(LOGITS, dtype=dtype), torch.tensor(codes))
    torch.testing.assert_close(value.double(), torch.tensor(expected).double(), rtol=2e-5, atol=0)


def regularizer_by_hand(rows, codes, counts, lambda_, form):
    n_classes, total = len(counts), sum(counts)
    loss = 0.0
    for c in range(n_classes):
        own = [row[c] for row, code in zip(rows, codes, strict=True) if code == c]
        if form == "paper" and not own:
            continue
        t1 = sum(own) / len(own) if own else 0.0
        weighted = 0.0
        for row, code in zip(rows, codes, strict=True):
            of = c if form == "code" else code
            weighted += (1 / n_classes) / (counts[of] / total) * math.exp(row[c])
        t2 = math.log(weighted / len(rows))
        loss -= counts[c] / total * (t1 - t2 - lambda_ * t2**2)
    return loss


@pytest.mark.parametrize("form", ["code", "paper", "rows"])
def test_other_inputs_by_hand(logits, form):
    codes, counts = torch.tensor([0, 1, 1, 0, 1]), [500, 20, 3]
    loss = LADELoss(0.3, 0.2, form, class_counts=counts)
    expected = regularizer_by_hand(logits.tolist(), codes.tolist(), counts, 0.2, form)
    found = loss.regularizer(logits, codes)
    torch.testing.assert_close(found.item(), expected, rtol=1e-12, atol=0)
    balanced = BalancedSoftmaxLoss(class_counts=counts)(logits, codes)
    torch.testing.assert_close(loss(logits, codes), balanced + 0.3 * expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_a_regularizer_it_has_the_bits_of_balanced_softmax(logits, reduction):
    codes = torch.tensor([0, 1, 2, 0, 1])
    params = {"class_counts": COUNTS, "reduction": reduction}
    expected = BalancedSoftmaxLoss(**params)(logits, codes)
    assert torch.equal(LADELoss(0, **params)(logits, codes), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": -1}, "alpha=-1"),
        ({"lambda_": float("inf")}, "lambda_=inf"),
        ({"form": "cod"}, "form='cod' is unknown"),
    ],
)
def test_wrong_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        LADELoss(**params)


def test_both_parts_follow_the_prior_that_is_drawn(logits):
    codes = torch.tensor([0, 1, 2, 0, 1])
    loss = LADELoss(prior="drawn")
    loss.begin_epoch(EpochFacts(5, True, COUNTS, [33, 33, 33]))
    assert torch.equal(loss(logits, codes), LADELoss(class_counts=[33] * 3)(logits, codes))
