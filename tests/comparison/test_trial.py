"""One fit on one fold."""

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.comparison._candidates import make_candidates
from sklearn_open.comparison._trial import Trials, fitted, nets_of


def net(**params):
    return OPeNClassifier(max_epochs=2, start_epoch=1, random_state=0, **params)


def trials(images, folds, kept=None):
    X, y = images
    return Trials(X, y, np.unique(y), folds, "accuracy", None, kept, "rows")


def test_a_corrected_candidate_is_measured_on_the_same_fit(images):
    group = make_candidates(net(), ["erm", "logit_adjusted"])
    folds = [(np.arange(40), np.arange(40, 60))]
    plain, corrected = trials(images, folds).run(group, 0)
    X, y = images
    for measured, strength in ((plain, 0.0), (corrected, 1.0)):
        by_hand = net(resampler=None, logit_adjustment=strength, verbose=0).fit(X[:40], y[:40])
        assert measured.score == by_hand.score(X[40:], y[40:])
    assert plain.fit_time == corrected.fit_time > 0
    assert plain.n_epochs == 2


def test_a_fold_without_a_class_has_room_for_it(images):
    y = images[1]
    folds = [(np.flatnonzero(y != 2), np.flatnonzero(y == 2))]
    (found,) = trials(images, folds).run(make_candidates(net(), ["erm"]), 0)
    assert found.score == 0
    assert found.confusion.shape == (3, 3)


def test_what_is_kept_is_not_fitted_again(images, counted, tmp_path):
    estimator = counted(**net().get_params(deep=False))
    group = make_candidates(estimator, ["erm"])
    folds = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    kept = trials(images, folds, str(tmp_path))
    first = kept.run(group, 0)
    ran = type(estimator).epochs_run
    assert kept.run(group, 0)[0].fit_time == first[0].fit_time
    assert type(estimator).epochs_run == ran
    kept.run(group, 1)
    assert type(estimator).epochs_run == 2 * ran


def test_a_fit_prints_nothing_and_leaves_the_estimator(images, capsys, tmp_path):
    estimator = net(verbose=1)
    result = fitted(estimator, *images, str(tmp_path))
    assert capsys.readouterr().out == ""
    assert not hasattr(estimator, "module_")
    assert result.memory is None
    assert nets_of(result) == [result]


@pytest.mark.parametrize("method", ["crt", "tau_norm"])
def test_the_stages_of_a_fit_are_found(images, method):
    (one,) = make_candidates(net(), [method])
    result = fitted(one.estimator, *images, None)
    stages = nets_of(result)
    assert len(stages) == (1 if result.final_estimator is None else 2)
    assert all(len(stage.history) for stage in stages)
