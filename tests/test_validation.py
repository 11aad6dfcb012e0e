"""The door: every spelling becomes one form, or is refused with a sentence."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from sklearn_open._inputs.images import check_images
from sklearn_open._inputs.labels import encode_labels
from sklearn_open._inputs.layout import Layout, check_image_shape


def check(X, y=None, image_shape=None, **kwargs):
    y = np.zeros(len(X)) if y is None else y
    return check_images(BaseEstimator(), X, y, image_shape=image_shape, reset=True, **kwargs)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((9, 5), "table"),
        ((9, 8, 8), "gray"),
        ((9, 3, 8, 8), "channels_first"),
        ((9, 8, 8, 3), "channels_last"),
        ((9, 8, 8, 1), "channels_last"),
        ((9, 12, 8, 8), "channels_first"),
        ((9, 3, 3, 3), "channels_first"),
        ((9, 1, 28, 3), "channels_first"),
        ((9, 4, 4, 3), "channels_last"),
        ((9, 3, 3, 1), "channels_last"),
        ((9, 8, 8, 2), "channels_last"),
        ((9, 20, 30, 3), "channels_last"),
        ((9, 3, 20, 30), "channels_first"),
    ],
)
def test_layouts(shape, kind):
    layout = Layout.of(shape)
    assert layout == Layout(kind)
    X = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(layout.restore(layout.channels_first(X)), X)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.float16, np.int64, bool])
def test_one_internal_form(dtype):
    X = np.random.RandomState(0).randint(0, 2, (6, 3, 7, 5)).astype(dtype)
    expected = np.uint8 if dtype == np.uint8 else np.float32
    for given in (X, np.moveaxis(X, 1, 3)):
        got = check(given)
        assert got.dtype == expected
        np.testing.assert_array_equal(got, X.astype(expected))
    np.testing.assert_array_equal(check(X[:, 0]), X[:, :1].astype(expected))
    np.testing.assert_array_equal(check(X.reshape(6, -1)), X.reshape(6, -1).astype(expected))


def test_a_known_shape_tells_the_layout():
    X = np.random.RandomState(0).rand(6, 4, 5, 3).astype(np.float32)
    assert check(X).shape == (6, 4, 5, 3)  # four channels of 5 x 3, as far as shapes can tell
    assert check(X, image_shape=(3, 4, 5)).shape == (6, 3, 4, 5)
    many = np.moveaxis(np.zeros((6, 12, 8, 8)), 1, 3)
    assert check(many, image_shape=(12, 8, 8)).shape == (6, 12, 8, 8)


def test_uint8_and_float32_are_not_copied():
    for dtype in (np.uint8, np.float32):
        X = np.zeros((6, 3, 4, 5), dtype)
        assert np.shares_memory(check(X), X)


@pytest.mark.parametrize(
    "convert", [list, torch.from_numpy, np.asfortranarray, lambda X: X[::1].astype(">f4")]
)
def test_other_containers(convert):
    X = np.random.RandomState(0).rand(6, 3, 4, 5).astype(np.float32)
    np.testing.assert_array_equal(check(convert(X)), X)


def test_tables_become_images_of_the_shape_given():
    X = np.random.RandomState(0).rand(6, 60).astype(np.float32)
    assert check(X, image_shape=(3, 4, 5)).shape == (6, 3, 4, 5)
    with pytest.raises(ValueError, match=r"60 values in a row.*\(3, 4, 4\).*48 are needed"):
        check(X, image_shape=(3, 4, 4))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    X = np.zeros((6, 3, 4, 5))
    X[4, 1, 2, 2] = X[5, 0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"NaN or infinity.*in 2 of 6 rows, the first.*row 4"):
        check(X)
    with pytest.raises(ValueError, match="too large for float32"):
        check(np.full((3, 2), 1e300))


def test_large_finite_values_are_not_refused():
    assert check(np.full((4, 3), 3e38, np.float32)).shape == (4, 3)


def test_wrong_sizes():
    with pytest.raises(ValueError, match="X has 6 rows and y has 5 labels"):
        check(np.zeros((6, 3, 4, 5)), np.zeros(5))
    with pytest.raises(ValueError, match=r"shape \(3, 4, 5\).*\(3, 8, 8\) is needed"):
        check(np.zeros((6, 3, 4, 5)), image_shape=(3, 8, 8))
    with pytest.raises(ValueError, match=r"requires y to be passed, but the target y is None"):
        check_images(BaseEstimator(), np.zeros((2, 3)), None, image_shape=None)
    for ndim in (1, 5):
        with pytest.raises(ValueError, match="Expected 2D array"):
            check(np.zeros([2] * ndim))


@pytest.mark.parametrize(("given", "shape"), [((8, 9), (1, 8, 9)), ([3, 8, 9], (3, 8, 9))])
def test_image_shape(given, shape):
    assert check_image_shape(given) == shape
    assert check_image_shape(None) is None
    for bad in [(3,), (3, 0, 4), (1, 2, 3, 4), 8, "ab", (8.0, 8.0)]:
        with pytest.raises(ValueError, match="is not the shape of an image"):
            check_image_shape(bad)


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
    ("X", "message"),
    [
        (np.ma.masked_array(np.zeros((6, 3)), np.arange(18).reshape(6, 3) < 4), "4 masked values"),
        (np.full((6, 3), "7"), "dtype <U1, which holds no pixels.*astype"),
        (np.zeros((6, 3, 4), "datetime64[D]"), r"dtype datetime64\[D\]"),
        (np.array([[-3e38], [3e38]]), r"from -3e\+38 to 3e\+38, a range too large for float32"),
        (np.zeros((6, 3, 4, 5)) * 1j, "Complex"),
    ],
)
def test_what_holds_no_pixels(X, message):
    with pytest.raises(ValueError, match=message):
        check(X)


def test_images_for_an_estimator_that_was_fitted_on_a_table():
    estimator = BaseEstimator()
    check_images(estimator, np.zeros((6, 12)), np.zeros(6), image_shape=None, reset=True)
    for shape in [(6, 3, 2, 2), (6, 1, 1, 12), (6, 3, 4)]:
        with pytest.raises(ValueError, match="fit was given a table of 12 columns"):
            check_images(estimator, np.zeros(shape), image_shape=None)


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
    assert encode_labels([0, 1], classes=["a", "b"])[0].tolist() == ["a", "b"]
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
