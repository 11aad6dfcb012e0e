"""Averages of weights, step by step and epoch by epoch."""

import copy
import pickle

import pytest
import torch
from skorch.callbacks import EarlyStopping

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import WeightAveraging
from sklearn_open.callbacks._averaging import Decaying

SETTINGS = {"max_epochs": 5, "start_epoch": 2, "batch_size": 16, "random_state": 0, "verbose": 0}


def test_decay_is_slow_to_set_in_and_can_be_pickled():
    mean = Decaying(0.9)
    average, values = [torch.zeros(1)], [torch.tensor([v]) for v in (1.0, 5.0, -2.0)]
    expected = 0.0
    for t, value in enumerate(values, start=1):
        mean(average, [value], None)
        left = min(0.9, (1 + t) / (10 + t))
        expected = left * expected + (1 - left) * value.item()
        mean = pickle.loads(pickle.dumps(mean))
    assert average[0].item() == pytest.approx(expected)


class Recorder(OPeNClassifier):
    """Keeps the weights of every step, before they are averaged."""

    def train_step(self, batch, **fit_params):
        step = super().train_step(batch, **fit_params)
        self.__dict__.setdefault("seen", []).append(copy.deepcopy(self.module_.fc.weight.detach()))
        return step


def test_what_is_averaged(images):
    plain = Recorder(**SETTINGS).fit(*images)
    per_epoch = len(plain.seen) // 5
    late = plain.seen[2 * per_epoch :]
    swa = OPeNClassifier(averaging="swa", **SETTINGS).fit(*images)
    ends = torch.stack(late[per_epoch - 1 :: per_epoch])
    torch.testing.assert_close(swa.module_.fc.weight.detach(), ends.mean(0))
    ema = OPeNClassifier(averaging="ema", **SETTINGS, callbacks__averaging__decay=0.5)
    expected = late[0].clone()
    for t, weight in enumerate(late[1:], start=1):
        left = min(0.5, (1 + t) / (10 + t))
        expected = left * expected + (1 - left) * weight
    torch.testing.assert_close(ema.fit(*images).module_.fc.weight.detach(), expected)


def test_what_comes_before_the_start_is_not_averaged(images):
    one = OPeNClassifier(averaging="swa", **{**SETTINGS, "start_epoch": 4}).fit(*images)
    none = OPeNClassifier(**{**SETTINGS, "start_epoch": 4}).fit(*images)
    for own, plain in zip(one.module_.parameters(), none.module_.parameters(), strict=True):
        assert torch.equal(own, plain)


def test_training_that_goes_on_has_an_average_of_its_own(images):
    clf = OPeNClassifier(averaging="swa", **{**SETTINGS, "lr_milestones": (9,)}).fit(*images)
    callback = dict(clf.callbacks_)["averaging"]
    assert isinstance(callback, WeightAveraging)
    assert callback.average_ is None
    clf.partial_fit(*images)
    assert callback.average_ is None
    pickle.dumps(clf)


@pytest.mark.parametrize("decay", [1, -0.1, "0.9"])
def test_wrong_decays_are_refused_before_training(images, decay):
    clf = OPeNClassifier(averaging="ema", callbacks__averaging__decay=decay, **SETTINGS)
    with pytest.raises(ValueError, match="callbacks__averaging__decay="):
        clf.fit(*images)


def test_what_would_throw_the_average_away_is_refused(images):
    best = EarlyStopping("train_loss", patience=50, load_best=True)
    with pytest.raises(ValueError, match=r"averaging='swa'.*load_best=True"):
        OPeNClassifier(averaging="swa", callbacks=[best], **SETTINGS).fit(*images)


@pytest.mark.parametrize("params", [{"start_epoch": 9}, {"callbacks__averaging": None}])
def test_an_average_of_nothing_is_told_of(images, params):
    with pytest.warns(UserWarning, match="has averaged nothing"):
        OPeNClassifier(averaging="swa", **{**SETTINGS, **params}).fit(*images)
