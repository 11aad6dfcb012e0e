"""One formula, for arrays and tensors."""

import numpy as np
import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open.calibration._prior import PriorDividedOut, divided_by, prior_factors

SETTINGS = {"max_epochs": 2, "start_epoch": 1, "random_state": 0, "verbose": 0}


def test_published_numbers():
    logits = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
    adjusted = divided_by(logits.softmax(1).numpy(), prior_factors([100, 10, 1], 1))
    np.testing.assert_allclose(adjusted, [[0.0112567, 0.305989, 0.682754]], rtol=2e-5)
    same = PriorDividedOut(torch.nn.Softmax(-1), [100, 10, 1], 1.0)(logits)
    np.testing.assert_allclose(same, adjusted, rtol=1e-6)


@pytest.mark.parametrize("tau", [-1, 0.5, 2])
def test_it_is_the_softmax_of_logits_minus_tau_log_prior(tau):
    rng = np.random.RandomState(0)
    logits, counts = rng.randn(7, 4), np.array([90, 7, 2, 1])
    expected = torch.softmax(torch.from_numpy(logits - tau * np.log(counts / 100)), 1)
    softmax = torch.softmax(torch.from_numpy(logits), 1).numpy()
    np.testing.assert_allclose(divided_by(softmax, prior_factors(counts, tau)), expected)
    shares = prior_factors(counts / 100, tau)
    np.testing.assert_allclose(divided_by(softmax, shares), expected)


def test_classes_without_rows_have_finite_factors():
    np.testing.assert_allclose(prior_factors([9, 0, 3], 1), [1 / 9, 1, 1 / 3])
    np.testing.assert_allclose(prior_factors([0.75, 0, 0.25], 1), [1 / 3, 1, 1])
    np.testing.assert_allclose(prior_factors([0.9, 0.1, 0], 1), [1 / 9, 1, 1])
    assert np.isfinite(divided_by(np.array([[0.5, 0.5]]), prior_factors([99, 1], 300))).all()


def test_in_the_classifier_it_costs_no_training(images):
    X = images[0]
    plain = OPeNClassifier(resampler=None, **SETTINGS).fit(*images)
    proba, epochs = plain.predict_proba(X), len(plain.history)
    plain.set_params(logit_adjustment=1.5)
    expected = divided_by(proba.astype(float), prior_factors([36, 18, 6], 1.5))
    np.testing.assert_allclose(plain.predict_proba(X), expected, rtol=1e-5)
    assert len(plain.history) == epochs
    plain.set_params(logit_adjustment=0)
    np.testing.assert_array_equal(plain.predict_proba(X), proba)
