"""What takes the place of the last weights: the average, with statistics that fit it."""

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from skorch.callbacks import EarlyStopping

from sklearn_open import OPeNClassifier
from sklearn_open.nn._aux_bn import auxiliary_layers

SETTINGS = {"max_epochs": 4, "start_epoch": 2, "batch_size": 30, "random_state": 0, "verbose": 0}


def assert_same(one, other):
    torch.testing.assert_close(one.module_.state_dict(), other.module_.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
def test_statistics_are_those_of_natural_rows(images, norm):
    clf = OPeNClassifier(averaging="swa", norm=norm, **SETTINGS).fit(*images)
    seen = []
    first = clf.module_.features[0]
    handle = first.register_forward_hook(lambda layer, x, out: seen.append(out.detach()))
    with torch.no_grad():
        clf.module_.eval()
        clf.module_(clf.transform_.evaluate(torch.from_numpy(images[0])))
    handle.remove()
    # Two batches of 30 rows, averaged: near the mean over all rows.
    mean = seen[0].mean(dim=(0, 2, 3))
    torch.testing.assert_close(clf.module_.features[1].running_mean, mean, rtol=1e-4, atol=1e-4)


def test_second_layers_keep_theirs(images):
    plain = OPeNClassifier(norm="aux", **SETTINGS).fit(*images)
    averaged = OPeNClassifier(norm="aux", averaging="swa", **SETTINGS).fit(*images)
    pairs = zip(auxiliary_layers(plain.module_), auxiliary_layers(averaged.module_), strict=True)
    for one, other in pairs:
        assert torch.equal(one.auxiliary.running_mean, other.auxiliary.running_mean)


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_checkpoints_shared_epochs_and_files(images, tmp_path, averaging):
    params = {"averaging": averaging, **SETTINGS}
    whole = OPeNClassifier(**params).fit(*images)
    with pytest.raises(RuntimeError, match="died"):
        Dies(checkpoint=tmp_path / "c", **params).fit(*images)
    for _ in range(2):  # the second takes the end from the folder
        resumed = OPeNClassifier(checkpoint=tmp_path / "c", **params).fit(*images)
        assert_same(resumed, whole)
    OPeNClassifier(memory=tmp_path / "m", **SETTINGS).fit(*images)
    assert_same(OPeNClassifier(memory=tmp_path / "m", **params).fit(*images), whole)
    assert len(list((tmp_path / "m").glob("joblib/**/output.pkl"))) == 1
    whole.save(tmp_path / "clf")
    loaded = OPeNClassifier.load(tmp_path / "clf")
    np.testing.assert_array_equal(loaded.predict_proba(images[0]), whole.predict_proba(images[0]))


class Dies(OPeNClassifier):
    """One that dies in its fourth epoch."""

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        if training and len(self.history) == 4:
            raise RuntimeError("died")
        super().run_single_epoch(iterator, training, *args, **kwargs)


def test_a_training_that_is_ended_early_has_the_average_so_far(images):
    stop = EarlyStopping("train_loss", patience=1, threshold=10, threshold_mode="abs")
    with pytest.warns(UserWarning, match="before rebalancing sets in"):
        OPeNClassifier(averaging="swa", callbacks=[stop], **SETTINGS).fit(*images)


def test_made_up_rows_are_not_in_the_statistics(images):
    params = {**SETTINGS, "resampler": SMOTE(k_neighbors=2), "averaging": "swa"}
    clf = OPeNClassifier(**params).fit(*images)
    assert int(clf.module_.features[1].num_batches_tracked) == 2
