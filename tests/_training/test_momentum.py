"""Fused SGD where some weights get their first gradient later."""

import copy

import pytest
import torch
from skorch.callbacks import Freezer, Unfreezer
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open._training.momentum import begin_momentum
from sklearn_open.backbones import SmallCNN


def make(module=SmallCNN, **params):
    settings = {"max_epochs": 4, "start_epoch": 2, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(module, **{**settings, **params}, verbose=0)


def weights(clf):
    return {name: p.detach() for name, p in clf.module_.named_parameters()}


@pytest.mark.parametrize("at", [2, 3])
def test_layers_that_are_unfrozen_later(images, at):
    callbacks = [("freeze", Freezer("features*")), ("thaw", Unfreezer("features*", at=at))]
    fused, plain = (
        make(callbacks=copy.deepcopy(callbacks), optimizer__fused=on).fit(*images)
        for on in (True, False)
    )
    torch.testing.assert_close(weights(fused), weights(plain), rtol=1e-4, atol=1e-5)
    make(callbacks=copy.deepcopy(callbacks)).fit(*images)  # fused by default


class Skips(nn.Module):
    """A layer that the first calls do without."""

    def __init__(self, num_classes):
        super().__init__()
        self.cnn = SmallCNN(num_classes=num_classes, in_channels=3)
        self.late = nn.Linear(num_classes, num_classes)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        out = self.cnn(x)
        return out + self.late(out) if self.calls > 6 else out


def test_layers_that_early_steps_skip(images):
    fused, plain = (make(Skips, optimizer__fused=on).fit(*images) for on in (True, False))
    torch.testing.assert_close(weights(fused), weights(plain), rtol=1e-4, atol=1e-5)


class Scaled(nn.Module):
    """A loss that learns, from its tenth call on."""

    def __init__(self):
        super().__init__()
        self.scale, self.calls = nn.Parameter(torch.ones(())), 0

    def forward(self, logits, codes):
        self.calls += 1
        scale = self.scale if self.calls > 10 else 1.0
        return nn.functional.cross_entropy(logits * scale, codes)


def test_a_loss_that_joins_later(images):
    clf = make(criterion=Scaled).fit(*images)
    assert float(clf.criterion_.scale.detach()) != 1


@pytest.mark.parametrize("settings", [{}, {"nesterov": True}, {"weight_decay": 0.1}])
def test_it_is_sgd_of_torch(settings):
    torch.manual_seed(0)
    start = [torch.randn(3), torch.randn(2, 2)]
    ends = []
    for fused in (True, False):
        first, second = (p.clone().requires_grad_() for p in start)
        optimizer = torch.optim.SGD([first, second], lr=0.1, momentum=0.9, fused=fused, **settings)
        for step in range(5):
            optimizer.zero_grad()
            loss = (first**2).sum() + ((second**3).sum() if step > 1 else 0)
            loss.backward()
            begin_momentum(optimizer)
            optimizer.step()
        ends.append([first.detach(), second.detach()])
    torch.testing.assert_close(*ends)


def test_dampening_is_left_to_torch(images):
    clf = make(optimizer__dampening=0.1, max_epochs=1).fit(*images)
    assert not clf.optimizer_.defaults["fused"]


@pytest.mark.filterwarnings("ignore::sklearn_open.exceptions.NoBatchNormWarning")
def test_sparse_gradients(images):
    class Looked(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.embedding = nn.Embedding(256, num_classes, sparse=True)

        def forward(self, x):
            return self.embedding((x.flatten(1).abs() * 60).long().clamp(0, 255)).mean(1)

    X, y = images
    settings = {"optimizer__momentum": 0, "optimizer__weight_decay": 0, "max_epochs": 1}
    clf = make(Looked, **settings).fit(X.reshape(60, -1), y)
    assert not clf.optimizer_.defaults["fused"]
