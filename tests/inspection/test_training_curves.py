"""Curves over the epochs."""

import numpy as np
import pytest
from sklearn.base import clone
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open.inspection import TrainingCurvesDisplay, training_curves


def test_they_are_the_history(fitted):
    curves = training_curves(fitted)
    np.testing.assert_array_equal(curves.train_loss, fitted.history[:, "train_loss"])
    assert curves.group_accuracy.shape == curves.group_loss.shape == (4, 5)
    np.testing.assert_array_equal(curves.group_accuracy[:, 1], fitted.history[:, "group_2_acc"])
    np.testing.assert_array_equal(curves.group_loss[:, 4], fitted.history[:, "group_5_loss"])
    assert curves.start_epoch == 2
    assert curves.valid_loss is None
    assert curves.valid_accuracy is None


def test_what_is_drawn(fitted):
    display = TrainingCurvesDisplay.from_estimator(fitted)
    losses, accuracies = display.ax_
    assert len(losses.lines) == 7  # training, five groups, start_epoch
    assert len(accuracies.lines) == 6
    np.testing.assert_allclose(accuracies.lines[0].get_ydata(), 100 * display.group_accuracy[:, 0])
    assert accuracies.lines[-1].get_xdata() == [2, 2]
    assert [text.get_text() for text in accuracies.get_legend().get_texts()] == [
        "training",
        "smallest 20%",
        "20-40%",
        "40-60%",
        "60-80%",
        "largest 20%",
        "rebalanced from here",
    ]


def test_plain_training_with_rows_held_out(unfitted, named_digits):
    clf = clone(unfitted).set_params(
        resampler=None, callbacks=None, max_epochs=2, train_split=ValidSplit(3, stratified=True)
    )
    clf.fit(*named_digits)
    display = TrainingCurvesDisplay.from_estimator(clf)
    np.testing.assert_array_equal(display.valid_accuracy, clf.history[:, "valid_acc"])
    np.testing.assert_array_equal(display.valid_loss, clf.history[:, "valid_loss"])
    assert display.group_accuracy is None
    assert display.start_epoch is None
    assert [len(ax.lines) for ax in display.ax_] == [2, 1]


@pytest.mark.parametrize(
    ("params", "why"),
    [({"max_epochs": 0}, "no epoch was trained"), ({"callbacks": "disable"}, "'disable' records")],
)
def test_without_training_loss_it_says_why(unfitted, named_digits, params, why):
    clf = clone(unfitted).set_params(max_epochs=1, callbacks=None).set_params(**params)
    with pytest.raises(ValueError, match=f"no training loss: .*{why}"):
        TrainingCurvesDisplay.from_estimator(clf.fit(*named_digits))


@pytest.mark.parametrize("name", ["valid_accuracy", "group_accuracy"])
def test_percentages_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} holds 50.*Divide percentages by 100"):
        TrainingCurvesDisplay([2, 1], **{name: [[0.5], [50]]})


def test_a_loaded_classifier_has_the_same_curves(fitted, unfitted, named_digits, tmp_path):
    plain = clone(unfitted).set_params(resampler=None, max_epochs=1).fit(*named_digits)
    for clf in (fitted, plain):
        clf.save(tmp_path / "net")
        with pytest.warns(UserWarning, match="could not hold these parameters.*callbacks"):
            loaded = OPeNClassifier.load(tmp_path / "net")
        curves, expected = training_curves(loaded), training_curves(clf)
        for name in expected:
            np.testing.assert_array_equal(curves[name], expected[name])


def test_without_accuracy_the_picture_says_how_to_record_it():
    display = TrainingCurvesDisplay([2, 1]).plot()
    assert "GroupAccuracy" in display.ax_[1].texts[0].get_text()
