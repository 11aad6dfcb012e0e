"""Post-hoc adjustment of any classifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_open import OPeNClassifier
from sklearn_open.calibration import LogitAdjustedClassifier

X, Y = make_classification(
    n_samples=600,
    n_informative=6,
    n_classes=3,
    weights=[0.85, 0.1],
    class_sep=0.7,
    random_state=0,
)
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(X, Y, stratify=Y, random_state=0)
NAMES = np.array(["z", "a", "m"])


class Counting(LogisticRegression):
    """Counts how often it was fitted."""

    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        Counting.n_fits += 1
        return super().fit(X, y, sample_weight)


@parametrize_with_checks([LogitAdjustedClassifier(LogisticRegression())])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("tau", [0.5, 1, 2])
def test_by_hand(tau):
    y = NAMES[Y_TRAIN]
    plain = LogisticRegression().fit(X_TRAIN, y)
    adjusted = LogitAdjustedClassifier(LogisticRegression(), tau).fit(X_TRAIN, y)
    shares = np.array([(y == label).mean() for label in plain.classes_])
    logits = np.log(plain.predict_proba(X_TEST)) - tau * np.log(shares)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(adjusted.predict_proba(X_TEST), expected)
    np.testing.assert_array_equal(adjusted.predict(X_TEST), plain.classes_[expected.argmax(axis=1)])
    np.testing.assert_allclose(adjusted.prior_, shares)
    assert adjusted.tau_ == tau


def test_it_finds_small_classes():
    plain = LogisticRegression().fit(X_TRAIN, Y_TRAIN)
    adjusted = LogitAdjustedClassifier(FrozenEstimator(plain)).fit(X_TRAIN, Y_TRAIN)
    before, after = (
        balanced_accuracy_score(Y_TEST, clf.predict(X_TEST)) for clf in (plain, adjusted)
    )
    assert after > before + 0.1


def test_tau_0_has_the_bits_of_the_classifier():
    plain = LogisticRegression().fit(X_TRAIN, Y_TRAIN)
    adjusted = LogitAdjustedClassifier(FrozenEstimator(plain), 0).fit(X_TRAIN, Y_TRAIN)
    np.testing.assert_array_equal(adjusted.predict_proba(X_TEST), plain.predict_proba(X_TEST))


def test_a_frozen_estimator_is_not_trained_and_knows_its_own_rows():
    frozen = FrozenEstimator(GaussianNB().fit(X_TRAIN, Y_TRAIN))
    balanced = np.concatenate([np.flatnonzero(Y_TEST == c)[:5] for c in range(3)])
    adjusted = LogitAdjustedClassifier(frozen).fit(X_TEST[balanced], Y_TEST[balanced])
    np.testing.assert_allclose(adjusted.prior_, np.bincount(Y_TRAIN) / len(Y_TRAIN))
    given = LogitAdjustedClassifier(frozen, prior=[3, 2, 1]).fit(X_TEST, Y_TEST)
    np.testing.assert_allclose(given.prior_, [1 / 2, 1 / 3, 1 / 6])


def test_a_network(images):
    clf = OPeNClassifier(resampler=None, max_epochs=2, random_state=0, verbose=0).fit(*images)
    adjusted = LogitAdjustedClassifier(FrozenEstimator(clf)).fit(*images)
    inside = clf.set_params(logit_adjustment=1.0).predict_proba(images[0])
    clf.set_params(logit_adjustment=0.0)
    np.testing.assert_allclose(adjusted.predict_proba(images[0]), inside, rtol=1e-5)
    np.testing.assert_allclose(adjusted.prior_, [0.6, 0.3, 0.1])
    whole = LogitAdjustedClassifier(OPeNClassifier(max_epochs=1, verbose=0)).fit(*images)
    assert whole.predict(images[0]).shape == (60,)


def test_a_search_over_tau_trains_once():
    Counting.n_fits = 0
    frozen = FrozenEstimator(Counting().fit(X_TRAIN, Y_TRAIN))
    grid = {"tau": [0, 0.5, 1.0, 1.5]}
    search = GridSearchCV(LogitAdjustedClassifier(frozen), grid, scoring="balanced_accuracy")
    search.fit(X_TEST, Y_TEST)
    assert Counting.n_fits == 1
    assert search.best_params_["tau"] > 0


def test_memory_trains_each_fold_once(tmp_path):
    Counting.n_fits = 0
    adjusted = LogitAdjustedClassifier(Counting(), memory=str(tmp_path))
    GridSearchCV(adjusted, {"tau": [0, 1, 2]}, cv=3, refit=False).fit(X_TRAIN, Y_TRAIN)
    assert Counting.n_fits == 3


def test_in_a_pipeline():
    whole = make_pipeline(StandardScaler(), LogitAdjustedClassifier(LogisticRegression()))
    inner = LogitAdjustedClassifier(make_pipeline(StandardScaler(), LogisticRegression()))
    one, other = (clf.fit(X_TRAIN, Y_TRAIN).predict_proba(X_TEST) for clf in (whole, inner))
    np.testing.assert_allclose(one, other)
    search = GridSearchCV(whole, {"logitadjustedclassifier__tau": [0, 1]})
    assert search.fit(X_TRAIN, Y_TRAIN).best_score_ > 0.5


def test_tau_is_chosen_inside():
    chosen = LogitAdjustedClassifier(LogisticRegression(), "cv", cv=3).fit(X_TRAIN, Y_TRAIN)
    assert len(chosen.cv_scores_) == 21
    assert chosen.cv_scores_.max() == chosen.cv_scores_[round(10 * chosen.tau_)]
    assert chosen.tau_ > 0
    for scoring in ("accuracy", "neg_log_loss"):
        other = LogitAdjustedClassifier(
            LogisticRegression(), "cv", taus=(0.0, 1.0), scoring=scoring
        ).fit(X_TRAIN, Y_TRAIN)
        assert other.tau_ == 0
    ties = LogitAdjustedClassifier(
        LogisticRegression(), "cv", taus=(0.2, 3.0), scoring=lambda clf, X, y: 1.0
    )
    assert ties.fit(X_TRAIN, Y_TRAIN).tau_ == 0.2


def test_data_frames_keep_their_columns():
    frame = pd.DataFrame(X_TRAIN, columns=[f"c{i}" for i in range(X.shape[1])])
    adjusted = LogitAdjustedClassifier(LogisticRegression()).fit(frame, Y_TRAIN)
    assert adjusted.feature_names_in_.tolist() == list(frame.columns)
    assert adjusted.n_features_in_ == X.shape[1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tau": "auto"}, r"tau='auto'.*'cv'"),
        ({"tau": None}, "tau=None"),
        ({"tau": "cv", "taus": []}, r"taus=\[\]"),
        ({"prior": [0.5, -0.5, 1]}, "pass a share, or a count, for each class"),
        ({"prior": [0.5, 0.5]}, r"for each class \(3 of them\)"),
        ({"prior": "uniform"}, "pass a share, or a count, for each class"),
        ({"scoring": None}, "scoring=None: pass a scorer"),
    ],
)
def test_wrong_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        LogitAdjustedClassifier(LogisticRegression(), **params).fit(X_TRAIN, Y_TRAIN)


def test_what_it_cannot_do():
    with pytest.raises(TypeError, match="SVC has no predict_proba"):
        LogitAdjustedClassifier(SVC()).fit(X_TRAIN, Y_TRAIN)
    assert not hasattr(LogitAdjustedClassifier(SVC()), "predict_proba")
    with pytest.raises(NotFittedError):
        LogitAdjustedClassifier(LogisticRegression()).predict(X_TEST)
    frozen = FrozenEstimator(LogisticRegression().fit(X_TRAIN, Y_TRAIN))
    with pytest.raises(ValueError, match=r"labels that the estimator does not know: \[7\]"):
        LogitAdjustedClassifier(frozen).fit(X_TEST, np.where(Y_TEST == 2, 7, Y_TEST))


def test_folds_see_labels_as_they_were_given():
    """Weights by label, and classes in another order, are those of the whole fit."""
    names = np.array(["a", "b", "c"])[Y_TRAIN]
    weighted = LogisticRegression(class_weight={"a": 1, "b": 9, "c": 70})
    assert LogitAdjustedClassifier(weighted, "cv").fit(X_TRAIN, names).tau_ < 0.5
    params = {"resampler": None, "max_epochs": 8, "start_epoch": 0, "random_state": 0}
    scores = [
        LogitAdjustedClassifier(
            OPeNClassifier(classes=order, verbose=0, **params), "cv", taus=(0.0, 1.0), cv=3
        )
        .fit(X_TRAIN.astype(np.float32), names)
        .cv_scores_
        for order in (["a", "b", "c"], ["c", "a", "b"])
    ]
    assert min(map(min, scores)) > 0.33


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_rows_may_lack_a_class_that_a_frozen_estimator_knows():
    frozen = FrozenEstimator(LogisticRegression().fit(X_TRAIN, Y_TRAIN))
    rows = Y_TEST != 1
    adjusted = LogitAdjustedClassifier(frozen, "cv", prior=[0.85, 0.1, 0.05])
    assert adjusted.fit(X_TEST[rows], Y_TEST[rows]).predict_proba(X_TEST).shape[1] == 3


def test_weights_of_rows_are_in_the_prior():
    weight = 1 / np.bincount(Y_TRAIN)[Y_TRAIN]
    adjusted = LogitAdjustedClassifier(LogisticRegression())
    adjusted.fit(X_TRAIN, Y_TRAIN, sample_weight=weight)
    np.testing.assert_allclose(adjusted.prior_, 1 / 3)
    told = FrozenEstimator(GaussianNB(priors=[0.2, 0.3, 0.5]).fit(X_TRAIN, Y_TRAIN))
    np.testing.assert_allclose(
        LogitAdjustedClassifier(told).fit(X_TEST, Y_TEST).prior_, [0.2, 0.3, 0.5]
    )
