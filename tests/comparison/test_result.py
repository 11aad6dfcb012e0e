"""The result: tables, frames, numbers for JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sklearn_open.comparison import MethodComparison, holm
from sklearn_open.comparison._candidates import Candidate
from sklearn_open.comparison._measures import FoldMeasures

CLASSES = np.array(["crack", "good", "hole"])
COUNTS = np.array([20, 70, 10])


def fold(score, right, n=(4, 14, 2)):
    confusion = np.diag(right)
    confusion[:, 1] += np.array(n) - np.array(right)  # what is wrong is called good
    confusion[1, 0], confusion[1, 1] = n[1] - right[1], right[1]
    return FoldMeasures(score, confusion, 0.9, 10.0, 0.1, 30)


def made(scores, methods=("erm", "drs", "open"), scoring="balanced_accuracy"):
    """A comparison of made scores, five folds of 80 and 20 rows."""
    folds = [(np.arange(80), np.arange(80, 100))] * np.shape(scores)[1]
    candidates = [Candidate(name, {"delta": i}, None) for i, name in enumerate(methods)]
    measures = [
        [fold(score, (3, 14 - i, 1)) for score in of_method] for i, of_method in enumerate(scores)
    ]
    return MethodComparison(candidates, measures, folds, CLASSES, COUNTS, scoring)


SCORES = np.array(
    [
        [0.60, 0.62, 0.58, 0.61, 0.60],
        [0.59, 0.63, 0.60, 0.60, 0.62],
        [0.70, 0.73, 0.69, 0.72, 0.70],
    ]
)


def test_differences_are_paired_corrected_and_adjusted():
    found = made(SCORES)
    p_values = []
    for other in (0, 1):
        differences = SCORES[2] - SCORES[other]
        error = np.sqrt((1 / 5 + 20 / 80) * differences.var(ddof=1))
        p_values.append(2 * stats.t.sf(abs(differences.mean() / error), 4))
        difference = found.differences_to_best_[found.methods_[other]]
        assert difference.mean == pytest.approx(differences.mean())
        assert difference.standard_error == pytest.approx(error)
    to_best = [found.differences_to_best_[name].p_value for name in ("erm", "drs")]
    np.testing.assert_allclose(to_best, holm(p_values))
    assert found.differences_to_plain_["open"].mean == pytest.approx(0.106)
    np.testing.assert_allclose(
        found.standard_errors_, np.sqrt((0.2 + 0.25) * SCORES.var(axis=1, ddof=1))
    )


def test_the_frame_has_a_row_for_each_method_best_first():
    frame = made(SCORES).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.index) == ["open", "drs", "erm"]
    assert frame.loc["open", "score"] == pytest.approx(0.708)
    assert np.isnan(frame.loc["open", "to_best"])
    assert frame.loc["erm", "to_best"] == pytest.approx(-0.106)
    assert frame.loc["drs", "to_plain"] == pytest.approx(0.006)
    assert frame.loc["erm", "recall_good"] == 1
    assert frame.loc["open", "false_alarms"] == pytest.approx(2 / 14)
    assert frame.loc["erm", "fit_time"] == 10


def test_many_classes_are_shown_by_fifths():
    classes, counts = np.arange(10), np.arange(10, 20)
    confusion = np.diag(np.arange(1, 11)) * 10
    confusion[0, 0], confusion[0, 1] = 0, 10
    measures = [[FoldMeasures(0.9, confusion, 0.9, 1.0, 0.1, 3)] * 2]
    folds = [(np.arange(80), np.arange(80, 100))] * 2
    found = MethodComparison([Candidate("erm", {}, None)], measures, folds, classes, counts, "x")
    assert found.to_frame().loc["erm", "smallest_fifth"] == 0.5
    assert "recall_0" not in found.to_frame()
    assert found.group_accuracy_.shape == (1, 2, 5)


def test_of_equal_scores_the_first_is_best():
    found = made([[0.5, 0.5], [0.5, 0.5]], methods=["drs", "erm"])
    assert found.best_method_ == "drs"
    assert found.cv_results_["rank_test_score"].tolist() == [1, 1]


def test_results_as_scikit_learn_has_them():
    results = made(SCORES).cv_results_
    assert results["rank_test_score"].tolist() == [3, 2, 1]
    np.testing.assert_array_equal(results["split3_test_score"], SCORES[:, 3])
    np.testing.assert_array_equal(results["mean_fit_time"], 10)
    assert {"mean_test_macro_f1", "std_test_ranking", "split0_test_false_alarms"} <= set(results)
    pd.DataFrame(results)


def test_json_holds_all_numbers_and_no_nan():
    found = made(SCORES)
    found.recalls_[0, 0, 0] = np.nan
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = json.loads(text)
    np.testing.assert_allclose(back["scores"], SCORES)
    assert back["recalls"][0][0][0] is None
    assert back["table"][0]["method"] == "open"
    assert back["sentences"] == str(found).split("\n\n")[1].split("\n")


def test_text_has_table_and_sentences():
    text = str(made(SCORES))
    head, first, *_ = text.splitlines()
    assert head.split()[:3] == ["method", "balanced", "accuracy"]
    assert first.split()[:4] == ["open", "70.8", "±", "1.1"]
    assert repr(made(SCORES)) == "MethodComparison(3 methods, 5 folds, best_method_='open')"


def test_one_fold_has_no_errors():
    found = made(SCORES[:, :1])
    assert np.isnan(found.standard_errors_).all()
    assert "±" not in str(found)
    assert "nothing can be told" in str(found)


def test_without_plain_training_nothing_is_compared_with_it():
    found = made(SCORES[1:], methods=("drs", "open"))
    assert found.differences_to_plain_ == {}
    assert "plain" not in str(found)
