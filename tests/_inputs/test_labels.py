"""Labels become codes, or are refused with a sentence."""

import numpy as np
import pytest
import torch

from sklearn_open._inputs.labels import encode_labels, names_of


@pytest.mark.parametrize(
    "y",
    [
        ["cat", "dog", "cat"],
        [5, 25, 5],
        [True, False, True],
        np.array(["x", "y", "x"], dtype=object),
        torch.tensor([3, 9, 3]),
    ],
)
def test_labels_of_any_kind(y):
    classes, codes, labels = encode_labels(y)
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(classes[codes], labels)
    np.testing.assert_array_equal(classes, np.sort(classes))


def test_classes_rule_the_codes():
    classes, codes, _ = encode_labels(["b", "a"], classes=["c", "b", "a"])
    assert classes.tolist() == ["c", "b", "a"]
    assert codes.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"labels \['d'\].*not in classes=\['a', 'b'\]"):
        encode_labels(["a", "d"], classes=["a", "b"])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["only"] * 3, "one class only, 'only'"),
        ([0.5, 1.5, 2.5], "continuous"),
        ([[1, 0], [0, 1]], "Multilabel and multioutput targets are not supported"),
    ],
)
def test_labels_that_cannot_be_learned(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None, "b"], "no label.*1 of 3 rows, the first of them row 1"),
        (["a", "b", float("nan")], "row 2"),
        (np.array([0.0, np.nan, 1.0]), "row 1"),
        (np.array(["2020", "NaT"], "datetime64[Y]"), "row 1"),
        (np.array([None, "a"], object), "row 0"),
        (np.ma.masked_array([0, 1, 2], [True, False, False]), "masked labels"),
        (["a", 1, 2], "several types, such as 'a' and 1"),
        (np.array([1, "a"], object), "several types, such as 1 and 'a'"),
        ({0: 1, 1: 2}, "y is a dict"),
        ("labels", "y is a str"),
    ],
)
def test_labels_that_are_missing_or_mixed(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y)


def test_nullable_integers_stay_integers():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series([2**62 + 1, 0, 2**62], dtype="Int64")
    classes, _, labels = encode_labels(y)
    assert classes.dtype == labels.dtype == np.int64
    assert classes.tolist() == [0, 2**62, 2**62 + 1]
    with pytest.raises(ValueError, match="row 1"):
        encode_labels(pandas.Series([1, None, 0], dtype="Int64"))


def test_numbers_name_no_codes():
    found = encode_labels([0, 1], classes=["a", "b"], may_be_names=True)[0]
    assert found.tolist() == [0, 1]
    assert names_of(found, ["a", "b"]).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"labels \[0, 1\], which are not in classes=\[5, 7\]"):
        encode_labels([0, 1], classes=[5, 7])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, 0], "is not a list of different labels"),
        ([[0], [1]], "is not a list of different labels"),
        ([0, 1, None], "classes contains no label"),
        ([0, 1, "a"], "classes holds labels of several types"),
        ({0, 1}, "classes is a set"),
    ],
)
def test_classes_that_are_no_list_of_labels(classes, message):
    with pytest.raises(ValueError, match=message):
        encode_labels([0, 1], classes=classes)


def test_a_thousand_classes():
    y = np.arange(2500) % 1000
    classes, codes, _ = encode_labels(y.astype(str))
    np.testing.assert_array_equal(classes[codes], y.astype(str))
