"""skorch's files and pickles."""

import pickle

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.nn import DARNorm


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def test_pickle(images):
    clf = make(start_epoch=0).fit(*images)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(twin.predict_proba(images[0]), clf.predict_proba(images[0]))
    np.testing.assert_array_equal(twin.epoch_plan(7).index, clf.epoch_plan(7).index)
    assert twin.get_params()["device"] == "auto"
    twin.partial_fit(*images)  # still on two routes
    assert any(isinstance(layer, DARNorm) for layer in twin.module_.modules())


def test_weights_can_be_saved_and_loaded(images, tmp_path):
    pytest.importorskip("safetensors")
    clf = make().fit(*images)
    twin = make(max_epochs=0).fit(*images)
    for safe in (True, False):
        clf.save_params(f_params=tmp_path / "weights", use_safetensors=safe)
        twin.load_params(f_params=tmp_path / "weights", use_safetensors=safe)
        np.testing.assert_array_equal(twin.predict_proba(images[0]), clf.predict_proba(images[0]))
