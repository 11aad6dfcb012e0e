"""Warnings name the line of the user, whatever lies between it and the library."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open._warnings import warn_user
from sklearn_open.nn import convert_norm


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


def test_the_message_and_the_category_are_those_given():
    (found,) = caught(lambda: warn_user("what, and what to do", RuntimeWarning))
    assert (str(found.message), found.category) == ("what, and what to do", RuntimeWarning)
    assert found.filename == __file__


def test_a_warning_is_shown_once_per_line_by_default():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            warn_user("once")
    assert len(found) == 1


def test_frames_of_libraries_are_passed_over():
    code = compile("warn_user('deep')", "deep.py", "exec")
    in_library = {"__name__": "sklearn_open.deep", "warn_user": warn_user}

    def call():
        exec(code, in_library)

    (found,) = caught(call)
    assert found.filename == __file__


@pytest.fixture
def no_room(images):
    """An estimator that warns in `fit`: batches of two leave no room for noise."""
    settings = {"max_epochs": 1, "random_state": 0, "verbose": 0}
    return OPeNClassifier(batch_size=2, start_epoch=0, **settings), images


class OfAUser(OPeNClassifier):
    """A subclass as users write it."""

    def fit(self, X, y=None, **fit_params):
        return super().fit(X, y, **fit_params)


@pytest.mark.parametrize("way", ["fit", "partial_fit", "pipeline", "cross validation", "subclass"])
def test_the_line_that_called_is_named(no_room, way):
    clf, (X, y) = no_room
    X, y = X[:30], np.arange(30) % 4 // 3
    calls = {
        "fit": lambda: clf.fit(X, y),
        "partial_fit": lambda: clf.partial_fit(X, y),
        "pipeline": lambda: make_pipeline(clone(clf)).fit(X, y),
        "cross validation": lambda: cross_val_score(clf, X, y, cv=2),
        "subclass": lambda: OfAUser(**clf.get_params(deep=False)).fit(X, y),
    }
    found = [w for w in caught(calls[way]) if "no room for noise" in str(w.message)]
    assert found
    assert {w.filename for w in found} == {__file__}


def test_functions_name_the_line_too():
    (found,) = caught(lambda: convert_norm(nn.Sequential(nn.Linear(2, 2))))
    assert found.filename == __file__


def test_threads_of_python_s_pools_name_the_user_s_line():
    with warnings.catch_warnings(record=True) as told, ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        pool.submit(lambda: warn_user("told")).result()
    assert told[0].filename == __file__


def test_column_vectors_of_labels_name_the_user_s_line(images):
    X, y = images
    with pytest.warns(DataConversionWarning) as told:
        OPeNClassifier(max_epochs=0, verbose=0).fit(X, y[:, None])
    assert {warning.filename for warning in told} == {__file__}
