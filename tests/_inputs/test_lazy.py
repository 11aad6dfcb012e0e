"""Data sets that are read while training."""

import multiprocessing
import os
import random
import re

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils.data import (
    Dataset,
)

from sklearn_open import OPeNClassifier
from sklearn_open._inputs import lazy as _inputs
from sklearn_open._inputs.lazy import BatchReader, LazyImages, chunks


def make(**kwargs):
    settings = {"max_epochs": 2, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(**{**settings, "random_state": 0, "verbose": 0, **kwargs})


class Pairs(Dataset):
    """Items without any list of labels; counts what is read."""

    def __init__(self, X, y, transform=None):
        self.X, self.marks, self.transform, self.reads = X, y, transform, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.reads += 1
        x = self.X[i]
        return (x if self.transform is None else self.transform(x)), self.marks[i]


class Listed(Pairs):
    @property
    def targets(self):
        return list(self.marks)


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def test_random_transforms_are_new_in_every_epoch_and_the_same_for_any_workers(images):
    X, y = images
    seen = []

    def flip(x):
        seen.append(bool(torch.rand(()) < 0.5))
        return x[..., ::-1].copy() if seen[-1] else x

    state = torch.get_rng_state()
    proba = []
    for workers in (0, 1, 2):
        clf = make(max_epochs=3, iterator_train__num_workers=workers).fit(Pairs(X, y, flip))
        proba.append(clf.predict_proba(X))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(proba[0], proba[1])
    np.testing.assert_array_equal(proba[0], proba[2])
    assert 0.3 < np.mean(seen) < 0.7


def test_workers_live_as_long_as_a_fit(images, tmp_path):
    X, y = images

    def mark(x):
        (tmp_path / str(os.getpid())).touch()
        return x

    class Stop(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    others = set(multiprocessing.active_children())  # joblib keeps workers of earlier tests
    for callbacks in ([], [Stop()]):
        settings = {"max_epochs": 4, "iterator_train__num_workers": 2, "callbacks": callbacks}
        make(**settings).fit(Pairs(X, y, mark))
        pids = {path.name for path in tmp_path.iterdir()} - {str(os.getpid())}
        assert len(pids) == 3  # one for the pass over the data before, two for all epochs
        assert set(multiprocessing.active_children()) <= others
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_reader_goes_on_after_an_iteration_that_was_left(images, workers):
    X, y = images
    reader = BatchReader(LazyImages(Pairs(X, y), np.asarray), workers)
    rows = np.array_split(np.arange(60), 10)
    left = reader.batches(rows, seed=0)
    next(left)
    left.close()
    for batches in (rows[::-1], rows[3:]):
        for got, expected in zip(reader.batches(batches, seed=0), batches, strict=True):
            np.testing.assert_array_equal(got, X[expected])


def test_chunks_go_through_all_rows(images, tmp_path, monkeypatch):
    X, y = images
    monkeypatch.setattr(_inputs, "CHUNK_BYTES", 8 * X[0].size * 7)
    for given in (X, memory_map(X, tmp_path), LazyImages(Pairs(X, y), np.asarray)):
        rows = [(rows, np.array(chunk)) for rows, chunk in chunks(given)]
        assert [len(chunk) for _, chunk in rows] == [7] * 8 + [4]
        for part, chunk in rows:
            np.testing.assert_array_equal(chunk, X[part])


class Turned(Pairs):
    """Images turned by a draw of each of the three global generators."""

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        turns = random.randrange(4), np.random.randint(4), int(torch.randint(4, ()))
        return np.rot90(image, sum(turns), axes=(1, 2)).copy() + np.uint8(turns[0]), label


def global_states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def test_transforms_that_draw_from_any_generator_give_the_same_bits_for_any_workers(images):
    X, y = images
    before = global_states()
    fits = []
    for workers in (0, 1, 2):
        random.seed(workers)  # what the generators were at does not count
        np.random.seed(workers)
        torch.manual_seed(workers)
        state = global_states()
        clf = make(max_epochs=3, iterator_train__num_workers=workers).fit(Turned(X, y))
        fits.append((clf.predict_proba(X), clf.predict_proba(Turned(X, y))))
        assert global_states() == state
    random.setstate(before[0])
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit, fits[0])


def test_global_states_are_left_as_found(images):
    X, y = images
    listed, state = Listed(X, y), global_states()
    for given in (X, listed, Turned(X, y)):
        clf = make(augment=lambda x: x + 0 * random.random() * np.random.rand()).fit(given, y)
        clf.predict(given)
        assert global_states() == state


def test_augmentation_may_draw_from_any_generator(images):
    X, y = images

    def shift(x):
        return x.roll(random.randrange(4) + np.random.randint(4), 3)

    first, second = (make(augment=shift).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


class Spoilt(Pairs):
    """Has one item that is not like the others."""

    def __init__(self, X, y, item, at=11):
        super().__init__(X, y)
        self.item, self.at = item, at

    def __getitem__(self, i):
        if i != self.at:
            return super().__getitem__(i)
        if isinstance(self.item, Exception):
            raise self.item
        return self.item, self.marks[i]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (OSError("truncated file"), "item 11 of X could not be read: OSError: truncated file"),
        (KeyError("image"), "item 11 of X could not be read: KeyError"),
        (np.zeros((3, 8, 7), np.float32), r"images differ.*number 11 has \(3, 8, 7\)"),
        (np.zeros((3, 8, 8), np.uint8), "the first is float32, number 11 is uint8.*one dtype"),
        (np.full((3, 8, 8), np.nan), "item 11 of X contains NaN or infinity"),
        (np.zeros((3, 8, 8), complex), "item 11 of X has dtype complex128"),
        ("path.png", "item 11 of X has dtype <U8"),
    ],
)
def test_an_item_that_is_not_like_the_others_is_named(images, workers, item, message):
    X, y = images
    clf = make(iterator_train__num_workers=workers).fit(X.astype(np.float32), y)
    proba, given = clf.predict_proba(X), Spoilt(X.astype(np.float32), y, item)
    for call in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
            call(given)
        np.testing.assert_array_equal(clf.predict_proba(X), proba)  # it is as it was
        assert len(clf.history) == 2
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        clf.predict(given)


def test_workers_end_with_the_error_that_one_of_them_met(images):
    X, y = images
    clf = make(iterator_train__num_workers=2)
    others = set(multiprocessing.active_children())  # joblib keeps workers of earlier tests
    with pytest.raises(ValueError, match="item 11 of X contains NaN") as held:
        clf.fit(Spoilt(X.astype(np.float32), y, X[0] * np.nan))
    assert set(multiprocessing.active_children()) <= others
    assert held.value is not None  # until here
