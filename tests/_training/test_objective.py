"""What is minimised in which epoch."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping
from torch.nn import functional as F
from torchvision.models import googlenet

from sklearn_open import OPeNClassifier
from sklearn_open.losses import effective_number_weights

SETTINGS = {"max_epochs": 4, "start_epoch": 2, "batch_size": 16, "random_state": 0, "verbose": 0}


class Recorder(OPeNClassifier):
    """Keeps logits, codes and loss of every step, with the number of its epoch."""

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        seen = self.__dict__.setdefault("seen", [])
        seen.append((len(self.history) - 1, step["y_pred"], batch[1], step["loss"]))
        return step


@pytest.mark.parametrize("resampler", [None, "default"])
def test_class_weights_set_in_at_the_start_epoch(images, resampler):
    params = {} if resampler == "default" else {"resampler": None}
    clf = Recorder(class_weight="effective", class_weight__beta=0.9, **params, **SETTINGS)
    clf.fit(*images)
    weights = torch.from_numpy(effective_number_weights([36, 18, 6], 0.9)).float()
    for epoch, logits, codes, loss in clf.seen:
        expected = F.cross_entropy(logits, codes, weights if epoch >= 2 else None)
        torch.testing.assert_close(loss, expected)


def test_the_plain_mean_of_weighted_rows(images):
    clf = Recorder(
        class_weight={1: 4}, class_weight__reduction="mean", **{**SETTINGS, "start_epoch": 0}
    ).fit(*images)
    weights = torch.tensor([1.0, 4, 1])
    for _, logits, codes, loss in clf.seen:
        rows = F.cross_entropy(logits, codes, reduction="none")
        torch.testing.assert_close(loss, (weights[codes] * rows).mean())


@pytest.mark.parametrize("class_weight", ["balanced", {"b": 2.0, "a": 1.5}])
def test_weights_are_by_label(images, class_weight):
    X, y = images[0], np.array(["c", "a", "b"])[images[1]]
    params = {**SETTINGS, "class_weight": class_weight, "start_epoch": 0}
    clf = Recorder(resampler=None, **params).fit(X, y)
    by_label = {"a": 60 / 54, "b": 60 / 18, "c": 60 / 108}
    if class_weight != "balanced":
        by_label = {"a": 1.5, "b": 2.0, "c": 1.0}
    weights = torch.tensor([by_label[label] for label in clf.classes_])
    for _, logits, codes, loss in clf.seen:
        torch.testing.assert_close(loss, F.cross_entropy(logits, codes, weights))


def test_auxiliary_heads_are_weighted_as_well():
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, (4, 3, 64, 64), dtype=np.uint8), [0, 0, 0, 1]
    params = {"module__init_weights": False, "max_epochs": 1, "random_state": 0, "verbose": 0}
    clf = Recorder(
        googlenet, class_weight={1: 3}, start_epoch=0, resampler=None, mixup=1.0, **params
    ).fit(X, y)
    assert np.isfinite([loss.item() for *_, loss in clf.seen]).all()


def test_weights_can_be_set_on_a_fitted_estimator(images):
    clf = OPeNClassifier(**SETTINGS).fit(*images)
    clf.set_params(class_weight="balanced", start_epoch=0, lr_milestones=(9,))
    clf.partial_fit(*images)
    assert clf.class_count_.tolist() == [72, 36, 12]


def test_a_training_that_ends_before_its_weights_set_in_is_told_of(images):
    stop = EarlyStopping("train_loss", patience=1, threshold=10, threshold_mode="abs")
    clf = OPeNClassifier(resampler=None, class_weight="balanced", callbacks=[stop], **SETTINGS)
    with pytest.warns(UserWarning, match="no class weight, late loss or average was at work"):
        clf.fit(*images)


def test_a_loop_of_parts_is_told_of_shares_that_are_lost(images):
    params = {"max_epochs": 1, "start_epoch": 0.8, "lr_milestones": (9,), "verbose": 0}
    clf = OPeNClassifier(resampler=None, criterion="deferred", **params)
    clf.partial_fit(*images)
    with pytest.warns(UserWarning, match=r"start_epoch=0\.8"):
        clf.partial_fit(*images)
