"""Scorers of accuracy by class size."""

import pickle

import numpy as np
import pytest
from imblearn.metrics import geometric_mean_score
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open.metrics import (
    equal_group_accuracy,
    geometric_mean_scorer,
    make_group_scorer,
    make_shot_scorer,
    shot_accuracy,
)


def make(**kwargs):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(verbose=0, **{**settings, **kwargs})


@pytest.fixture(scope="module")
def fitted(images):
    X, y = images
    return make().fit(X, np.array(["a", "b", "c"])[y])


def identity():
    return FunctionTransformer()


@pytest.mark.parametrize("group", [0, 1, -1])
def test_group_scorer_takes_the_sizes_from_the_classifier(images, fitted, group):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    score = make_group_scorer(group, n_groups=3)(fitted, X, names)
    expected = equal_group_accuracy(names, fitted.predict(X), y_train=names, n_groups=3)
    assert score == expected[group]
    assert isinstance(score, float)


def test_group_scorer_of_fewer_than_five_classes(images, fitted):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    assert make_group_scorer()(fitted, X, names) == make_group_scorer(n_groups=3)(fitted, X, names)
    with pytest.raises(ValueError, match="group=4 is not one of 3 groups"):
        make_group_scorer(4)(fitted, X, names)


@pytest.mark.parametrize("shot", ["many", "medium", "few"])
def test_shot_scorer_takes_the_sizes_from_the_classifier(images, fitted, shot):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    expected = shot_accuracy(names, fitted.predict(X), y_train=names, many=20, few=10)
    scorer = pickle.loads(pickle.dumps(make_shot_scorer(shot, many=20, few=10)))
    assert scorer(fitted, X, names) == expected[shot]
    assert not np.isnan(expected[shot])


def test_sizes_are_those_of_the_rows_trained_on(images):
    X, y = images
    seen = []

    class Spy(OPeNClassifier):
        def predict(self, X):
            seen.append(np.bincount(self.planner_.codes).tolist())
            return super().predict(X)

    clf = Spy(max_epochs=1, batch_size=16, random_state=0, verbose=0)
    # 36, 18 and 6 rows in all: 24, 12 and 4 in a fold, of which "few" is the last alone.
    scores = cross_val_score(clf, X, y, cv=3, scoring=make_shot_scorer(many=30, few=6))
    assert seen == [[24, 12, 4]] * 3
    assert np.isfinite(scores).all()
    assert np.isnan(make_shot_scorer("many", many=30, few=6)(clf.fit(X[:30], y[:30]), X, y))
    held_out = make(train_split=ValidSplit(3, stratified=True)).fit(X, y)
    assert np.isnan(make_shot_scorer("many", many=30, few=6)(held_out, X, y))


def test_scorers_in_searches_and_pipelines(images):
    X, y = images
    pipeline = make_pipeline(identity(), make())
    scoring = {"few": make_group_scorer(n_groups=3), "g_mean": geometric_mean_scorer}
    search = GridSearchCV(
        pipeline,
        {"openclassifier__delta": [0, 1]},
        scoring=scoring,
        refit="few",
        cv=2,
        n_jobs=2,
        error_score="raise",
    )
    search.fit(X, y)
    assert search.cv_results_["mean_test_few"].shape == (2,)
    assert search.score(X, y) == scoring["few"](search.best_estimator_, X, y)
    nested = cross_validate(
        search.set_params(n_jobs=1), X, y, cv=2, scoring=scoring, error_score="raise"
    )
    assert np.isfinite(nested["test_few"]).all()


def test_geometric_mean(images, fitted):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    expected = geometric_mean_score(names, fitted.predict(X))
    assert geometric_mean_scorer(fitted, X, names) == expected
    assert pickle.loads(pickle.dumps(geometric_mean_scorer))(fitted, X, names) == expected


@pytest.mark.parametrize("make_scorer", [make_group_scorer, make_shot_scorer])
def test_other_classifiers_need_the_training_labels(images, make_scorer):
    X, y = images
    few = {"n_groups": 3} if make_scorer is make_group_scorer else {"few": 10}
    dummy = DummyClassifier(strategy="constant", constant=2).fit(X, y)
    with pytest.raises(ValueError, match=r"DummyClassifier was trained on are not known.*y_train="):
        make_scorer(**few)(dummy, X, y)
    assert make_scorer(y_train=y, **few)(dummy, X, y) == 1
    resampling = make_imblearn_pipeline(identity(), RandomOverSampler(), make(max_epochs=1))
    X = X.reshape(60, -1)
    resampling.fit(X, y)
    with pytest.raises(ValueError, match="Step 'randomoversampler' of the pipeline resamples"):
        make_scorer(**few)(resampling, X, y)
    assert 0 <= make_scorer(y_train=y, **few)(resampling, X, y) <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_group_scorer(5), r"group=5 is not one of 5 groups.*from 0, the smallest"),
        (lambda: make_group_scorer(-3, n_groups=2), "group=-3 is not one of 2 groups"),
        (lambda: make_group_scorer("few"), "group='few' is not one of 5 groups"),
        (lambda: make_shot_scorer("zero"), "shot='zero' is unknown. Use one of 'many', 'medium'"),
    ],
)
def test_groups_that_there_are_not(call, message):
    with pytest.raises(ValueError, match=message):
        call()
