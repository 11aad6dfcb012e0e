"""The display of a comparison."""

import matplotlib
import numpy as np
import pytest

from sklearn_open.inspection import MethodComparisonDisplay
from tests.comparison.test_result import SCORES, made

matplotlib.use("agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_methods_stand_best_first_with_their_folds():
    display = MethodComparisonDisplay.from_comparison(made(SCORES))
    left, right = display.ax_
    assert [label.get_text() for label in left.get_yticklabels()] == ["open", "drs", "erm"]
    folds = [line for line in left.lines if len(line.get_xdata()) == 3][:5]
    np.testing.assert_allclose([fold.get_xdata()[0] for fold in folds], 100 * SCORES[2])
    assert left.get_xlabel() == "balanced accuracy, % (lines: folds)"
    names = [label.get_text() for label in right.get_xticklabels()]
    assert names == ["hole", "crack", "good"]  # smallest first
    np.testing.assert_array_equal(display.order_, [2, 1, 0])
    texts = [text.get_text() for text in right.texts]
    assert texts[:3] == ["50", "75", "86"]


def test_axes_of_ones_own_are_used():
    _, axes = plt.subplots(1, 2)
    display = MethodComparisonDisplay.from_comparison(made(SCORES), ax=axes)
    assert list(display.ax_) == list(axes)


def test_what_is_not_known_is_a_dash():
    display = MethodComparisonDisplay(
        [[1.0, 2.0]], [[np.nan, 0.5]], methods=["erm"], columns=["a", "b"]
    ).plot()
    assert [text.get_text() for text in display.ax_[1].texts] == ["-", "50"]


def test_numbers_that_do_not_fit_are_refused():
    for scores, accuracy, word in (
        ([[1.0]], [[0.5]], "a row for each of 2 methods"),
        ([[1.0], [2.0]], [[0.5]], "2 methods and 1 columns"),
        ([[1.0], [2.0]], [[50], [60]], "Divide percentages"),
    ):
        with pytest.raises(ValueError, match=word):
            MethodComparisonDisplay(scores, accuracy, methods=["a", "b"], columns=["c"])
