"""Pace: a few steps of each method."""

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.comparison._candidates import make_candidates
from sklearn_open.comparison._pace import _some_rows, measure_pace


def candidate(method="open", **params):
    net = OPeNClassifier(
        **{"max_epochs": 50, "batch_size": 8, "random_state": 0, "verbose": 0, **params}
    )
    return make_candidates(net, [method])[0]


def test_every_kind_of_epoch_is_timed(images, counted):
    one = candidate()
    pace = measure_pace(one, *images, seed=0)
    assert min(pace.before, pace.after) > 0
    assert pace.second == 0
    assert one.estimator.max_epochs == 50  # not changed
    assert measure_pace(one, *images, seed=0, precise=True).before > 0
    assert measure_pace(candidate("crt"), *images, seed=0).second > 0
    assert measure_pace(candidate(batch_size=-1), *images, seed=0).before > 0
    assert measure_pace(candidate(batch_size="auto"), *images, seed=0).before > 0


def test_what_cannot_be_trained_is_named(images):
    with pytest.raises(ValueError, match="The method 'ldam_drw' cannot be trained here"):
        measure_pace(candidate("ldam_drw", module="torchvision:squeezenet1_1"), *images, seed=0)


def test_some_rows_have_some_of_each_class():
    y = np.repeat([0, 1, 2], [1000, 5, 1])
    rows = _some_rows(y, 20, seed=0)
    assert len(np.unique(rows)) == len(rows) <= 26
    assert np.bincount(y[rows])[1:].tolist() == [2, 1]
    np.testing.assert_array_equal(rows, _some_rows(y, 20, seed=0))
