"""The many fits of a search or a cross-validation print nothing, unless they are asked to."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback, PrintLog

from sklearn_open import OPeNClassifier
from sklearn_open._training.search import is_one_of_many


def make(**params):
    return OPeNClassifier(**{"max_epochs": 2, "start_epoch": 1, "random_state": 0, **params})


@pytest.fixture(scope="module")
def pair(images):
    X, y = images
    return X[y < 2], y[y < 2]


GRID = {"delta": [0, 1]}
CURVE = {"train_sizes": [0.5, 1.0], "cv": 2, "shuffle": True, "random_state": 0}
NOTHING_KEPT = {
    "cross_val_score": lambda clf, X, y: cross_val_score(clf, X, y, cv=2),
    "cross_validate": lambda clf, X, y: cross_validate(clf, X, y, cv=2),
    "cross_val_predict": lambda clf, X, y: cross_val_predict(clf, X, y, cv=2),
    "learning_curve": lambda clf, X, y: learning_curve(clf, X, y, **CURVE),
    "incremental": lambda clf, X, y: learning_curve(
        clf, X, y, exploit_incremental_learning=True, **CURVE
    ),
    "validation_curve": lambda clf, X, y: validation_curve(
        clf, X, y, param_name="delta", param_range=[0, 1], cv=2
    ),
    "permutation_test": lambda clf, X, y: permutation_test_score(
        clf, X, y, cv=2, n_permutations=1, random_state=0
    ),
    "calibrated": lambda clf, X, y: CalibratedClassifierCV(clf, cv=2).fit(X, y),
    "no refit": lambda clf, X, y: GridSearchCV(clf, GRID, cv=2, refit=False).fit(X, y),
    "nested": lambda clf, X, y: cross_val_score(GridSearchCV(clf, GRID, cv=2), X, y, cv=2),
    "pipeline": lambda clf, X, y: cross_val_score(
        make_pipeline(FunctionTransformer(), clf), X, y, cv=2
    ),
}
REFITTED = {
    "grid": lambda clf, X, y: GridSearchCV(clf, GRID, cv=2).fit(X, y),
    "randomized": lambda clf, X, y: RandomizedSearchCV(
        clf, GRID, n_iter=2, cv=2, random_state=0
    ).fit(X, y),
    "halving": lambda clf, X, y: HalvingGridSearchCV(clf, GRID, cv=2, random_state=0).fit(X, y),
    "threshold": lambda clf, X, y: TunedThresholdClassifierCV(clf, cv=2, thresholds=3).fit(X, y),
    "temperature": lambda clf, X, y: CalibratedClassifierCV(
        clf, cv=2, ensemble=False, method="temperature"
    ).fit(X, y),
}


def epochs(out):
    """Return the numbers of the epochs that a line was printed for."""
    return [int(line.split()[0]) for line in out.splitlines() if line.split()[0].isdigit()]


@pytest.mark.parametrize("name", list(NOTHING_KEPT))
def test_nothing_is_printed(pair, capfd, name):
    NOTHING_KEPT[name](make(), *pair)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize("name", list(REFITTED))
def test_the_fit_that_is_kept_prints(pair, capfd, name):
    REFITTED[name](make(), *pair)
    out, err = capfd.readouterr()
    assert epochs(out) == [1, 2]
    assert out.count("train_loss") == 1
    assert err == ""


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_are_as_quiet(images, capfd, backend):
    with parallel_config(backend=backend, n_jobs=2):
        search = GridSearchCV(make(), GRID, cv=2).fit(*images)
    assert epochs(capfd.readouterr().out) == [1, 2]
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.parametrize(("verbose", "n_fits"), [(0, 0), (1, 0), (2, 2), (True, 0), (10, 2)])
def test_how_much_is_asked_for(images, capfd, verbose, n_fits):
    cross_val_score(make(verbose=verbose), *images, cv=2)
    assert epochs(capfd.readouterr().out) == [1, 2] * n_fits


@pytest.mark.parametrize(("verbose", "seen"), [(1, False), (2, True)])
def test_epochs_from_memory_are_told_of_as_epochs_are(images, tmp_path, capfd, verbose, seen):
    clf = make(memory=tmp_path, verbose=verbose)
    GridSearchCV(clf, {"delta": [0, 0.5]}, cv=2, refit=False).fit(*images)
    assert ("were taken from" in capfd.readouterr().out) is seen
    everything = np.arange(len(images[1]))
    GridSearchCV(clf, {"delta": [1]}, cv=[(everything, everything)]).fit(*images)
    assert "Epochs 1 to 1 were taken from" in capfd.readouterr().out  # the refit


def test_so_are_checkpoints(images, tmp_path, capfd):
    everything = np.arange(len(images[1]))
    clf = make(checkpoint=tmp_path).fit(*images)
    capfd.readouterr()
    cross_val_score(clf, *images, cv=[(everything, everything)])
    assert capfd.readouterr().out == ""
    clf.fit(*images)
    assert "Training goes on after epoch 2" in capfd.readouterr().out


class Talks(Callback):
    def on_epoch_end(self, net, **kwargs):
        if net.verbose:
            print("epoch over")


@pytest.mark.parametrize("callback", [Talks, PrintLog])
def test_callbacks_that_ask_for_verbose_are_as_quiet(images, capfd, callback):
    cross_val_score(make(callbacks=[callback()]), *images, cv=2)
    assert capfd.readouterr().out == ""


def test_a_sink_of_one_s_own_gets_every_line(images, capfd):
    lines = []
    cross_val_score(make(callbacks__print_log__sink=lines.append), *images, cv=2)
    assert epochs("\n".join(lines)) == [1, 2, 1, 2]
    assert capfd.readouterr().out == ""


def test_the_parameter_stays_what_was_given(images):
    inside = []

    def scoring(clf, X, y):
        inside.append((is_one_of_many(), clf.get_params()["verbose"], clf.verbose))
        return 0.0

    search = GridSearchCV(make(max_epochs=1), {"verbose": [1, 2]}, cv=2, scoring=scoring)
    search.fit(*images)
    assert sorted(set(inside)) == [(True, 1, 0), (True, 2, 2)]
    assert search.best_estimator_.verbose == 1
    assert not is_one_of_many()


def _fit_and_score(clf, X, y):
    """Of the same name as scikit-learn's, but a user's."""
    return clf.fit(X, y)


def test_other_functions_of_that_name_do_not_matter(images, capfd):
    _fit_and_score(make(), *images)
    assert epochs(capfd.readouterr().out) == [1, 2]
