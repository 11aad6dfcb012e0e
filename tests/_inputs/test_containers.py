"""Whatever people keep images in trains and predicts as the same data given as an array."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import GridSearchCV
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


@pytest.mark.parametrize("mode", ["P", "1", "CMYK"])
def test_pil_modes(mode):
    rng = np.random.RandomState(0)
    images = [Image.fromarray(rng.randint(0, 256, (8, 8, 3), dtype=np.uint8)).convert(mode)
              for _ in range(12)]  # fmt: skip
    clf = make().fit(images, [0, 1] * 6)
    assert clf.image_shape_ == ((1, 8, 8) if mode == "1" else (3, 8, 8))


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
