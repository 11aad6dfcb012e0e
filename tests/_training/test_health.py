"""Training that diverges stops, says where, and keeps the last good weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.exceptions import TrainingDivergedError


class Breaks(nn.CrossEntropyLoss):
    """A loss that is not finite in one of its training batches."""

    def __init__(self, at: int = 0, value: float = float("nan")) -> None:
        super().__init__()
        self.at, self.value, self.calls = at, value, 0

    def forward(self, logits, y):
        loss = super().forward(logits, y)
        self.calls += 1
        return loss * self.value if self.calls == self.at else loss


def make(**params):
    settings = {"max_epochs": 4, "batch_size": 20, "random_state": 0, "verbose": 0}
    return OPeNClassifier(**{**settings, "start_epoch": 1, **params})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_it_stops_and_keeps_the_weights_of_the_epoch_before(images, value, precision):
    expected = make(max_epochs=2, warmup_epochs=0, lr_milestones=(), precision=precision)
    expected.fit(*images)
    clf = make(warmup_epochs=0, lr_milestones=(), precision=precision)
    clf.set_params(criterion=Breaks, criterion__at=8, criterion__value=value)
    message = rf"became {value} in batch 2 of epoch 3 \(learning rate 0\.1\).*lower lr"
    with pytest.raises(TrainingDivergedError, match=message):
        clf.fit(*images)
    assert len(clf.history) == 2
    for mine, theirs in zip(
        clf.module_.state_dict().values(), expected.module_.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    probabilities = clf.set_params(predict_nonlinearity=lambda x: x.softmax(-1)).predict_proba(
        images[0]
    )
    assert np.isfinite(probabilities).all()


def test_training_can_go_on_after_it(images):
    clf = make(criterion=Breaks, criterion__at=8)
    with pytest.raises(TrainingDivergedError):
        clf.fit(*images)
    clf.criterion_.at = 0
    clf.partial_fit(*images)
    assert len(clf.history) == 6
    assert np.isfinite(clf.history[:, "train_loss"]).all()


def test_a_learning_rate_that_is_much_too_high_is_told(images):
    with pytest.raises(TrainingDivergedError, match="learning rate 1e"):
        make(lr=1e30, warmup_epochs=0, resampler=None).fit(*images)


def test_weights_that_the_last_step_spoilt_are_found(images):
    class Spoils(OPeNClassifier):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            super().on_batch_end(net, batch=batch, training=training, **kwargs)
            with torch.no_grad():
                next(self.module_.parameters()).view(-1)[0] = float("inf")

    clf = Spoils(max_epochs=1, batch_size=60, random_state=0, verbose=0)
    message = r"features.* became NaN or infinite at the end of epoch 1"
    with pytest.raises(TrainingDivergedError, match=message):
        clf.fit(*images)
    assert all(torch.isfinite(tensor).all() for tensor in clf.module_.state_dict().values())


class HasMask(SmallCNN):
    """Has a buffer that is infinite by intention, as masks of attention are."""

    def __init__(self, num_classes, in_channels):
        super().__init__(num_classes, in_channels)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))


def test_buffers_may_be_infinite_from_the_beginning(images):
    assert len(make(module=HasMask).fit(*images).history) == 4


def test_losses_of_rows_held_out_may_be_anything(images):
    from skorch.dataset import ValidSplit

    class Broken(OPeNClassifier):
        def validation_step(self, batch, **fit_params):
            step = super().validation_step(batch, **fit_params)
            return {**step, "loss": step["loss"] * float("nan")}

    clf = Broken(max_epochs=2, train_split=ValidSplit(3), random_state=0, verbose=0).fit(*images)
    assert np.isnan(clf.history[:, "valid_loss"]).all()
