"""Accuracy of large and of small classes along post-hoc logit adjustment."""

import copy

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from matplotlib import pyplot as plt
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sklearn_open import OPeNClassifier
from sklearn_open.calibration import LogitAdjustedClassifier
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.inspection import HeadTailTradeOffDisplay, head_tail_trade_off
from sklearn_open.metrics import equal_group_accuracy

TAUS = (-0.5, 0, 0.5, 1, 1.5)
NUMBERS = ("large_class_accuracy", "small_class_accuracy", "accuracy")


def flat(X):
    return X.reshape(len(X), -1)


@pytest.fixture(scope="module")
def flat_digits(named_digits):
    X, y = named_digits
    return flat(X), y


@pytest.fixture(scope="module")
def forest(flat_digits):
    X, y = flat_digits
    return RandomForestClassifier(15, max_depth=4, random_state=0).fit(X, y)


def assert_same(curve, expected):
    for name in NUMBERS:
        np.testing.assert_allclose(curve[name], expected[name], err_msg=name)


# --- the numbers ---


def test_each_tau_is_the_adjusted_classifier(forest, flat_digits):
    X, y = flat_digits
    curve = head_tail_trade_off(forest, X, y, taus=TAUS, y_train=y)
    np.testing.assert_array_equal(curve.taus, TAUS)
    for i, tau in enumerate(TAUS):
        y_pred = LogitAdjustedClassifier(FrozenEstimator(forest), tau).fit(X, y).predict(X)
        groups = equal_group_accuracy(y, y_pred, y_train=y)
        assert curve.large_class_accuracy[i] == pytest.approx(groups[-1])
        assert curve.small_class_accuracy[i] == pytest.approx(groups[0])
        assert curve.accuracy[i] == pytest.approx(balanced_accuracy_score(y, y_pred))
    assert curve.small_class_accuracy[3] > curve.small_class_accuracy[1] + 0.1
    assert curve.large_class_accuracy[3] < curve.large_class_accuracy[1]


def test_by_hand():
    """Counts 9 and 1: the prior's ratio is 9, so `tau` 0.5 divides odds by 3."""
    y = ["big", "big", "small", "small"]
    prob = np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2], [0.6, 0.4]])
    shown = HeadTailTradeOffDisplay.from_predictions(y, prob, [9, 1], taus=[0, 0.5, 1])
    np.testing.assert_array_equal(shown.large_class_accuracy, [1, 0.5, 0])
    np.testing.assert_array_equal(shown.small_class_accuracy, [0, 0.5, 1])
    np.testing.assert_array_equal(shown.accuracy, [0.5, 0.5, 0.5])
    assert shown.best_tau_ == 0  # the smallest of equal ones
    with np.errstate(divide="ignore"):
        logs = np.log([[1.0, 0.0], *prob[1:]])
    of_logs = HeadTailTradeOffDisplay.from_predictions(y, logs, [9, 1], taus=[0, 0.5, 1])
    np.testing.assert_array_equal(of_logs.large_class_accuracy, [1, 0.5, 0.5])
    np.testing.assert_array_equal(of_logs.small_class_accuracy, shown.small_class_accuracy)


def test_from_estimator_is_from_predictions(forest, flat_digits):
    X, y = flat_digits
    of_estimator = HeadTailTradeOffDisplay.from_estimator(forest, X, y, y_train=y, n_groups=3)
    counts = np.unique(y, return_counts=True)[1]
    of_predictions = HeadTailTradeOffDisplay.from_predictions(
        y, forest.predict_proba(X), counts, n_groups=3
    )
    assert_same(vars(of_estimator), vars(of_predictions))
    assert (of_estimator.name, of_predictions.name) == ("RandomForestClassifier", None)


def test_predictions_are_asked_for_once(flat_digits):
    X, y = flat_digits
    calls = []

    class Counting(GaussianNB):
        def predict_proba(self, X):
            calls.append(len(X))
            return super().predict_proba(X)

    head_tail_trade_off(Counting(var_smoothing=0.1).fit(X, y), X, y)
    assert calls == [len(X)]


