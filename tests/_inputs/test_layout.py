"""Where the channels are."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from sklearn_open._inputs.images import check_images
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


def test_a_known_shape_tells_the_layout():
    X = np.random.RandomState(0).rand(6, 4, 5, 3).astype(np.float32)
    assert check(X).shape == (6, 4, 5, 3)  # four channels of 5 x 3, as far as shapes can tell
    assert check(X, image_shape=(3, 4, 5)).shape == (6, 3, 4, 5)
    many = np.moveaxis(np.zeros((6, 12, 8, 8)), 1, 3)
    assert check(many, image_shape=(12, 8, 8)).shape == (6, 12, 8, 8)


@pytest.mark.parametrize(("given", "shape"), [((8, 9), (1, 8, 9)), ([3, 8, 9], (3, 8, 9))])
def test_image_shape(given, shape):
    assert check_image_shape(given) == shape
    assert check_image_shape(None) is None
    for bad in [(3,), (3, 0, 4), (1, 2, 3, 4), 8, "ab", (8.0, 8.0)]:
        with pytest.raises(ValueError, match="is not the shape of an image"):
            check_image_shape(bad)
