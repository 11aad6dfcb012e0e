"""Every tool of scikit-learn and imbalanced-learn, around the classifier, on small real images."""

import operator
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from imblearn.pipeline import Pipeline as ImblearnPipeline
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, get_scorer, get_scorer_names
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import SmallCNN, WideResNet
from sklearn_open.datasets import make_long_tailed

ROOT = Path(__file__).parents[2]
NAMES = np.array(["zero", "one", "two"])  # not in the order of the digits


@pytest.fixture(scope="module")
def digits():
    """Digits 0, 1 and 2: 177, 55 and 17 images (n, 8, 8), float32 in 0..1, in mixed order."""
    X, y = load_digits(n_class=3, return_X_y=True)
    X, y = make_long_tailed(X, y, imbalance_ratio=10)
    order = np.random.RandomState(0).permutation(len(y))
    return (X[order].reshape(-1, 8, 8) / 16).astype(np.float32), y[order]


@pytest.fixture(scope="module")
def flat(digits):
    X, y = digits
    return X.reshape(len(X), -1), y


@pytest.fixture(scope="module")
def pair(digits):
    """Digits 0 and 1."""
    X, y = digits
    return X[y < 2], y[y < 2]


def make(**kwargs):
    settings = {
        "module__width": 8,
        "max_epochs": 10,
        "start_epoch": 0.5,
        "batch_size": 32,
        "precision": "float32",
        "device": "cpu",
        "random_state": 0,
        "verbose": 0,
    }
    return OPeNClassifier(**{**settings, **kwargs})


def to_images():
    return FunctionTransformer(operator.methodcaller("reshape", -1, 8, 8))


def to_table():
    return FunctionTransformer(operator.methodcaller("reshape", -1, 64))


def weights(clf):
    return torch.cat([value.flatten().double() for value in clf.module_.state_dict().values()])


def balanced(model, X, y):
    return balanced_accuracy_score(y, model.predict(X))


# --- searches ---

GRIDS = [
    {"delta": [0, 1]},
    {"resampler__delta": [0, 1]},
    {"module__width": [4, 8]},
    {"optimizer__weight_decay": [0.0, 0.1]},
    {"start_epoch": [0, 0.9]},
]


def search_result(search):
    results = search.cv_results_
    return [results[name] for name in sorted(results) if name.startswith(("split", "mean_test"))]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: next(iter(grid)))
def test_grid_search(digits, grid):
    X, y = digits
    scored = {}
    for n_jobs in (1, 2):
        search = GridSearchCV(
            make(max_epochs=4),
            grid,
            cv=2,
            scoring="neg_log_loss",
            n_jobs=n_jobs,
            error_score="raise",
        )
        scored[n_jobs] = search_result(search.fit(X, NAMES[y]))
    np.testing.assert_array_equal(scored[1], scored[2])
    (name,) = grid
    assert search.best_estimator_.get_params()[name] == search.best_params_[name]
    assert len(set(search.cv_results_["mean_test_score"])) == 2  # the parameter has an effect
    assert set(search.predict(X)) <= set(NAMES)


def test_halving_grid_search(digits):
    X, y = digits
    grid = {name: values for grid in GRIDS for name, values in grid.items()}
    del grid["resampler__delta"], grid["module__width"]
    scored = {}
    for n_jobs in (1, 2):
        search = HalvingGridSearchCV(
            make(),
            grid,
            resource="max_epochs",
            min_resources=1,
            max_resources=8,
            factor=4,
            cv=2,
            scoring="neg_log_loss",
            random_state=0,
            n_jobs=n_jobs,
            error_score="raise",
        )
        scored[n_jobs] = search_result(search.fit(X, y))
    np.testing.assert_array_equal(scored[1], scored[2])
    assert search.n_resources_ == [1, 4]
    assert search.best_estimator_.max_epochs == 4


