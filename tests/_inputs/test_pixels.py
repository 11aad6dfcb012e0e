"""Pixel scale and channel statistics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.utils.data import Dataset

from sklearn_open._constants import constant
from sklearn_open._inputs import lazy as _inputs
from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.pixels import PixelScale, PixelStatistics

UNIT = PixelScale(np.float64(0), np.float64(1))


def in_chunks_of(rows, X, monkeypatch):
    monkeypatch.setattr(_inputs, "CHUNK_BYTES", 8 * int(np.prod(X.shape[1:])) * rows)


@pytest.mark.parametrize(
    ("X", "low", "high"),
    [
        (np.full((2, 1, 2, 2), 7, np.uint8), 0, 255),
        (np.array([[0.2], [0.4]], np.float32), 0, 1),
        (np.full((2, 1, 2, 2), 300.0, np.float32), 300, 300),
        (np.array([[[[-2.0]], [[5.0]]]], np.float32), -2, 5),
        (np.array([[-2.0, 3.0], [4.0, 9.0]], np.float32), [-2, 3], [4, 9]),
        (np.array([[True], [False]]), 0, 1),
        (np.array([[0], [1]]), [0], [1]),
    ],
)
def test_range_of_the_pixels(X, low, high, monkeypatch):
    in_chunks_of(1, X, monkeypatch)
    scale = PixelStatistics.of(X).scale
    np.testing.assert_array_equal(scale.low, low)
    np.testing.assert_array_equal(scale.high, high)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("shape", [(9, 2, 3, 3), (9, 4)])
def test_unit_scale_and_back(dtype, shape):
    X = np.random.RandomState(0).randint(0, 200, shape).astype(dtype)
    scale = PixelStatistics.of(X).scale
    unit = scale.to_unit(torch.from_numpy(X))
    assert unit.dtype == torch.float32
    assert unit.min() >= 0
    assert unit.max() <= 1
    back = scale.to_raw(unit, X.dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, X, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(50, 3, 4, 5), (50, 6)])
def test_statistics_in_chunks_are_those_of_the_whole(shape, monkeypatch):
    # A large offset: E[x^2] - E[x]^2 would lose all digits.
    X = 1e7 + np.random.RandomState(0).normal(size=shape)
    in_chunks_of(7, X, monkeypatch)
    statistics = PixelStatistics.of(X, UNIT)
    axes = (0, *range(2, X.ndim))
    np.testing.assert_allclose(statistics.mean, X.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, X.std(axis=axes), rtol=1e-7)


@settings(max_examples=50, deadline=None)
@given(
    X=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 4), st.integers(1, 5), st.just(3))
    ),
    rows=st.integers(1, 20),
)
def test_statistics_of_bytes(X, rows):
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_chunks_of(rows, X, monkeypatch)
        statistics = PixelStatistics.of(X)
    pixels = X.astype(np.float64) / 255
    np.testing.assert_allclose(statistics.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, pixels.std(axis=(0, 2, 3)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("value", [7, 0.1, -3e5])
def test_constant_channels_have_no_deviation_at_all(value, monkeypatch):
    X = np.full((50, 2, 3, 3), value, np.float32)
    in_chunks_of(7, X, monkeypatch)
    np.testing.assert_array_equal(PixelStatistics.of(X).std, [0, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_layout_does_not_matter(dtype):
    X = np.random.RandomState(0).randint(0, 256, (30, 3, 8, 8)).astype(dtype)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(X, 1, 3)), 3, 1)
    first, other = PixelStatistics.of(X), PixelStatistics.of(last)
    np.testing.assert_array_equal(first.mean, other.mean)
    np.testing.assert_array_equal(first.std, other.std)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_is_read_once(dtype, workers, monkeypatch):
    X = np.random.RandomState(0).randint(0, 256, (30, 3, 4, 4)).astype(dtype)
    in_chunks_of(4, X, monkeypatch)

    class Items(Dataset):
        reads = 0

        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            self.reads += 1
            return X[i]

    items = Items()
    images = LazyImages(items, np.asarray)
    items.reads = 0
    got, expected = PixelStatistics.of(images, num_workers=workers), PixelStatistics.of(X)
    assert items.reads == (0 if workers else 30)  # or the worker has read them
    np.testing.assert_array_equal([got.mean, got.std], [expected.mean, expected.std])
    assert got.scale == expected.scale


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(30, 3, 4, 4), (30, 5)])
@pytest.mark.parametrize("rows", [4, 13, 30])  # in a chunk: some ranks may have none
def test_ranks_that_read_together_get_the_same_bits(on_ranks, monkeypatch, n_ranks, shape, rows):
    X = np.random.RandomState(0).normal(3, 2, shape).astype(np.float32)
    in_chunks_of(rows, X, monkeypatch)
    expected = PixelStatistics.of(X)
    for got in on_ranks(n_ranks, lambda ranks: PixelStatistics.of(X, ranks=ranks)):
        np.testing.assert_array_equal([got.mean, got.std], [expected.mean, expected.std])
        np.testing.assert_array_equal(got.scale.low, expected.scale.low)
        np.testing.assert_array_equal(got.scale.high, expected.scale.high)


def test_each_rank_reads_its_own_chunks_only(on_ranks, monkeypatch):
    X = np.random.RandomState(0).randint(0, 256, (30, 3, 4, 4)).astype(np.uint8)
    in_chunks_of(4, X, monkeypatch)

    class Labelled(Rows):
        def __getitem__(self, i):
            self.read.append(i)
            return X[i], i % 7

    def read(ranks):
        items, labels = Labelled(X), []
        items.read = []
        images = LazyImages(items, np.asarray)
        items.read.clear()
        PixelStatistics.of(images, labels=labels, ranks=ranks)
        return items.read, labels

    for rank, (rows, labels) in enumerate(on_ranks(3, read)):
        chunks = [range(start, min(start + 4, 30)) for start in range(0, 30, 4)][rank::3]
        assert rows == [row for chunk in chunks for row in chunk]
        assert labels == [i % 7 for i in range(30)]


def test_constants_are_made_once():
    values, device = np.array([0.1, 0.2]), torch.device("cpu")
    made = constant(values, device)
    assert made.dtype == torch.float32
    np.testing.assert_array_equal(made, values.astype(np.float32))
    assert constant(values.copy(), device) is made
    assert constant(values[None], device).shape == (1, 2)
    values[0] = 0.3  # a record that changes is another one
    np.testing.assert_array_equal(constant(values, device), values.astype(np.float32))
    assert constant(np.float64(255), device).shape == ()


class Rows(Dataset):
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i]


def test_other_units_than_those_that_were_fitted():
    X = np.random.RandomState(0).randint(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    X[0, 0, 0, 0] = 255
    of_bytes, of_unit = (PixelStatistics.of(part).scale for part in (X, X / np.float32(255)))
    for scale, other, warning in [
        (of_bytes, X / 255, "nearly black"),
        (of_bytes, LazyImages(Rows(X / 255), np.asarray), "nearly black"),
        (of_unit, X, "uint8 pixels of up to .*far too bright"),
        (of_unit, LazyImages(Rows(X), np.asarray), "far too bright"),
    ]:
        with pytest.warns(UserWarning, match=warning):
            scale.warn_of_other_units(other)
    for scale, others in [
        (of_bytes, [X, X * 1.0, X * 0.0]),
        (of_unit, [X / 255, X / 255 + 0.5, X // 255]),
    ]:
        for other in others:
            scale.warn_of_other_units(other)  # a warning would be an error
