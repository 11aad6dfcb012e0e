"""What every sampler keeps, found among the public names of `over_sampling`.

scikit-learn's and imbalanced-learn's own checks are in `test_estimator_checks.py`.
"""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_open import OPeNClassifier, PureNoiseOverSampler, over_sampling
from sklearn_open.over_sampling._base import NoiseSampler

SAMPLERS = [
    value
    for name in over_sampling.__all__
    if isinstance(value := getattr(over_sampling, name), type) and issubclass(value, NoiseSampler)
]


def check_originals_come_first(sampler, images):
    X, y = images
    sampler = clone(sampler)
    X_new, y_new = sampler.fit_resample(X, y)
    n = len(X)
    np.testing.assert_array_equal(X_new[:n], X)
    np.testing.assert_array_equal(y_new[:n], y)
    np.testing.assert_array_equal(sampler.sample_indices_[:n], np.arange(n))
    np.testing.assert_array_equal(y_new, y[sampler.sample_indices_])
    assert not sampler.noise_mask_[:n].any()
    assert sampler.makes_noise == sampler.noise_mask_.any()
    duplicates = ~sampler.noise_mask_
    np.testing.assert_array_equal(X_new[duplicates], X[sampler.sample_indices_[duplicates]])
    assert X_new.dtype == X.dtype


def check_draws_follow_the_random_state(sampler, images):
    first, second = (clone(sampler).fit_resample(*images)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = clone(sampler).set_params(random_state=1).fit_resample(*images)[0]
    assert not np.array_equal(first, other)


def check_the_classifier_takes_epochs_from_it(sampler, images):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    clf = OPeNClassifier(resampler=sampler, **settings, verbose=0).fit(*images)
    assert not clf.epoch_plan(0).is_noise.any()
    assert clf.epoch_plan(1).is_noise.any()


CHECKS = [
    check_originals_come_first,
    check_draws_follow_the_random_state,
    check_the_classifier_takes_epochs_from_it,
]


@pytest.mark.parametrize("kind", SAMPLERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(kind, check, images):
    check(kind(random_state=0), images)


class SmallestClassOnly(PureNoiseOverSampler):
    """A throw-away sampler: noise for the smallest class, and nothing else."""

    def draw(self, y, random_state):
        """Draw rows; see `NoiseSampler.draw`."""
        labels, counts = np.unique(y, return_counts=True)
        rows = np.flatnonzero(y == labels[counts.argmin()])
        added = random_state.choice(rows, size=counts.max() - counts.min())
        index = np.concatenate([np.arange(len(y)), added])
        return index, np.arange(len(index)) >= len(y)


def test_a_new_one_needs_a_draw(images):
    for check in CHECKS:
        check(SmallestClassOnly(random_state=0), images)
