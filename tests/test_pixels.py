"""Pixel scale and channel statistics."""

import numpy as np
import pytest
import torch

from sklearn_open import _pixels
from sklearn_open._pixels import PixelScale, channel_statistics


@pytest.mark.parametrize(
    ("X", "low", "high"),
    [
        (np.full((2, 1, 2, 2), 7, np.uint8), 0, 255),
        (np.array([[0.2], [0.4]], np.float32), 0, 1),
        (np.full((2, 1, 2, 2), 300.0, np.float32), 300, 300),
        (np.array([[[[-2.0]], [[5.0]]]], np.float32), -2, 5),
        (np.array([[-2.0, 3.0], [4.0, 9.0]], np.float32), [-2, 3], [4, 9]),
    ],
)
def test_range_of_the_pixels(X, low, high):
    scale = PixelScale.of(X)
    np.testing.assert_array_equal(scale.low, low)
    np.testing.assert_array_equal(scale.high, high)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("shape", [(9, 2, 3, 3), (9, 4)])
def test_unit_scale_and_back(dtype, shape):
    X = np.random.RandomState(0).randint(0, 200, shape).astype(dtype)
    scale = PixelScale.of(X)
    unit = scale.to_unit(torch.from_numpy(X))
    assert unit.dtype == torch.float32
    assert unit.min() >= 0
    assert unit.max() <= 1
    back = scale.to_raw(unit, X.dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, X, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(50, 3, 4, 5), (50, 6)])
def test_statistics_in_chunks_are_those_of_the_whole(shape, monkeypatch):
    monkeypatch.setattr(_pixels, "CHUNK_BYTES", 8 * int(np.prod(shape[1:])) * 7)
    # A large offset: E[x^2] - E[x]^2 would lose all digits.
    X = (1e7 + np.random.RandomState(0).normal(size=shape)).astype(np.float64)
    scale = PixelScale(np.float64(0), np.float64(1))
    mean, std = channel_statistics(X, scale)
    axes = (0, *range(2, X.ndim))
    np.testing.assert_allclose(mean, X.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(std, X.std(axis=axes), rtol=1e-7)
