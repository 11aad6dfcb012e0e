"""What all losses of class counts have in common."""

import copy

import pytest
import torch
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.losses import BalancedSoftmaxLoss, ClassCountLoss, EpochFacts, FocalLoss
from sklearn_open.losses._base import begin_epoch

CODES = torch.tensor([0, 1, 2, 0, 1])


class Quadratic(ClassCountLoss):
    """A throw-away loss of rows."""

    def losses(self, logits, codes):
        return logits.gather(1, codes[:, None]).squeeze(1).square()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, [1, 2, 5]])
def test_a_loss_of_rows_is_reduced_as_torch_s(logits, reduction, weight):
    rows = logits[torch.arange(5), CODES].square()
    loss = Quadratic(weight=weight, reduction=reduction)(logits, CODES)
    if weight is not None:
        weights = torch.tensor(weight, dtype=torch.float64)[CODES]
        expected = {"none": weights * rows, "sum": (weights * rows).sum()}
        expected["mean"] = expected["sum"] / weights.sum()
    else:
        expected = {"none": rows, "sum": rows.sum(), "mean": rows.mean()}
    torch.testing.assert_close(loss, expected[reduction])


def test_torch_weights_and_ours_are_one(logits):
    ours = BalancedSoftmaxLoss(0, class_counts=[1, 1, 1], weight=[1, 2, 5])(logits, CODES)
    assert torch.equal(ours, F.cross_entropy(logits, CODES, torch.tensor([1.0, 2, 5]).double()))


def test_nothing_enters_the_state_dict():
    loss = BalancedSoftmaxLoss(class_counts=[3, 2, 1], weight=[1, 2, 3])
    assert not loss.state_dict()
    assert not list(loss.parameters())


def test_counts_keep_their_digits_whatever_the_loss_is_cast_to(logits):
    loss = BalancedSoftmaxLoss(class_counts=[123457, 77, 1])
    half = copy.deepcopy(loss).half()
    assert torch.equal(half(logits, CODES), loss(logits, CODES))


def test_counts_come_from_whoever_knows_them(logits):
    loss = BalancedSoftmaxLoss()
    with pytest.raises(ValueError, match=r"does not know how many rows.*class_counts=\[...\]"):
        loss(logits, CODES)
    begin_epoch(loss, EpochFacts(0, False, [9, 3, 1]))
    given = BalancedSoftmaxLoss(class_counts=[9, 3, 1])
    assert torch.equal(loss(logits, CODES), given(logits, CODES))
    begin_epoch(given, EpochFacts(0, False, [5, 5, 5]))  # what was given is kept
    assert torch.equal(loss(logits, CODES), given(logits, CODES))
    begin_epoch(torch.nn.CrossEntropyLoss(), EpochFacts(0, False, [9, 3, 1]))


def test_a_class_without_rows_counts_as_one_row(logits):
    loss = BalancedSoftmaxLoss(class_counts=[9, 3, 0])(logits, CODES)
    assert torch.equal(loss, BalancedSoftmaxLoss(class_counts=[9, 3, 1])(logits, CODES))


@pytest.mark.parametrize(
    "counts", [[], [-1, 2], [[1, 2]], [float("nan"), 1], [0, 0], torch.tensor([-1.0, 2.0])]
)
def test_wrong_counts_are_refused(counts):
    with pytest.raises(ValueError, match="is not a number of 0 or more for each class"):
        FocalLoss(class_counts=counts)


def test_logits_of_other_classes_are_refused(logits):
    with pytest.raises(ValueError, match=r"counts of 2 classes.*shape \(5, 3\)"):
        BalancedSoftmaxLoss(class_counts=[2, 1])(logits, CODES)
    with pytest.raises(ValueError, match="reduction='average' is unknown"):
        FocalLoss(reduction="average")


class Inside(torch.nn.Module):
    """A criterion of one's own around one of ours."""

    def __init__(self):
        super().__init__()
        self.inner = BalancedSoftmaxLoss()

    def forward(self, logits, codes):
        return self.inner(logits, codes) + 1e-3 * logits.square().mean()


def test_losses_inside_of_others_are_told(images):
    clf = OPeNClassifier(criterion=Inside, max_epochs=1, random_state=0, verbose=0).fit(*images)
    assert clf.criterion_.inner.class_counts.tolist() == [36, 18, 6]
    given = BalancedSoftmaxLoss()
    late = {"criterion": "deferred", "criterion__late": given, "start_epoch": 0}
    OPeNClassifier(max_epochs=1, verbose=0, **late).fit(*images)
    assert given.class_counts is None  # what was given is copied
