"""Balanced Softmax against sums in plain Python, and what priors do."""

import math

import pytest
import torch
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.losses import BalancedSoftmaxLoss, EpochFacts

COUNTS = [100, 10, 1]
LOGITS = [1.0, 2.0, 0.5]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (1, [0.245213, 1.5478, 5.35038]),
        (2, [0.026879, 3.63205, 9.73722]),
        (0.5, [0.652455, 0.803748, 3.45504]),
        (0, [1.46437, 0.464369, 1.96437]),
    ],
)
def test_published_formula(tau, expected, dtype):
    loss = BalancedSoftmaxLoss(tau, class_counts=COUNTS, reduction="none")
    rows = loss(torch.tensor([LOGITS] * 3, dtype=dtype), torch.arange(3))
    torch.testing.assert_close(rows.double(), torch.tensor(expected).double(), rtol=2e-5, atol=1e-6)


def test_other_inputs_by_hand(logits):
    codes, tau, counts = torch.tensor([0, 1, 2, 0, 1]), 1.7, [60, 30, 10]
    loss = BalancedSoftmaxLoss(tau, class_counts=counts, reduction="none")
    by_hand = []
    for row, code in zip(logits.tolist(), codes.tolist(), strict=True):
        odds = [n**tau * math.exp(z) for z, n in zip(row, counts, strict=True)]
        by_hand.append(-math.log(odds[code] / sum(odds)))
    expected = torch.tensor(by_hand, dtype=torch.float64)
    torch.testing.assert_close(loss(logits, codes), expected, rtol=1e-12, atol=0)


def test_gradient_is_the_softmax_with_prior_minus_one():
    z = torch.tensor([LOGITS], dtype=torch.float64, requires_grad=True)
    BalancedSoftmaxLoss(class_counts=COUNTS)(z, torch.tensor([2])).backward()
    expected = torch.tensor([[0.782538, 0.212716, -0.995254]], dtype=torch.float64)
    torch.testing.assert_close(z.grad, expected, rtol=2e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_a_prior_it_has_the_bits_of_cross_entropy(logits, dtype, reduction):
    codes = torch.tensor([0, 1, 2, 0, 1])
    z = logits.detach().to(dtype)
    wide = z if dtype in (torch.float32, torch.float64) else z.float()
    expected = F.cross_entropy(wide, codes, reduction=reduction)
    zero = BalancedSoftmaxLoss(0, class_counts=COUNTS, reduction=reduction)
    equal = BalancedSoftmaxLoss(1, class_counts=[7, 7, 7], reduction=reduction)
    assert torch.equal(zero(z, codes), expected)
    assert torch.equal(equal(z, codes), expected)


def facts(**changes):
    known = {"epoch": 0, "is_rebalanced": True, "class_counts": [60, 30, 10]}
    return EpochFacts(**{**known, "drawn_counts": [20, 20, 20], **changes})


def test_the_prior_that_is_drawn(logits):
    codes = torch.tensor([0, 1, 2, 0, 1])
    drawn, train = BalancedSoftmaxLoss(prior="drawn"), BalancedSoftmaxLoss()
    for loss in (drawn, train):
        loss.begin_epoch(facts())
    assert torch.equal(drawn(logits, codes), F.cross_entropy(logits, codes))
    assert train(logits, codes) != F.cross_entropy(logits, codes)
    drawn.begin_epoch(facts(drawn_counts=[60, 30, 10]))
    assert torch.equal(drawn(logits, codes), train(logits, codes))


def test_in_the_classifier_it_follows_the_plan(images):
    settings = {"max_epochs": 4, "start_epoch": 2, "random_state": 0, "verbose": 0}
    told = []

    class Spy(BalancedSoftmaxLoss):
        def begin_epoch(self, facts):
            super().begin_epoch(facts)
            told.append((facts.class_counts.tolist(), facts.drawn_counts.tolist()))

    OPeNClassifier(criterion=Spy, criterion__prior="drawn", **settings).fit(*images)
    natural = [36, 18, 6]
    assert told == [(natural, natural)] * 2 + [(natural, [36] * 3)] * 2
    clf = OPeNClassifier(
        criterion=BalancedSoftmaxLoss,
        criterion__prior="drawn",
        resampler=None,
        iterator_train__drop_last=True,
        **settings,
    )
    with pytest.raises(ValueError, match=r"prior='drawn' follows the plan.*iterator_train"):
        clf.fit(*images)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tau": "1"}, "tau='1' is not a number"),
        ({"tau": float("nan")}, "tau=nan is not a number"),
        ({"prior": "test"}, "prior='test' is unknown"),
    ],
)
def test_wrong_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        BalancedSoftmaxLoss(**params)