def test_tau_is_the_whole_strength(fitted, named_digits):
    """Whatever a classifier has been set to, the curve is the same, and each point is what
    `logit_adjustment` of that strength predicts."""
    X, y = named_digits
    expected = head_tail_trade_off(fitted, X, y, taus=TAUS)
    for strength in (0.5, 1.5):
        adjusted = copy.copy(fitted)
        adjusted.__dict__["logit_adjustment"] = strength
        assert_same(head_tail_trade_off(adjusted, X, y, taus=TAUS), expected)
        pipeline = make_pipeline(FunctionTransformer(), FrozenEstimator(adjusted))
        assert_same(head_tail_trade_off(pipeline, X, y, taus=TAUS), expected)
        own = balanced_accuracy_score(y, adjusted.predict(X))
        assert own == pytest.approx(expected.accuracy[TAUS.index(strength)])
        around = LogitAdjustedClassifier(FrozenEstimator(adjusted), tau=0.7).fit(X, y)
        assert_same(head_tail_trade_off(around, X, y, taus=TAUS), expected)


def test_two_stages_are_their_result(images):
    X, y = images
    net = OPeNClassifier(max_epochs=2, batch_size=16, random_state=0, verbose=0)
    plain = DecoupledClassifier(net, final_estimator=None, tau=0.7).fit(X, y)
    expected = head_tail_trade_off(plain, X, y, taus=TAUS)
    plain.estimator_.set_params(logit_adjustment=1.0)
    assert_same(head_tail_trade_off(plain, X, y, taus=TAUS), expected)


def test_sizes_that_a_classifier_knows(flat_digits):
    X, y = flat_digits
    bayes = GaussianNB(var_smoothing=0.1).fit(X, y)
    assert_same(head_tail_trade_off(bayes, X, y), head_tail_trade_off(bayes, X, y, y_train=y))
    adjusted = LogitAdjustedClassifier(LogisticRegression(max_iter=500)).fit(X / 16, y)
    known = head_tail_trade_off(adjusted, X / 16, y)
    assert_same(known, head_tail_trade_off(adjusted, X / 16, y, y_train=y))


def test_sizes_that_are_not_known(forest, flat_digits, named_digits, fitted):
    X, y = flat_digits
    with pytest.raises(ValueError, match="pass the training labels as y_train="):
        head_tail_trade_off(forest, X, y)
    with pytest.raises(ValueError, match="pass the training labels as y_train="):
        head_tail_trade_off(FrozenEstimator(make_pipeline(forest)), X, y)
    resampled = make_imblearn_pipeline(RandomOverSampler(random_state=0), GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="resamples, so its classifier has not seen"):
        head_tail_trade_off(resampled, X, y)
    assert head_tail_trade_off(resampled, X, y, y_train=y).accuracy.shape == (9,)


def test_classes_without_training_rows_are_in_no_group():
    y, prob = ["a", "a", "b", "c"], np.eye(3)[[0, 1, 1, 0]] * 0.7 + 0.1
    with_c = HeadTailTradeOffDisplay.from_predictions(y, prob, [5, 2, 0])
    groups = equal_group_accuracy(y, ["a", "b", "b", "a"], y_train=["a"] * 5 + ["b"] * 2)
    assert (with_c.small_class_accuracy[0], with_c.large_class_accuracy[0]) == tuple(groups)
    assert with_c.accuracy[0] == groups.mean()


def test_test_rows_of_some_classes():
    y, prob = ["a", "b"], np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]])
    options = {"class_counts": [5, 2, 1], "labels": ["a", "b", "c"]}
    with pytest.raises(ValueError, match=r"no test rows of the smallest classes \(1 of 3\)"):
        HeadTailTradeOffDisplay.from_predictions(y, prob, **options)
    both = HeadTailTradeOffDisplay.from_predictions(y, prob, n_groups=2, taus=[0, 1], **options)
    np.testing.assert_array_equal(both.small_class_accuracy, [0, 1])
    with pytest.raises(ValueError, match=r"pass all of them as labels="):
        HeadTailTradeOffDisplay.from_predictions(y, prob, [5, 2, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taus": 1.0}, r"taus=1.0: pass a sequence of numbers"),
        ({"taus": []}, r"taus=\[\]: pass a sequence"),
        ({"taus": [0, np.nan]}, "pass a sequence of numbers"),
        ({"n_groups": 1}, "n_groups of 2 or more"),
        ({"n_groups": 11}, "n_groups=11, but the training labels have 10 classes"),
        ({"y_train": ["ten"]}, r"y_train has labels that no column .* stands for: \['ten'\]"),
    ],
)
def test_what_is_refused(fitted, named_digits, options, message):
    with pytest.raises(ValueError, match=message):
        head_tail_trade_off(fitted, *named_digits, **options)


