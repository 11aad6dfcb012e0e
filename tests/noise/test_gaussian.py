"""Normal noise."""

import numpy as np
import torch

from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open.noise import (
    check_noise,
)


def images(dtype=np.uint8, n=40, shape=(3, 5, 6), seed=0):
    rng = np.random.RandomState(seed)
    centre = np.array([60, 128, 220]).reshape(3, 1, 1)
    X = np.clip(rng.normal(centre, 40, (n, *shape)), 0, 255)
    return X.astype(dtype)


def fitted(family, X, n_classes=2):
    codes = np.arange(len(X)) % n_classes
    return check_noise(family).fit(X, codes, PixelStatistics.of(X))


def test_gaussian_noise_has_the_statistics_of_the_training_pixels():
    X = images()
    noise = fitted("gaussian", X)
    pixels = X.astype(np.float64) / 255
    np.testing.assert_allclose(noise.mean_, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(noise.std_, pixels.std(axis=(0, 2, 3)), rtol=1e-12)

    sample = noise.sample(torch.zeros(400), (3, 16, 16), keyed_generator("cpu", 0)).numpy()
    # The law of Eq. 3 and 4, drawn independently of the implementation.
    shape = (len(sample), 16, 16)
    reference = np.stack(
        [
            np.clip(np.random.RandomState(1).normal(m, s, shape), 0, 1)
            for m, s in zip(noise.mean_, noise.std_, strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(sample.mean((0, 2, 3)), reference.mean((0, 2, 3)), atol=0.003)
    np.testing.assert_allclose(sample.std((0, 2, 3)), reference.std((0, 2, 3)), atol=0.003)
    for edge in (0, 1):
        np.testing.assert_allclose(
            (sample == edge).mean((0, 2, 3)), (reference == edge).mean((0, 2, 3)), atol=0.005
        )
    # Pixels are independent of their neighbours.
    centred = sample - sample.mean((0, 2, 3), keepdims=True)
    assert abs(np.mean(centred[..., :-1] * centred[..., 1:])) < 2e-4


def test_class_noise_has_the_statistics_of_the_labels_class():
    X = np.zeros((20, 3, 4, 4), dtype=np.uint8)
    X[1::2] = 200
    noise = fitted("class_gaussian", X)
    sample = noise.sample(torch.tensor([0, 1, 0]), (3, 4, 4), keyed_generator("cpu", 0))
    torch.testing.assert_close(sample[[0, 2]], torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(sample[1], torch.full((3, 4, 4), 200 / 255))


def test_class_statistics_are_those_of_its_rows(monkeypatch):
    X = images(n=41)
    monkeypatch.setattr("sklearn_open._inputs.lazy.CHUNK_BYTES", 8 * X[0].size * 6)
    codes = np.random.RandomState(0).randint(0, 4, 41)
    noise = check_noise("class_gaussian").fit(X, codes, PixelStatistics.of(X))
    for c in range(4):
        pixels = X[codes == c] / 255
        np.testing.assert_allclose(noise.mean_[c], pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
        np.testing.assert_allclose(noise.std_[c], pixels.std(axis=(0, 2, 3)), rtol=1e-12)


def test_class_noise_of_a_class_without_rows_is_that_of_the_set():
    X = images(n=4)
    statistics = PixelStatistics.of(X)
    noise = check_noise("class_gaussian").fit(X, np.array([0, 0, 2, 2]), statistics)
    np.testing.assert_array_equal(noise.mean_[1], statistics.mean)
    np.testing.assert_array_equal(noise.std_[1], statistics.std)
