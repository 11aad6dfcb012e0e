"""Probabilities."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_open import OPeNClassifier


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def test_probabilities(images):
    proba = make().fit(*images).predict_proba(images[0])
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def test_not_fitted(images):
    for call in (
        lambda: OPeNClassifier().predict(images[0]),
        lambda: OPeNClassifier().epoch_plan(0),
    ):
        with pytest.raises(NotFittedError):
            call()