def test_what_is_no_classifier_with_probabilities(flat_digits, named_digits, fitted):
    X, y = flat_digits
    with pytest.raises(TypeError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"):
        head_tail_trade_off(LinearSVC(max_iter=5).fit([[0.0], [1.0]], [0, 1]), X, y, y_train=y)
    with pytest.raises(ValueError, match=r"y has labels .*: \['ten'\]"):
        head_tail_trade_off(fitted, named_digits[0][:1], ["ten"])


@pytest.mark.parametrize("counts", [[5], [5, -1], [5, np.nan]])
def test_counts(counts):
    with pytest.raises(ValueError, match="training rows of each of 2 classes"):
        HeadTailTradeOffDisplay.from_predictions([0, 1], [[0.5, 0.5]] * 2, counts)


# --- the picture ---


def test_curve_and_markers():
    display = HeadTailTradeOffDisplay([0, 1, 2], [0.9, 0.8, 0.5], [0.1, 0.5, 0.6], [0.5, 0.7, 0.6])
    ax = display.plot(name="A").ax_
    np.testing.assert_allclose(display.line_.get_xydata(), [[90, 10], [80, 50], [50, 60]])
    assert display.best_tau_ == 1
    drawn = {line.get_marker(): line for line in ax.lines if len(line.get_xdata()) == 1}
    np.testing.assert_allclose(drawn["s"].get_xydata(), [[90, 10]])
    np.testing.assert_allclose(drawn["*"].get_xydata(), [[80, 50]])
    assert {line.get_color() for line in drawn.values()} == {display.line_.get_color()}
    assert [text.get_text() for text in ax.texts] == ["1"]
    assert legend_of(ax) == ["tau = 0", "best balanced accuracy, and its tau", "A"]


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_methods_in_one_axes():
    _, ax = plt.subplots()
    shown = [
        HeadTailTradeOffDisplay([0, 1], [0.9, 0.8], [0.1, 0.5], [0.5, 0.7], name=name).plot(ax=ax)
        for name in "ABC"
    ]
    assert len({display.line_.get_color() for display in shown}) == 3
    assert sorted(legend_of(ax)) == [
        "A",
        "B",
        "C",
        "best balanced accuracy, and its tau",
        "tau = 0",
    ]


def test_what_is_not_known_is_not_marked():
    display = HeadTailTradeOffDisplay([0.5, 1], [0.9, 0.8], [0.1, 0.5]).plot()
    assert display.best_tau_ is None
    assert len(display.ax_.lines) == 1
    assert display.ax_.get_legend() is None


def test_runs_become_a_mean_with_error_bars():
    large = np.array([[0.9, 0.7], [0.8, 0.5]])
    small = np.array([[0.1, 0.4], [0.3, 0.8]])
    display = HeadTailTradeOffDisplay([0, 1], large, small, [[0.5, 0.4], [0.5, 0.7]]).plot()
    np.testing.assert_allclose(display.line_.get_xydata(), [[85, 20], [60, 60]])
    assert display.best_tau_ == 1
    (bars,) = display.ax_.containers
    ends = [np.array(lines.get_segments()) for lines in bars[2]]
    lengths = [np.ptp(ends[0][:, :, 0], axis=1), np.ptp(ends[1][:, :, 1], axis=1)]
    np.testing.assert_allclose(lengths, [200 * large.std(axis=0), 200 * small.std(axis=0)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (([90, 80], [0.1, 0.5]), "Divide percentages by 100"),
        (([0.9, 0.8], [0.1, np.nan]), "small_class_accuracy=.*known accuracy for each tau"),
        (([0.9], [0.1]), r"shapes \[\(1,\), \(1,\)\], for 2 taus"),
        (([0.9, 0.8], [[0.1, 0.5]]), r"shapes \[\(2,\), \(1, 2\)\], for 2 taus"),
        (([0.9, 0.8], [0.1, 0.5], [0.5]), r"shapes .*\(1,\)\], for 2 taus"),
        (([[[0.9, 0.8]]], [0.1, 0.5]), "large_class_accuracy=.*a row of them for each run"),
    ],
)
def test_numbers_that_do_not_fit(values, message):
    with pytest.raises(ValueError, match=message):
        HeadTailTradeOffDisplay([0, 1], *values)
