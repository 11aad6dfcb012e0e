import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps

from sklearn_open.datasets._decode import sixteen_bit_image
from sklearn_open.datasets._resize import RESIZES, resized

BILINEAR = Image.Resampling.BILINEAR


def random_image(height, width, mode="RGB"):
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.RandomState(0).randint(256, size=shape).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pillow_does_it(mode):
    image = random_image(9, 14, mode)
    assert_array_equal(resized(image, (5, 6)), image.resize((6, 5), BILINEAR))
    assert_array_equal(resized(image, (5, 6), "crop"), ImageOps.fit(image, (6, 5), BILINEAR))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("shape", [(9, 14), (14, 9)])
def test_padding_keeps_proportions_between_borders_of_the_mean(mode, shape):
    image = random_image(*shape, mode)
    inner = np.asarray(ImageOps.contain(image, (7, 7), BILINEAR))
    padded = np.asarray(resized(image, (7, 7), "pad"))
    assert padded.shape[:2] == (7, 7)
    if shape[0] > shape[1]:
        padded, inner = padded.swapaxes(0, 1), inner.swapaxes(0, 1)
    top = (7 - len(inner)) // 2
    assert_array_equal(padded[top : top + len(inner)], inner)
    mean = np.rint(inner.mean(axis=(0, 1)))
    for border in (padded[:top], padded[top + len(inner) :]):
        assert len(border)
        assert_array_equal(border, np.broadcast_to(mean, border.shape))


def test_padding_to_the_same_proportions_is_squeezing():
    image = random_image(8, 16)
    assert_array_equal(resized(image, (4, 8), "pad"), resized(image, (4, 8)))


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1)])
@pytest.mark.parametrize("how", RESIZES)
def test_very_long_images(how, shape):
    assert resized(random_image(*shape), (4, 6), how).size == (6, 4)


@pytest.mark.parametrize("how", RESIZES)
def test_sixteen_bits_keep_their_levels(how):
    flat = sixteen_bit_image(np.full((6, 9), 60_001))
    assert_array_equal(resized(flat, (4, 4), how), np.full((4, 4), 60_001))
    deep = np.random.RandomState(0).randint(65536, size=(9, 14))
    exact = Image.fromarray(deep.astype(np.float32))
    made = resized(sixteen_bit_image(deep), (5, 7), how)
    assert_array_equal(np.asarray(made), np.rint(np.asarray(RESIZES[how](exact, (7, 5)))))
    assert np.asarray(made).dtype == np.uint16
