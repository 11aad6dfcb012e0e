"""Displays of classifiers that train with another norm or another noise."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_open.inspection import (
    activation_distribution,
    batch_images,
    class_gradients,
    noise_robustness,
)
from sklearn_open.inspection._estimators import training_set
from sklearn_open.inspection._gradients import _both_arms
from sklearn_open.nn import AuxNorm
from sklearn_open.noise import GaussianNoise
from sklearn_open.over_sampling import PureNoiseAppender

VARIANTS = [
    {"norm": "aux"},
    {"norm": "standard"},
    {"resampler__noise": "additive"},
    {"resampler__noise": GaussianNoise(raw=True)},
    {"resampler": PureNoiseAppender()},
    {"resampler": PureNoiseAppender(noise="additive"), "norm": "aux"},
]


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def variant(request, unfitted, named_digits):
    return clone(unfitted).set_params(**request.param, max_epochs=3).fit(*named_digits)


def test_numbers_are_those_of_the_estimator_and_leave_it_as_it_is(variant, named_digits):
    X, y = named_digits
    before = variant.predict_proba(X)
    kinds = [type(layer) for layer in variant.module_.modules()]

    activations = activation_distribution(variant, X[:20], n_noise=30, layer=-1, random_state=0)
    assert activations.layer == "features.9"
    assert np.isfinite(activations.natural).all()
    assert np.isfinite(activations.noise).all()
    with pytest.raises(
        ValueError, match=r"number from 0 to 2, or one of 'features.1', 'features.5'"
    ):
        activation_distribution(variant, X[:20], layer=3)

    gradients = class_gradients(variant, X, y, n_batches=3)
    known = gradients.magnitude[np.isfinite(gradients.magnitude)]
    assert len(known)
    assert (known > 0).all()

    images = batch_images(variant, X, y)
    assert set(images.kinds) == {"natural", "noise"}
    assert images.images.shape[1:] == (1, 8, 8)

    noise_robustness(variant, X, y, y_train=y, noise_std=(0,), pixel_range=(0, 16))
    np.testing.assert_array_equal(variant.predict_proba(X), before)
    assert [type(layer) for layer in variant.module_.modules()] == kinds


def test_gradients_are_those_of_the_norm_that_is_trained(unfitted, named_digits):
    X, y = named_digits
    found = {}
    for norm in ("dar", "aux", "standard"):
        # Never trained, so that weights are the same.
        clf = clone(unfitted).set_params(norm=norm, max_epochs=3, lr=0).fit(X, y)
        assert any(isinstance(layer, AuxNorm) for layer in clf.module_.modules()) == (norm == "aux")
        found[norm] = class_gradients(clf, X, y, n_batches=3).magnitude
    for norm in ("aux", "standard"):
        np.testing.assert_allclose(found[norm][0], found["dar"][0], rtol=1e-4)
        assert not np.allclose(found[norm][1], found["dar"][1], rtol=1e-2, equal_nan=True)
    assert not np.allclose(found["aux"][1], found["standard"][1], rtol=1e-2, equal_nan=True)


def test_additive_noise_starts_from_the_duplicates_in_whose_place_it_is(unfitted, named_digits):
    X, y = named_digits
    clf = clone(unfitted).set_params(resampler__noise="additive", max_epochs=3).fit(X, y)
    clf, train = training_set(clf, X, y)
    rows, n_noise = next(clf.epoch_plan(2).batches())
    alone, x = _both_arms(clf, train, 2, 0, rows, n_noise)
    assert torch.equal(x[:-n_noise], alone[:-n_noise])
    pairs = torch.stack([x[-n_noise:], alone[-n_noise:]]).flatten(2)
    assert np.corrcoef(pairs.flatten(1).numpy())[0, 1] > 0.3
