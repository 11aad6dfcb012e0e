"""Accuracy by class size, as functions and as scorers."""

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
from sklearn_open.datasets import long_tailed_counts
from sklearn_open.metrics import (
    equal_group_accuracy,
    geometric_mean_scorer,
    make_group_scorer,
    make_shot_scorer,
    shot_accuracy,
)


def test_groups_run_from_the_smallest_classes():
    y_train = np.repeat(np.arange(10), [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    y_true = np.repeat(np.arange(10), 10)
    right = np.arange(1, 11)  # class c: c + 1 of 10 right
    y_pred = np.concatenate([np.where(np.arange(10) < r, c, (c + 1) % 10) for c, r in
                             zip(range(10), right, strict=True)])  # fmt: skip
    got = equal_group_accuracy(y_true, y_pred, y_train=y_train)
    np.testing.assert_allclose(got, [0.95, 0.75, 0.55, 0.35, 0.15])


def test_labels_are_the_user_s_and_uneven_groups_are_allowed():
    y_train = ["a"] * 3 + ["b"] * 2 + ["c"]
    got = equal_group_accuracy(
        ["a", "b", "c", "c"], ["a", "a", "c", "b"], y_train=y_train, n_groups=2
    )
    np.testing.assert_allclose(got, [0.25, 1.0])  # c and b, then a


def test_a_group_without_test_samples_is_nan():
    got = equal_group_accuracy([0, 0], [0, 0], y_train=[0, 0, 1], n_groups=2)
    np.testing.assert_array_equal(got, [np.nan, 1])


@pytest.mark.parametrize("n_groups", [0, 3, 1.5, True])
def test_more_groups_than_classes(n_groups):
    with pytest.raises(
        ValueError, match=rf"n_groups={n_groups}, but the training labels have 2 classes"
    ):
        equal_group_accuracy([0, 1], [0, 1], y_train=[0, 1], n_groups=n_groups)


def test_by_default_few_classes_are_groups_of_their_own():
    y = np.repeat(["a", "b", "c"], [3, 2, 1])
    got = equal_group_accuracy(y, np.repeat(["a", "b"], [4, 2]), y_train=y)
    np.testing.assert_allclose(got, [0, 0.5, 1])
    many = np.repeat(np.arange(7), np.arange(1, 8))
    assert len(equal_group_accuracy(many, many, y_train=many)) == 5


# --- many, medium, few ---


def test_bounds_of_the_groups():
    y_train = np.repeat(np.arange(6), [101, 100, 99, 20, 19, 1])
    y_pred = np.array([0, 1, 0, 3, 0, 5])  # classes 2 and 4 are wrong
    got = shot_accuracy(np.arange(6), y_pred, y_train=y_train)
    assert list(got) == ["many", "medium", "few"]
    assert got == pytest.approx({"many": 1, "medium": 2 / 3, "few": 1 / 2})
    got = shot_accuracy(np.arange(6), y_pred, y_train=y_train, many=99, few=2)
    assert got == pytest.approx({"many": 1, "medium": 1 / 3, "few": 1})


def test_groups_of_cifar100_lt():
    """35 / 35 / 30 classes at imbalance ratio 100, 41 / 41 / 18 at 50."""
    for ratio, sizes in ((100, (35, 35, 30)), (50, (41, 41, 18))):
        y_train = np.repeat(np.arange(100), long_tailed_counts(500, 100, imbalance_ratio=ratio))
        for i, shot in enumerate(("many", "medium", "few")):
            one_wrong = np.arange(100)
            one_wrong[[0, 50, 99][i]] = -1
            got = shot_accuracy(np.arange(100), one_wrong, y_train=y_train)
            assert got[shot] == pytest.approx(1 - 1 / sizes[i])
            assert sum(got.values()) == pytest.approx(3 - 1 / sizes[i])


def test_accuracy_of_a_group_is_that_of_its_classes_not_of_its_rows():
    y_true = np.repeat(["a", "b"], [90, 10])
    got = shot_accuracy(y_true, np.repeat("a", 100), y_train=["a", "b"] * 30)
    assert got["medium"] == 0.5


def test_groups_without_classes_or_test_rows_are_nan_and_new_classes_are_few():
    got = shot_accuracy([0, 0], [0, 1], y_train=[0] * 50 + [1] * 200)
    np.testing.assert_equal(got, {"many": np.nan, "medium": 0.5, "few": np.nan})
    assert shot_accuracy([0, 7], [0, 0], y_train=[0] * 50)["few"] == 0


def test_bounds_that_overlap():
    assert shot_accuracy([0], [0], y_train=[0] * 10, many=9, few=10)["many"] == 1
    for call in (
        lambda: shot_accuracy([0], [0], y_train=[0], many=5, few=7),
        lambda: make_shot_scorer(many=5, few=7),
    ):
        with pytest.raises(ValueError, match="few=7 and many=5 overlap: a class of 6 samples"):
            call()


# --- scorers ---


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