def test_a_whole_pipeline_is_searched(flat):
    X, y = flat
    pipeline = Pipeline([("scale", StandardScaler()), ("shape", to_images()), ("clf", make())])
    grid = {"scale__with_std": [False, True], "clf__resampler__noise": ["gaussian", "uniform"]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_estimator_["clf"].image_shape_ == (1, 8, 8)
    assert balanced(search, X, y) > 0.9


# --- meta-estimators ---


def test_cross_val_predict(digits):
    X, y = digits
    proba = cross_val_predict(make(), X, NAMES[y], cv=3, method="predict_proba")
    labels = cross_val_predict(make(), X, NAMES[y], cv=3)
    np.testing.assert_array_equal(np.unique(NAMES)[proba.argmax(axis=1)], labels)
    assert balanced_accuracy_score(NAMES[y], labels) > 0.9


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: CalibratedClassifierCV(make(), cv=2),
        lambda: CalibratedClassifierCV(make(), cv=2, ensemble=False, method="temperature"),
        lambda: StackingClassifier(
            [("plain", make(resampler=None)), ("open", make())], LogisticRegression(), cv=2
        ),
        lambda: VotingClassifier([("plain", make(resampler=None)), ("open", make())]),
        lambda: VotingClassifier([("a", make()), ("b", make(random_state=1))], voting="soft"),
        lambda: OneVsRestClassifier(make()),
    ],
    ids=["calibrated", "temperature", "stacking", "hard voting", "soft voting", "one vs rest"],
)
def test_meta_estimators_take_images(digits, wrap):
    X, y = digits
    model = wrap().fit(X, NAMES[y])
    np.testing.assert_array_equal(model.classes_, np.unique(NAMES))
    assert balanced(model, X, NAMES[y]) > 0.9
    if hasattr(model, "predict_proba"):
        assert model.predict_proba(X).shape == (len(X), 3)


@pytest.mark.parametrize("labels", [NAMES, np.array([False, True])], ids=["str", "bool"])
def test_tuned_threshold(pair, labels):
    X, y = pair
    scoring = get_scorer("balanced_accuracy")
    model = TunedThresholdClassifierCV(make(), scoring=scoring, cv=2, thresholds=9)
    assert balanced(model.fit(X, labels[y]), X, labels[y]) > 0.9
    assert 0 <= model.best_threshold_ <= 1


def test_bagging_of_rows_that_are_images(flat):
    X, y = flat
    for estimator in (make(image_shape=(8, 8)), make_pipeline(to_images(), make())):
        model = BaggingClassifier(estimator, n_estimators=2, random_state=0).fit(X, NAMES[y])
        assert balanced(model, X, NAMES[y]) > 0.8
        first, second = (e if isinstance(e, OPeNClassifier) else e[-1] for e in model.estimators_)
        assert first.image_shape_ == (1, 8, 8)
        assert not torch.equal(weights(first), weights(second))


def test_learning_curve(digits):
    X, y = digits
    sizes, train, test = learning_curve(
        make(),
        X,
        y,
        train_sizes=[0.5, 1.0],
        cv=2,
        shuffle=True,
        random_state=0,
        scoring="balanced_accuracy",
        error_score="raise",
    )
    assert sizes[1] // 2 == sizes[0]
    assert np.isfinite([train, test]).all()
    assert test[1].mean() > 0.8


def test_permutation_importance(flat):
    X, y = flat
    clf = make(image_shape=(8, 8)).fit(X, y)
    result = permutation_importance(clf, X, y, n_repeats=2, scoring="neg_log_loss", random_state=0)
    importance = result.importances_mean.reshape(8, 8)
    assert (importance[:, 0] == 0).all()  # a column that is blank in (nearly) all digits
    assert importance[:, 2:6].max() > 0


# --- pipelines ---


@pytest.mark.parametrize("kind", [Pipeline, ImblearnPipeline], ids=["sklearn", "imblearn"])
def test_pipelines(flat, kind):
    X, y = flat
    model = kind([("scale", MinMaxScaler()), ("shape", to_images()), ("clf", make())])
    model.fit(X, NAMES[y])
    assert is_classifier(model)
    np.testing.assert_array_equal(model.classes_, np.unique(NAMES))
    assert balanced(model, X, NAMES[y]) > 0.9
    assert model[:-1].transform(X).shape == (len(X), 8, 8)
    in_one = make().fit(MinMaxScaler().fit_transform(X).reshape(-1, 8, 8), NAMES[y])
    assert torch.equal(weights(model[-1]), weights(in_one))


