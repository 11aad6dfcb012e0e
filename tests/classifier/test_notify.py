"""What callbacks see."""

import numpy as np
import pytest
from skorch.callbacks import EpochScoring, LRScheduler
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def test_a_schedule_of_skorch_s_takes_over(images):
    step = LRScheduler("StepLR", step_size=1, gamma=0.1)
    clf = make(callbacks=[("mine", step)]).fit(*images)
    assert clf.history[:, "lr"] == pytest.approx([0.05, 0.005, 0.0005])


@pytest.mark.parametrize("use_caching", [True, False])
def test_scorers_get_the_user_s_labels(images, use_caching):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    scores = [
        (f"on_train_{on_train}", EpochScoring("balanced_accuracy", name=f"score_{on_train}",
         on_train=on_train, use_caching=use_caching))
        for on_train in (True, False)
    ]  # fmt: skip
    split = ValidSplit(3, stratified=True)
    clf = make(tiny_net, resampler=None, train_split=split, callbacks=scores, max_epochs=8)
    clf.fit(X, names)
    assert clf.history[-1, "score_True"] > 0.5
    assert 0 <= clf.history[-1, "score_False"] <= 1
