"""Accuracy by class size."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.neighbors import KNeighborsClassifier

from sklearn_open import OPeNClassifier
from sklearn_open.inspection import ClassGroupAccuracyDisplay, noise_robustness
from sklearn_open.metrics import equal_group_accuracy

Y_TRAIN = np.repeat(["a", "b", "c", "d"], [8, 1, 4, 2])
Y_TRUE = np.repeat(["a", "b", "c", "d"], 4)
Y_PRED = np.array([*"aaaa", *"baaa", *"ccca", *"ddaa"])  # recalls 1, 1/4, 3/4, 1/2


def heights(display):
    return [bar.get_height() for bar in display.bars_]


def test_from_predictions():
    display = ClassGroupAccuracyDisplay.from_predictions(
        Y_TRUE, Y_PRED, y_train=Y_TRAIN, n_groups=2
    )
    np.testing.assert_allclose(display.group_accuracy, [3 / 8, 7 / 8])
    np.testing.assert_allclose(heights(display), [37.5, 87.5])
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["smallest 50%", "largest 50%"]
    assert display.ax_.get_legend() is None


def test_from_estimator_is_the_metric(fitted, named_digits):
    X, y = named_digits
    display = ClassGroupAccuracyDisplay.from_estimator(fitted, X, y)
    np.testing.assert_array_equal(
        display.group_accuracy, equal_group_accuracy(y, fitted.predict(X), y_train=y)
    )
    assert display.ax_.get_legend().get_texts()[0].get_text() == "OPeNClassifier"
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert labels == ["smallest 20%", "20-40%", "40-60%", "60-80%", "largest 20%"]


def test_by_default_few_classes_are_groups_of_their_own(named_digits):
    X, y = named_digits
    X, y = X[np.isin(y, ["one", "nine"])], y[np.isin(y, ["one", "nine"])]
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(X, y)
    display = ClassGroupAccuracyDisplay.from_estimator(clf, X, y)
    assert display.group_accuracy.shape == (2,)
    curve = noise_robustness(clf, X, y, noise_std=[0], random_state=0)
    assert curve.small_class_accuracy[0] == display.group_accuracy[0]


def test_other_classifiers_need_the_training_labels(named_digits):
    X, y = named_digits
    knn = KNeighborsClassifier(1).fit(X.reshape(len(X), -1), y)
    with pytest.raises(ValueError, match="pass the training labels as y_train="):
        ClassGroupAccuracyDisplay.from_estimator(knn, X.reshape(len(X), -1), y)
    display = ClassGroupAccuracyDisplay.from_estimator(knn, X.reshape(len(X), -1), y, y_train=y)
    np.testing.assert_array_equal(display.group_accuracy, 1)


@pytest.mark.parametrize("values", [[50, 90], [[0.5, -0.1]]])
def test_percentages_are_refused(values):
    with pytest.raises(ValueError, match=r"accuracies lie in \[0, 1\]. Divide percentages by 100"):
        ClassGroupAccuracyDisplay(values)


def test_runs_become_mean_and_error_bars():
    runs = np.array([[0.2, 0.8], [0.4, 0.9], [0.6, 1.0]])
    display = ClassGroupAccuracyDisplay(runs).plot()
    np.testing.assert_allclose(heights(display), [40, 90])
    (_, _, (lines,)) = display.bars_.errorbar
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 200 * runs.std(axis=0))


def test_models_side_by_side():
    _, ax = plt.subplots()
    names = ("plain", "noise", "more")
    shown = [
        ClassGroupAccuracyDisplay([[0.5, 0.6], [0.7, 0.8]], name=name).plot(
            ax=ax, offset=offset, width=0.3
        )
        for name, offset in zip(names, (-0.3, 0, 0.3), strict=True)
    ]
    starts = np.array([[bar.get_x() for bar in display.bars_] for display in shown])
    np.testing.assert_allclose(starts, [[-0.45, 0.55], [-0.15, 0.85], [0.15, 1.15]])
    assert len({display.bars_[0].get_facecolor() for display in shown}) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(names)


def test_a_group_without_test_samples_has_no_bar():
    display = ClassGroupAccuracyDisplay.from_predictions(["a"], ["a"], y_train=Y_TRAIN, n_groups=4)
    assert np.isnan(heights(display)[:3]).all()
    assert heights(display)[3] == 100


def test_legend_and_title_have_room():
    display = ClassGroupAccuracyDisplay([0.9, 1.0], name="OPeN").plot()
    display.ax_.set_title("title")
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert not legend.overlaps(display.ax_.title.get_window_extent())
    assert not any(legend.overlaps(bar.get_window_extent()) for bar in display.bars_)