def test_the_sampler_before_another_classifier(digits):
    X, y = digits
    model = make_imblearn_pipeline(
        PureNoiseOverSampler(random_state=0), to_table(), RandomForestClassifier(20, random_state=0)
    )
    search = GridSearchCV(
        model, {"purenoiseoversampler__delta": [0, 1 / 3, 1]}, cv=2, n_jobs=2, error_score="raise"
    )
    search.fit(X, NAMES[y])
    assert len(search.predict(X)) == len(X)  # no rows are added when predicting
    counts = np.bincount(np.unique(NAMES[y], return_inverse=True)[1])
    sampler = search.best_estimator_[0]
    assert len(sampler.sample_indices_) == 3 * counts.max()
    assert balanced(search, X, NAMES[y]) > 0.9


def test_the_sampler_before_the_classifier(digits):
    X, y = digits
    model = make_imblearn_pipeline(PureNoiseOverSampler(random_state=0), make(resampler=None))
    assert len(model.fit(X, y)[-1].planner_.codes) == 3 * np.bincount(y).max()
    assert len(model.predict(X)) == len(X)


def test_set_output(flat):
    pd = pytest.importorskip("pandas")
    X, y = flat
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    model = make_pipeline(StandardScaler(), make(image_shape=(8, 8)))
    model.set_output(transform="pandas").fit(frame, y)
    assert isinstance(model[:-1].transform(frame), pd.DataFrame)
    assert list(model[-1].feature_names_in_) == list(frame.columns)
    plain = make_pipeline(StandardScaler(), make(image_shape=(8, 8))).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(frame), plain.predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("wrap", [make_pipeline, lambda clf: clf])
def test_representations(digits, wrap):
    model = wrap(make(delta=0.25))
    for _ in range(2):
        for text in (repr(model), str(model), model._repr_html_()):
            assert "OPeNClassifier" in text
        assert "delta" in model._repr_html_()
        model.fit(*digits)


# --- copies ---

IN_ANOTHER_PROCESS = """
import pickle, sys
import joblib, numpy as np, torch
torch.set_num_threads(1)
X = np.load("X.npy")
with open("model.pkl", "rb") as file:
    pickled = pickle.load(file)
joblibbed = joblib.load("model.joblib")
mapped = joblib.load("model.joblib", mmap_mode="r")
for name, model in [("pickle", pickled), ("joblib", joblibbed), ("mapped", mapped)]:
    np.save(name + ".npy", model.predict_proba(X))
    np.save(name + "_labels.npy", model.predict(X))
pickled.fit(X, np.load("y.npy"))
np.save("refit.npy", pickled.predict_proba(X))
"""


def test_fitted_in_one_process_predicts_in_another(flat, tmp_path, monkeypatch):
    X, y = flat
    model = make_pipeline(StandardScaler(), to_images(), make(device="auto")).fit(X, NAMES[y])
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", NAMES[y])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    joblib.dump(model, tmp_path / "model.joblib")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS], cwd=tmp_path, check=True)
    for name in ("pickle", "joblib", "mapped", "refit"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), model.predict_proba(X))
    np.testing.assert_array_equal(np.load(tmp_path / "mapped_labels.npy"), model.predict(X))


def test_a_clone_is_unfitted(digits):
    clf = make(module=SmallCNN, resampler=PureNoiseOverSampler(delta=0.5)).fit(*digits)
    twin = clone(clf)
    assert [name for name in vars(twin) if name.endswith("_")] == []
    assert not twin.initialized_
    with pytest.raises(NotFittedError):
        check_is_fitted(twin)
    with pytest.raises(NotFittedError):
        twin.predict(digits[0])
    assert torch.equal(weights(twin.fit(*digits)), weights(clf))


def same(name, first, second):
    if name.startswith("callbacks__"):  # skorch makes its default callbacks anew for every call
        return type(first) is type(second)
    return first is second or repr(first) == repr(second)


