"""Batches are the same bits wherever they are gathered from, and no thread outlives its use."""

import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open.batching import _sources
from sklearn_open.batching._sources import (
    _DatasetSource,
    _MemorySource,
    _ReadAheadSource,
    _ResidentSource,
    open_source,
    read_ahead,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
ROWS = [np.array([3, 0, 3]), np.array([39]), np.arange(39, 10, -1)]
LAYOUTS = {
    "channels first": lambda X: X,
    "channels last": lambda X: np.moveaxis(np.ascontiguousarray(np.moveaxis(X, 1, 3)), 3, 1),
    "reversed": lambda X: X[::-1].copy()[::-1],
    "mirrored": lambda X: X[..., ::-1].copy()[..., ::-1],
    "sliced": lambda X: np.concatenate([X, X], axis=3)[..., : X.shape[3]],
}


class Items(Dataset):
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], 0


def identity(X):
    return X


def pixels(dtype):
    return np.random.RandomState(0).randint(0, 256, (40, 3, 6, 5)).astype(dtype)


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def no_threads():
    return not [t for t in threading.enumerate() if "sklearn_open" in t.name]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_source_gives_the_same_bits(tmp_path, dtype, layout, monkeypatch):
    monkeypatch.setattr("sklearn_open._inputs.lazy.CHUNK_BYTES", 8 * 90 * 7)
    X = LAYOUTS[layout](pixels(dtype))
    X.flags.writeable = False
    mapped = memory_map(X, tmp_path)
    sources = [
        _MemorySource(X),
        _ResidentSource(X, CPU),
        _ResidentSource(mapped, CPU),
        _ReadAheadSource(X, CPU),
        _ReadAheadSource(mapped, CPU),
        *(_DatasetSource(LazyImages(Items(X), identity), CPU, workers) for workers in (0, 1)),
    ]
    for source in sources:
        for _ in range(2):  # epochs
            batches = list(source.batches(ROWS, seed=0))
            assert len(batches) == len(ROWS)
            for batch, rows in zip(batches, ROWS, strict=True):
                torch.testing.assert_close(batch, torch.tensor(X[rows]), rtol=0, atol=0)
    assert no_threads()


def test_what_is_read_from_where(tmp_path, monkeypatch):
    X = pixels(np.uint8)
    mapped = memory_map(X, tmp_path)
    assert isinstance(open_source(X, CPU), _MemorySource)
    for view in (mapped, np.moveaxis(mapped, 1, 3), np.asarray(mapped)[5:]):
        assert isinstance(open_source(view, CPU), _ReadAheadSource)
    assert isinstance(open_source(LazyImages(Items(X), identity), CPU), _DatasetSource)

    monkeypatch.setattr(_sources, "_ResidentSource", lambda X, device: "resident")
    for free, resident in ((2 * X.nbytes, True), (2 * X.nbytes - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 2**40))
        assert (open_source(X, GPU) == "resident") == resident
    assert isinstance(open_source(X, GPU), _ReadAheadSource)


def test_reading_ahead_keeps_the_order_and_its_distance():
    started = []

    def read(item):
        started.append(item)
        return item**2

    squares = read_ahead(read, range(10), depth=2)
    assert next(squares) == 0
    deadline = time.monotonic() + 10
    while len(started) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert started == [0, 1, 2]  # two ahead, and no more until the next is asked for
    assert list(squares) == [i**2 for i in range(1, 10)]
    assert started == list(range(10))
    assert no_threads()


@pytest.mark.parametrize("n_items", [0, 1, 2, 3])
def test_reading_ahead_of_few_items(n_items):
    assert list(read_ahead(str, range(n_items))) == [str(i) for i in range(n_items)]
    assert no_threads()


def test_reading_ends_when_the_consumer_stops():
    results = read_ahead(str, range(100))
    next(results)
    results.close()
    assert no_threads()

    def stops():
        for _ in read_ahead(str, range(100)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stops()
    assert no_threads()


def test_errors_of_the_reader_reach_the_consumer():
    def read(item):
        return 6 / (2 - item)

    results = read_ahead(read, range(100))
    assert [next(results), next(results)] == [3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert no_threads()
    source = _ReadAheadSource(pixels(np.uint8), CPU)
    with pytest.raises(IndexError):
        list(source.batches([np.array([0]), np.array([40])], seed=0))
    assert no_threads()
