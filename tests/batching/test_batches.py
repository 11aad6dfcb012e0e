"""Batches: the same bits from every kind of X, and no more memory than they need."""

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch.utils.data import Dataset, Subset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.memory_maps import MappedRows
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.augment import check_augment
from sklearn_open.batching import (
    BatchTransform,
    EpochBatches,
    EvalBatches,
    ImageDataset,
    TrainSet,
    taken,
)
from sklearn_open.noise import check_noise
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.plan import EpochPlanner

CPU = torch.device("cpu")


class Items(Dataset):
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], 0


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


KINDS = {
    "array": lambda X, f: X,
    "channels last": lambda X, f: np.moveaxis(np.ascontiguousarray(np.moveaxis(X, 1, 3)), 3, 1),
    "memory map": memory_map,
    "rows of a map": lambda X, f: MappedRows(memory_map(X[::-1], f), np.arange(len(X))[::-1]),
    "data set": lambda X, f: LazyImages(Items(X), np.asarray),
}


def iterators(X, y):
    statistics = PixelStatistics.of(X)
    noise = check_noise("class_gaussian").fit(X, y, statistics)
    transform = BatchTransform(
        statistics.scale, statistics.mean, statistics.std, check_augment("cutout"), noise, seed=0
    )
    draw = LabelDraw(PureNoiseOverSampler(delta=0.5), y)
    planner = EpochPlanner(y, draw, start_epoch=1, batch_size=16, seed=0)
    epochs = iter(range(2))
    train = EpochBatches(TrainSet(X, y, y, planner), transform, CPU, lambda: next(epochs))
    evaluation = EvalBatches(ImageDataset(X, y), transform, CPU, batch_size=16)
    return planner, train, evaluation


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_same_bits_for_every_kind_of_data(images, tmp_path, kind):
    X, y = images
    _, *expected = iterators(X, y)
    _, *got = iterators(KINDS[kind](X, tmp_path), y)
    for ours, theirs in zip(got, expected, strict=True):
        for _ in range(2):  # epochs; the second has noise
            for batch, reference in zip(ours, theirs, strict=True):
                assert torch.equal(batch[0], reference[0])
                assert batch[0].stride() == reference[0].stride()
                assert torch.equal(batch[1], reference[1])
                assert batch.n_noise == reference.n_noise


def test_batches_follow_the_plan(images):
    X, y = images
    planner, train, evaluation = iterators(X, y)
    for epoch in range(2):
        for batch, (index, n_noise) in zip(train, planner.plan(epoch).batches(), strict=True):
            assert batch.n_noise == n_noise
            np.testing.assert_array_equal(batch[1], y[index])
            assert len(batch[0]) == len(index)
    np.testing.assert_array_equal(torch.cat([codes for _, codes in evaluation]), y)


def test_an_epoch_that_is_left_leaves_no_thread(images, tmp_path):
    X, y = images
    _, train, evaluation = iterators(memory_map(X, tmp_path), y)
    for batches in (train, evaluation):
        iterator = iter(batches)
        next(iterator)
        assert any("sklearn_open" in thread.name for thread in threading.enumerate())
        iterator.close()
        assert not any("sklearn_open" in thread.name for thread in threading.enumerate())


def test_a_split_of_a_memory_map_is_not_a_copy(images, tmp_path):
    X, y = images
    rows = [5, 3, 59]
    split = taken(Subset(ImageDataset(memory_map(X, tmp_path), y), rows))
    assert isinstance(split.X, MappedRows)
    np.testing.assert_array_equal(split.X, X[rows])
    np.testing.assert_array_equal(split.codes, y[rows])


@pytest.mark.parametrize("resampler", [PureNoiseOverSampler, None])
def test_held_out_rows_of_a_memory_map(images, tmp_path, resampler):
    X, y = images
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    settings |= {"resampler": resampler, "train_split": ValidSplit(3, stratified=True)}
    ours, theirs = (
        OPeNClassifier(**settings, verbose=0).fit(given, y).history[:, ("train_loss", "valid_loss")]
        for given in (memory_map(X, tmp_path), X)
    )
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("shape", ["(n, 3, 32, 32)", "(n, 32, 32, 3)"])
def test_a_memory_map_is_never_held_in_memory(tmp_path, shape):
    script = f"""
        import threading
        import numpy as np
        from skorch.callbacks import Callback
        from sklearn_open import OPeNClassifier

        class Stop(Callback):
            n = 0
            def on_batch_end(self, net, training=None, **kwargs):
                self.n += 1
                if self.n == 20:
                    raise KeyboardInterrupt

        def held():
            return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

        n = 300_000  # 880 MiB
        X = np.memmap({str(tmp_path / "X")!r}, np.uint8, "w+", shape={shape})
        X[:100] = np.random.RandomState(0).randint(0, 256, X[:100].shape)
        X = np.memmap({str(tmp_path / "X")!r}, np.uint8, "r", shape={shape})
        y = (np.arange(n) % 50 == 0).astype(int)
        start, peaks, done = held(), [], threading.Event()
        def watch():
            while not done.wait(0.002):
                peaks.append(held())
        watcher = threading.Thread(target=watch)
        watcher.start()
        OPeNClassifier(max_epochs=1, start_epoch=0, verbose=0, callbacks=[Stop()]).fit(X, y)
        done.set()
        watcher.join()
        print(max(peaks) - start)
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert float(out.stdout) < 450
