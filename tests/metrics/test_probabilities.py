"""What is refused as probabilities, and as labels of them."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_open.metrics._probabilities import check_labels, check_probabilities, codes_of

TWO = np.array(["a", "b"])


def test_labels_become_positions():
    classes, codes = check_labels(["b", "a", "b"], None)
    assert classes.tolist() == ["a", "b"]
    np.testing.assert_array_equal(codes, [1, 0, 1])
    classes, codes = check_labels([2, 2], [0, 1, 2])
    np.testing.assert_array_equal(codes, [2, 2])
    np.testing.assert_array_equal(codes_of([5, 1], np.array([5, 3, 1])), [0, 2])  # in any order


@pytest.mark.parametrize("labels", [["b", "a"], ["a", "a", "b"]])
def test_classes_ascend(labels):
    with pytest.raises(ValueError, match=r"labels=\[.*pass every class once, in ascending order"):
        check_labels(["a", "b"], labels)


@pytest.mark.parametrize("y", [["a", "c"], [0, 1], [np.nan, 1.0]])
def test_unknown_labels(y):
    with pytest.raises(ValueError, match=r"no column .* stands for: .*columns for \['a', 'b'\]"):
        check_labels(y, TWO)


def test_text_is_no_number():
    with pytest.raises(ValueError, match=r"stands for: \['1', '0'\]"):
        check_labels(["1", "0"], [0, 1])


def test_whatever_holds_probabilities():
    expected = np.array([[0.25, 0.75], [0.5, 0.5]])
    for given in (
        expected.tolist(),
        expected.astype(np.float16),
        pd.DataFrame(expected, columns=TWO),
        torch.as_tensor(expected),
        expected[:, 1],
    ):
        prob = check_probabilities(given, 2, TWO)
        assert prob.dtype == np.float64
        np.testing.assert_array_equal(prob, expected)


def test_half_precision_is_near_enough():
    logits = torch.randn(50, 1000, generator=torch.Generator().manual_seed(0))
    half = logits.softmax(1).half()
    assert check_probabilities(half, 50, np.arange(1000)).shape == (50, 1000)


@pytest.mark.parametrize(
    ("prob", "message"),
    [
        ([[0.2, 0.8], [1.2, -0.2]], r"holds 1.2: probabilities lie in \[0, 1\].*softmax"),
        ([[20, 80], [50, 50]], "holds 20: .*divided by 100"),
        ([[0.2, 0.8], [0.2, 0.2]], "Row 1 of y_prob has the sum 0.4: .*Divide each row"),
        ([[0.2, 0.3, 0.5]] * 2, r"shape \(2, 3\), and there are 2 classes.*labels="),
        ([[1.0], [1.0]], r"shape \(2, 1\), and there are 2 classes"),
        ([[0.5, 0.5]], "inconsistent numbers of samples"),
        ([[np.nan, 1], [0, 1]], "y_prob contains NaN"),
    ],
)
def test_what_are_no_probabilities(prob, message):
    with pytest.raises(ValueError, match=message):
        check_probabilities(prob, 2, TWO)


def test_one_class_is_none():
    with pytest.raises(ValueError, match="two or more classes"):
        check_probabilities([[1.0], [1.0]], 2, TWO[:1])
    with pytest.raises(ValueError, match=r"shape \(2,\), and there are 3 classes"):
        check_probabilities([0.5, 0.5], 2, np.arange(3))
