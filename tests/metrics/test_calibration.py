"""Expected calibration error."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_open.metrics import expected_calibration_error


def by_loop(codes, prob, n_bins, weight):
    """The definition, row by row and bin by bin."""
    edges = np.linspace(0, 1, n_bins + 1)
    error = 0.0
    for low, high in pairwise(edges):
        rows = [i for i, row in enumerate(prob) if low < max(row) <= high and weight[i] > 0]
        if rows:
            share = sum(weight[i] for i in rows)
            right = sum(weight[i] * (np.argmax(prob[i]) == codes[i]) for i in rows) / share
            sure = sum(weight[i] * max(prob[i]) for i in rows) / share
            error += share / sum(weight) * abs(right - sure)
    return error


@given(
    seed=st.integers(0, 2**31 - 1),
    n_rows=st.integers(1, 60),
    n_classes=st.integers(2, 12),
    n_bins=st.integers(1, 40),
    sharpness=st.floats(0, 20),
    weighted=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
)
@settings(max_examples=150, deadline=None)
def test_it_is_the_definition(seed, n_rows, n_classes, n_bins, sharpness, weighted, dtype):
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.standard_normal((n_rows, n_classes))
    prob = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob = (prob / prob.sum(axis=1, keepdims=True)).astype(dtype)
    codes = rng.integers(n_classes, size=n_rows)
    weight = rng.integers(0, 4, n_rows) + (np.arange(n_rows) == 0) if weighted else None
    error = expected_calibration_error(
        codes, prob, labels=np.arange(n_classes), n_bins=n_bins, sample_weight=weight
    )
    used = np.ones(n_rows) if weight is None else weight
    expected = by_loop(codes, prob.astype(np.float64), n_bins, used)
    assert error == pytest.approx(expected, abs=1e-12)
    assert 0 <= error <= 1


def test_binary_by_hand():
    y = ["no", "no", "yes", "yes"]
    columns = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]
    expected = 3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.2
    assert expected_calibration_error(y, columns) == pytest.approx(expected)
    assert expected_calibration_error(y, [0.1, 0.1, 0.1, 0.8]) == pytest.approx(expected)
    one_bin = expected_calibration_error(y, columns, n_bins=1)
    assert one_bin == pytest.approx(3.5 / 4 - 3 / 4)


def test_the_upper_end_of_a_bin_is_in_it():
    """Of two bins, 0.5 is in the first: apart from 0.6, where one is too sure, one not enough."""
    y, prob = [0, 1], [[0.5, 0.5], [0.6, 0.4]]
    assert expected_calibration_error(y, prob, n_bins=2) == pytest.approx((0.5 + 0.6) / 2)
    assert expected_calibration_error(y, prob, n_bins=1) == pytest.approx(0.55 - 0.5)


def test_perfect_calibration_is_near_0_and_overconfidence_is_not():
    rng = np.random.default_rng(0)
    prob = rng.dirichlet([0.5] * 4, 20_000)
    y = (prob.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert expected_calibration_error(y, prob) < 0.015
    sharper = prob**3 / (prob**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(y, sharper) > 0.1
    sure = np.eye(4)[y]
    assert expected_calibration_error(y, sure) == 0
    assert expected_calibration_error(y, np.roll(sure, 1, axis=1)) == 1


def test_weights_are_rows():
    y, prob = [0, 1, 1], [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]
    weighted = expected_calibration_error(y, prob, sample_weight=[2, 0, 1])
    repeated = expected_calibration_error([0, 0, 1], [prob[0], prob[0], prob[2]])
    assert weighted == pytest.approx(repeated)


def test_classes_without_test_rows():
    prob = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
    assert expected_calibration_error([0, 1], prob, labels=[0, 1, 2]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"there are 2 classes.*pass all of them as labels="):
        expected_calibration_error([0, 1], prob)


@pytest.mark.parametrize("n_bins", [0, 1.5, True, "auto"])
def test_bins(n_bins):
    with pytest.raises(ValueError, match=r"n_bins=.*whole number of 1 or more"):
        expected_calibration_error([0, 1], [0.1, 0.9], n_bins=n_bins)


@pytest.mark.parametrize("weight", [[-1, 1], [0, 0], [np.inf, 1], [np.nan, 1]])
def test_weights_that_are_none(weight):
    with pytest.raises(ValueError, match="sample_weight"):
        expected_calibration_error([0, 1], [0.1, 0.9], sample_weight=weight)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        expected_calibration_error([0, 1], [0.1, 0.9], sample_weight=[1])
