"""Whatever people keep images in trains and predicts as the same data given as an array."""

import multiprocessing
import os
import random
import re

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from sklearn_open import OPeNClassifier
from sklearn_open._inputs import lazy as _inputs
from sklearn_open._inputs.items import find_labels
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


def pil(X):
    return [Image.fromarray(np.ascontiguousarray(row)) for row in np.moveaxis(X, 1, 3)]


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def image_folder(X, y, folder):
    for i, (image, label) in enumerate(zip(pil(X), y, strict=True)):
        (folder / str(label)).mkdir(exist_ok=True, parents=True)
        image.save(folder / str(label) / f"{i:03}.png")
    return torchvision.datasets.ImageFolder(folder)


def hugging_face(X, y):
    datasets = pytest.importorskip("datasets", reason="needs Hugging Face datasets")
    return datasets.Dataset.from_dict({"image": pil(X), "label": y.tolist()}).with_format("torch")


def pandas_column(X):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"image": list(X)})


def polars_column(X):
    polars = pytest.importorskip("polars", reason="needs polars")
    return polars.DataFrame({"image": polars.Series(X.tolist())})


ARRAYS = {
    "tensor": lambda X, y, f: torch.from_numpy(X),
    "memory map": lambda X, y, f: memory_map(X, f),
    "list of arrays": lambda X, y, f: list(X),
    "list of tensors": lambda X, y, f: list(torch.from_numpy(X)),
    "list of PIL images": lambda X, y, f: pil(X),
    "pandas column": lambda X, y, f: pandas_column(X),
    "pandas series": lambda X, y, f: pandas_column(X)["image"],
}
DATASETS = {
    "pairs": lambda X, y, f: Pairs(X, y),
    "listed": lambda X, y, f: Listed(X, y),
    "PIL pairs": lambda X, y, f: Pairs(pil(X), y),
    "tensors": lambda X, y, f: TensorDataset(torch.from_numpy(X), torch.from_numpy(y)),
    "skorch": lambda X, y, f: SkorchDataset(X, y),
    "concatenated": lambda X, y, f: ConcatDataset([Listed(X[:20], y[:20]), Pairs(X[20:], y[20:])]),
    "subset": lambda X, y, f: Subset(Listed(X[::-1].copy(), y[::-1]), range(59, -1, -1)),
    "Hugging Face": lambda X, y, f: hugging_face(X, y),
    "slices": lambda X, y, f: SliceDataset(Pairs(X, y)),
}


@pytest.mark.parametrize("kind", [*ARRAYS, *DATASETS])
def test_every_kind_is_the_same_data(images, tmp_path, kind):
    X, y = images
    given = {**ARRAYS, **DATASETS}[kind](X, y, tmp_path)
    expected = make().fit(X, y)
    clf = make().fit(given, y)
    np.testing.assert_array_equal(clf.predict_proba(given), expected.predict_proba(X))
    np.testing.assert_array_equal(clf.predict(given), expected.predict(X))
    assert clf.n_features_in_ == expected.n_features_in_
    assert clf.image_shape_ == expected.image_shape_


@pytest.mark.parametrize("kind", [kind for kind in DATASETS if kind != "slices"])
def test_data_sets_bring_their_labels(images, tmp_path, kind):
    X, y = images
    given = DATASETS[kind](X, y, tmp_path)
    expected = make().fit(X, y).predict_proba(X)
    for args in ((given,), (given, None)):
        np.testing.assert_array_equal(make().fit(*args).predict_proba(given), expected)


