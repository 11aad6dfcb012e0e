"""One loss first, another later."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sklearn_open.losses import BalancedSoftmaxLoss, DeferredLoss, EpochFacts, FocalLoss
from sklearn_open.losses._deferred import before_start

CODES = torch.tensor([0, 1, 2, 0, 1])


def facts(is_rebalanced):
    return EpochFacts(0, is_rebalanced, [60, 30, 10], [60, 30, 10])


def test_each_has_its_time(logits):
    loss = DeferredLoss()
    loss.begin_epoch(facts(False))
    assert torch.equal(loss(logits, CODES), nn.CrossEntropyLoss()(logits, CODES))
    loss.begin_epoch(facts(True))
    late = BalancedSoftmaxLoss(class_counts=[60, 30, 10])
    assert torch.equal(loss(logits, CODES), late(logits, CODES))


@pytest.mark.parametrize(
    ("early", "late"),
    [("focal", "lade"), (FocalLoss, BalancedSoftmaxLoss), (FocalLoss(2), BalancedSoftmaxLoss(1))],
)
def test_losses_by_name_class_and_instance(early, late):
    loss = DeferredLoss(early, late)
    assert isinstance(loss.early, FocalLoss)
    assert isinstance(loss.late, BalancedSoftmaxLoss)


def test_their_parameters():
    loss = DeferredLoss("focal", early__gamma=3, late__tau=0.5)
    assert (loss.early.gamma, loss.late.tau) == (3, 0.5)
    with pytest.raises(TypeError, match=r"no parameter 'tau'.*late__<name>"):
        DeferredLoss(tau=0.5)
    with pytest.raises(TypeError, match=r"could not be made with late__tua=0\.5"):
        DeferredLoss(late__tua=0.5)
    with pytest.raises(TypeError, match="is made already"):
        DeferredLoss(late=BalancedSoftmaxLoss(), late__tau=0.5)
    with pytest.raises(ValueError, match=r"'focall' is no loss.*'focal'"):
        DeferredLoss("focall")


def test_what_comes_before_the_start():
    loss = DeferredLoss()
    assert before_start(loss) is loss.early
    plain = nn.CrossEntropyLoss()
    assert before_start(plain) is plain
    # A late loss that learns is in the optimiser from the beginning.
    learns = DeferredLoss(late=nn.Sequential(nn.Linear(2, 2)))
    assert before_start(learns) is learns


def test_copies_are_at_work_as_well(logits):
    loss = DeferredLoss()
    loss.begin_epoch(facts(True))
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(twin(logits, CODES), loss(logits, CODES))
