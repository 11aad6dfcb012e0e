"""Images become one form, or are refused with a sentence."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from sklearn_open._inputs.images import check_images


def check(X, y=None, image_shape=None, **kwargs):
    y = np.zeros(len(X)) if y is None else y
    return check_images(BaseEstimator(), X, y, image_shape=image_shape, reset=True, **kwargs)


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