def test_polars(images):
    X, y = images
    expected = make().fit(X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    got = make().fit(polars_column(X.astype(np.float32)), y)
    np.testing.assert_array_equal(got.predict_proba(polars_column(X.astype(np.float32))), expected)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_flat_frames(images, library):
    frames = pytest.importorskip(library, reason=f"needs {library}")
    X, y = images
    flat = X.reshape(60, -1).astype(np.float32)
    frame = frames.DataFrame({f"p{i}": flat[:, i] for i in range(192)})
    clf = make(image_shape=(3, 8, 8)).fit(frame, y)
    expected = make(image_shape=(3, 8, 8)).fit(flat, y)
    np.testing.assert_array_equal(clf.predict_proba(frame), expected.predict_proba(flat))
    assert clf.feature_names_in_[0] == "p0"


def test_image_folders(images, tmp_path):
    X, y = images
    folder = image_folder(X, y, tmp_path)
    order = np.argsort(y, kind="stable")
    expected = make().fit(X[order], y[order]).predict_proba(X[order])
    np.testing.assert_array_equal(make().fit(folder).predict_proba(folder), expected)


def test_labels_are_found_without_reading_images(images):
    X, y = images
    listed = Listed(X, y)
    for dataset in (listed, Subset(listed, range(60)), ConcatDataset([listed, listed])):
        np.testing.assert_array_equal(np.asarray(find_labels(dataset, None))[:60], y)
    sliced = SliceDataset(listed, idx=1)[np.arange(5, 15)]
    np.testing.assert_array_equal(find_labels(SliceDataset(listed), sliced), y[5:15])
    assert listed.reads == 0


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


def test_searches_and_hold_outs(images):
    X, y = images
    dataset = Listed(X, y)
    search = GridSearchCV(make(), {"delta": [0, 0.5]}, cv=2, error_score="raise")
    search.fit(SliceDataset(dataset), y)
    expected = GridSearchCV(make(), {"delta": [0, 0.5]}, cv=2, error_score="raise").fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    split = ValidSplit(3, stratified=True)
    held = make(train_split=split).fit(dataset)
    assert held.history[:, "valid_acc"] == make(train_split=split).fit(X, y).history[:, "valid_acc"]


def test_what_cannot_be_trained_on_is_refused(images):
    X, y = images

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(X)

    with pytest.raises(TypeError, match="Stream, an iterable data set"):
        make().fit(Stream())
    with pytest.raises(ValueError, match=r"returns 1 value\..*exactly 2 values, X and y"):
        make().fit(TensorDataset(torch.from_numpy(X)))
    with pytest.raises(ValueError, match="X has 60 rows and y has 59 labels"):
        make().fit(Pairs(X, y), y[:-1])
    with pytest.raises(ValueError, match=r"images differ.*number 1 has \(8, 7, 3\)"):
        make().fit([*pil(X[:1]), *pil(X[1:, :, :, :7])], y)
    with pytest.raises(ValueError, match="images differ"):
        make().fit(Pairs([*pil(X[:1]), *pil(X[1:, :, :, :7])], y))
    broken = X.astype(np.float32)
    broken[7, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make().fit(Pairs(broken, y))
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 7\).*\(3, 8, 8\) is needed, as in fit"):
        clf.predict(Pairs(X[..., :7], y))


def test_keys_of_items(images):
    X, y = images

    class Items(Pairs):
        def __getitem__(self, i):
            return {"pixels": self.X[i], "label": self.marks[i]}

    with pytest.raises(ValueError, match=r"keys \['pixels', 'label'\].*Rename one to 'image'"):
        make().fit(Items(X, y), y)


@pytest.mark.parametrize("mode", ["P", "1", "CMYK"])
def test_pil_modes(mode):
    rng = np.random.RandomState(0)
    images = [Image.fromarray(rng.randint(0, 256, (8, 8, 3), dtype=np.uint8)).convert(mode)
              for _ in range(12)]  # fmt: skip
    clf = make().fit(images, [0, 1] * 6)
    assert clf.image_shape_ == ((1, 8, 8) if mode == "1" else (3, 8, 8))


# --- items of data sets are checked when they are read ---


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


def test_data_sets_of_no_items_or_fewer_than_they_say(images):
    X, y = images

    class Longer(Pairs):
        def __len__(self):
            return 61

    with pytest.raises(ValueError, match="0 sample"):
        make().fit(Pairs(X[:0], y[:0]))
    with pytest.raises(ValueError, match="item 60 of X could not be read: IndexError"):
        make().fit(Longer(X, [*y, 0]))


def test_a_data_set_of_rows_becomes_images_as_a_table_does(images):
    X, y = images
    flat = X.reshape(60, -1)
    clf = make(image_shape=(3, 8, 8)).fit(Pairs(flat, y))
    expected = make(image_shape=(3, 8, 8)).fit(flat, y)
    np.testing.assert_array_equal(clf.predict_proba(Pairs(flat, y)), expected.predict_proba(flat))


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_pil_modes_with_transparency(mode):
    rng = np.random.RandomState(0)
    pixels = rng.randint(0, 256, (12, 8, 7, 4), dtype=np.uint8)
    images = [Image.fromarray(row, "RGBA").convert("LA") for row in pixels]
    if mode == "PA":
        images = [image.convert("PA") for image in images]
    assert make().fit(images, [0, 1] * 6).image_shape_ == (4, 8, 7)


def test_what_holds_no_rows_is_named(images):
    X, y = images
    for given, message in [
        (DataLoader(Pairs(X, y)), r"DataLoader. Pass the data set.*loader\.dataset"),
        ({"train": X}, r"X is a dict. Pass one of its values, such as X\['train'\]"),
        (iter(X), "iterator, which has no rows.*load_image_folder"),
        (torch.from_numpy(X).to_sparse(), "Pass a dense one|sparse"),
        (torch.empty(60, 3, 8, 8, device="meta"), "Pass a dense one"),
    ]:
        with pytest.raises(TypeError, match=f"(?is){message}"):
            make().fit(given, y)


def test_object_arrays_and_conjugate_tensors_are_arrays(images):
    X, y = images
    held = np.empty(60, object)
    held[:] = list(X)
    conjugate = torch.complex(torch.zeros(X.shape), torch.from_numpy(X).float()).conj().imag
    for given, same in [(held, X), (conjugate, -X.astype(np.float32))]:
        np.testing.assert_array_equal(
            make().fit(given, y).predict_proba(given), make().fit(same, y).predict_proba(same)
        )
