"""Paired differences, against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sklearn_open.comparison import holm, paired_difference
from sklearn_open.comparison._statistics import corrected_standard_error

SCORES = st.lists(st.floats(0, 1), min_size=3, max_size=8)


@settings(deadline=None, max_examples=50)
@given(SCORES, st.integers(0, 2**31 - 1))
def test_without_a_correction_it_is_scipys_paired_t_test(first, seed):
    first = np.array(first)
    second = first + np.random.RandomState(seed).normal(0, 0.1, len(first))
    found = paired_difference(first, second)
    expected = stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.p_value, expected.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.interval, [low, high], rtol=1e-9)
    np.testing.assert_allclose(found.mean, np.mean(first - second))
    np.testing.assert_allclose(found.standard_error, stats.sem(first - second))


def test_the_correction_is_that_of_nadeau_and_bengio():
    first, second = np.array([0.8, 0.7, 0.9, 0.75, 0.85]), np.array([0.7, 0.68, 0.8, 0.7, 0.8])
    found = paired_difference(first, second, test_share=0.25)
    differences = first - second
    error = np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    assert found.standard_error == pytest.approx(error)
    assert found.p_value == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4))
    plain = paired_difference(first, second)
    assert plain.p_value < found.p_value
    assert found.standard_error / plain.standard_error == pytest.approx(1.5)  # sqrt(.45 / .2)


def test_equal_scores_differ_by_nothing():
    for second in ([0.4, 0.6], [0.4 + 1e-15, 0.6]):
        same = paired_difference([0.4, 0.6], second)
        assert (same.mean, same.standard_error, same.p_value) == (0, 0, 1)


def test_the_same_difference_on_all_folds_is_no_certainty():
    """Of few test images scores are coarse, and two folds often differ by the same."""
    found = paired_difference([0.8, 0.6], [0.85, 0.65], 0.5)
    assert found.mean == pytest.approx(-0.05)
    assert found.standard_error == 0
    assert np.isnan([found.p_value, *found.interval]).all()


def test_one_fold_does_not_know_how_much_is_chance():
    found = paired_difference([0.8], [0.7])
    assert found.mean == pytest.approx(0.1)
    assert np.isnan([found.standard_error, found.p_value, *found.interval]).all()


def test_scores_that_do_not_pair_are_refused():
    for first, second in (([0.1, 0.2], [0.1]), ([], []), ([[0.1]], [[0.2]])):
        with pytest.raises(ValueError, match="one score a fold"):
            paired_difference(first, second)


def test_a_standard_error_is_not_made_of_rounding():
    assert corrected_standard_error([0.3, 0.1 + 0.2], 0.5) == 0
    assert np.isnan(corrected_standard_error([0.3], 0.5))


def test_holm_by_hand():
    np.testing.assert_allclose(
        holm([0.01, 0.04, 0.03, np.nan]), [0.03, 0.06, 0.06, np.nan], rtol=1e-12
    )
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(p_values):
    adjusted = holm(p_values)
    p_values = np.array(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, len(p_values) * p_values) + 1e-12).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