@pytest.mark.parametrize("fitted", [False, True])
def test_every_parameter_goes_round(digits, fitted):
    clf = make(
        module=SmallCNN,
        resampler=PureNoiseOverSampler(),
        resampler__noise="uniform",
        optimizer__momentum=0.5,
        callbacks=[("score", EpochScoring("accuracy", on_train=True))],
        max_epochs=1,
    )
    if fitted:
        clf.fit(*digits)
    before = clf.get_params()
    for name, value in before.items():
        assert same(name, clf.set_params(**{name: value}).get_params()[name], value), name
    after = clone(clf).set_params(**before).get_params()
    assert set(before) <= set(after)
    for name, value in before.items():
        assert same(name, after[name], value), name


OTHER_VALUES = {
    "batch_size": 16,
    "callbacks__lr_schedule": None,
    "callbacks__lr_schedule__decay": 0.5,
    "callbacks__valid_acc__name": "accuracy",
    "compile": False,
    "criterion__label_smoothing": 0.1,
    "dataset__length": None,
    "delta": 0.5,
    "iterator_train__num_workers": 0,
    "iterator_valid__batch_size": 8,
    "lr": 0.01,
    "module": SmallCNN,
    "module__width": 4,
    "optimizer": torch.optim.Adam,
    "optimizer__lr": 0.02,
    "optimizer__momentum": 0.1,
    "optimizer__nesterov": True,
    "resampler": None,
    "resampler__delta": 0.5,
    "start_epoch": 0,
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("name", list(OTHER_VALUES))
def test_what_is_set_is_kept_by_refits_and_clones(digits, name, fitted):
    clf = make(max_epochs=1)
    value = OTHER_VALUES[name]
    if fitted:
        clf.fit(*digits)
    clf.set_params(**{name: value})
    copy = clone(clf)
    assert clf.get_params()[name] == value
    assert copy.get_params()[name] == value
    if name == "dataset__length":
        return  # images have a data set of their own
    given = make(**{"max_epochs": 1, name: value}).fit(*digits)
    for model in (clf, copy):
        assert torch.equal(weights(model.fit(*digits)), weights(given))
        assert model.get_params()[name] == value
        assert type(model.optimizer_) is type(given.optimizer_)


def test_the_optimizer_of_training_that_goes_on_can_be_changed(digits):
    clf = make(max_epochs=1).fit(*digits)
    before = weights(clf)
    clf.set_params(optimizer=torch.optim.Adam, optimizer__betas=(0.5, 0.9), lr=1e-3)
    assert torch.equal(weights(clf), before)
    clf.partial_fit(*digits)
    assert isinstance(clf.optimizer_, torch.optim.Adam)
    assert clf.optimizer_.param_groups[0]["betas"] == (0.5, 0.9)
    assert len(clf.history) == 2


@pytest.mark.parametrize("name", sorted(OPeNClassifier().get_params(deep=False)))
def test_every_parameter_can_be_given_and_set(name):
    value = None if name == "callbacks" else object()
    assert OPeNClassifier(**{name: value}).get_params()[name] is value
    assert OPeNClassifier().set_params(**{name: value}).get_params()[name] is value


# --- one random_state, one result ---


def fitted_in_parallel(clf, X, y, backend, n_jobs, n_fits=4):
    everything = np.arange(len(y))
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        result = cross_validate(
            clf, X, y, cv=[(everything, everything)] * n_fits, return_estimator=True
        )
    return result["estimator"]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_at_the_same_time_are_one_fit(digits, backend, dropout):
    X, y = digits
    clf = OPeNClassifier(
        WideResNet,
        module__depth=10,
        module__widen_factor=1,
        module__dropout=dropout,
        augment="cutout",
        max_epochs=2,
        start_epoch=1,
        random_state=0,
        verbose=0,
    )
    state = torch.get_rng_state()
    expected = weights(clone(clf).fit(X, y))
    for fitted in fitted_in_parallel(clf, X, y, backend, n_jobs=2):
        assert torch.equal(weights(fitted), expected)
    assert torch.equal(torch.get_rng_state(), state)


# --- scoring ---


def works(scorer, model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(np.isfinite(scorer(model, X, y)))
        except (ValueError, TypeError):
            return False


@pytest.fixture(scope="module")
def scored(digits):
    """For 2 and 3 classes of strings or numbers: a fitted classifier and a linear one."""
    X, y = digits
    fitted = {}
    for labels in (NAMES, np.arange(3)):
        for n_classes in (2, 3):
            rows = y < n_classes
            data = X[rows], labels[y[rows]]
            linear = make_pipeline(to_table(), LogisticRegression()).fit(*data)
            fitted[labels.dtype.kind, n_classes] = make().fit(*data), linear, data
    return fitted


@pytest.mark.parametrize("name", get_scorer_names())
def test_every_scorer_that_fits_a_classifier(scored, name):
    """Whatever works with LogisticRegression works here; 2 and 3 classes, strings and numbers."""
    scorer = get_scorer(name)
    for clf, linear, (X, y) in scored.values():
        if works(scorer, linear, X, y):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", category=UserWarning)  # metrics of clusterings
                assert np.isfinite(scorer(clf, X, y))


def test_scorers_tried_are_those_of_classifiers(scored):
    tried = {
        key: {name for name in get_scorer_names() if works(get_scorer(name), *model_and_data)}
        for key, (_, linear, data) in scored.items()
        for model_and_data in [(linear, *data)]
    }
    always = {"accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef", "neg_log_loss"}
    assert all(always <= names for names in tried.values())
    assert {"roc_auc", "f1", "average_precision", "neg_brier_score"} <= tried["i", 2]
    assert {"roc_auc_ovr", "roc_auc_ovo_weighted", "neg_brier_score"} <= tried["U", 3]


def test_scorers_of_probabilities_know_the_order_of_the_columns(scored):
    for (_, n_classes), (clf, _, (X, y)) in scored.items():
        assert get_scorer("neg_log_loss")(clf, X, y) > -0.3
        assert get_scorer("roc_auc" if n_classes == 2 else "roc_auc_ovr")(clf, X, y) > 0.95


# --- labels ---


LABELS = {
    "str": NAMES,
    "gapped int": np.array([70, -5, 12]),
    "uint8": np.array([200, 3, 7], dtype=np.uint8),
    "float": np.array([2.0, -1.0, 0.0]),
    "object str": NAMES.astype(object),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("kind", list(LABELS))
def test_labels_come_back_as_they_went_in(digits, kind):
    X, y = digits
    names = LABELS[kind]
    rows = y < len(names)
    X, labels = X[rows], names[y[rows]]
    split = ValidSplit(3, stratified=True)
    clf = make(train_split=split).fit(X, labels)
    np.testing.assert_array_equal(clf.classes_, np.unique(names))
    predicted, proba = clf.predict(X), clf.predict_proba(X)
    assert predicted.dtype == names.dtype
    np.testing.assert_array_equal(predicted, clf.classes_[proba.argmax(axis=1)])
    assert balanced_accuracy_score(labels.astype(str), predicted.astype(str)) > 0.9
    held_out = next(iter(split.check_cv(labels).split(X, labels.astype(str))))[1]
    right = np.mean(predicted[held_out] == labels[held_out])
    assert clf.history[-1, "valid_acc"] == pytest.approx(right)
    assert right > 0.8


def test_classes_order_the_columns(digits):
    X, y = digits
    order = ["two", "zero", "three", "one"]
    clf = make(classes=order).fit(X, NAMES[y])
    assert list(clf.classes_) == order
    proba = clf.predict_proba(X)
    np.testing.assert_array_equal(np.array(order)[proba.argmax(axis=1)], clf.predict(X))
    assert balanced(clf, X, NAMES[y]) > 0.9
    assert proba[:, 2].max() < 0.5


@pytest.mark.parametrize("values", [[70, -5, 12], [True, False, False]])
def test_numbers_in_object_arrays_are_refused_as_scikit_learn_does(digits, values):
    """No metric or splitter of scikit-learn takes them: they would fail later."""
    X, y = digits
    labels = np.array(values, dtype=object)[y]
    for clf in (make(), make_pipeline(to_table(), LogisticRegression())):
        with pytest.raises(ValueError, match="Unknown label type"):
            clf.fit(X, labels)
