"""Whatever is given as images and labels trains and predicts, or is refused before training.

A case is put together from parts: pixels, how they lie in memory, a container, labels, settings. A
part that cannot be trained on says which words it is refused with. So for every case it is known
what is to happen: if one of its parts is refused, `fit` raises ValueError or TypeError with such
words before a step was made, and leaves the estimator as it was; else it trains, and predicts
labels that are those given.

The parts are those of the tables in docs/inputs.md. The default run draws few cases, the slow one
draws many: ``pytest -m slow tests/contracts/test_input_properties.py``.
"""

import functools
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._inputs.containers import as_array, as_rows
from sklearn_open._inputs.layout import Layout
from sklearn_open.backbones import SmallCNN, SmallMLP

# Warnings that a user may see; any other fails a case.
WARNINGS = "leaves no room for noise|nearly black|far too bright|column-vector y|number of unique"

steps = Counter()


class Watched(OPeNClassifier):
    """Counts training steps."""

    def train_step(self, *args, **kwargs):
        steps["made"] += 1
        return super().train_step(*args, **kwargs)


def tiny(num_classes, in_channels=None, in_features=None, width=2):
    if in_features is not None:
        return SmallMLP(num_classes, in_features, hidden=2 * width)
    return SmallCNN(num_classes, in_channels, width=width)


def make(**params):
    fixed = {"max_epochs": 1, "start_epoch": 0, "delta": 0.5, "lr": 0.05}
    return Watched(tiny, **{**fixed, "random_state": 0, "verbose": 0, **params})


@dataclass(frozen=True)
class Part:
    """One ingredient of a case.

    `make` makes it from what comes before, `refused` are the words that it is refused with, if it
    is, and `fits` says what it can be made from.
    """

    name: str
    make: Callable
    refused: str | None = None
    fits: Callable = lambda *args: True

    def __repr__(self):
        return self.name


@dataclass(frozen=True)
class Case:
    name: str
    X: object
    y: object
    params: dict
    refused: tuple
    parts: tuple = ()

    def _repr_pretty_(self, printer, cycle):
        printer.text(f"{self.name} {self.params}")


# --- the contract ---


def called(function, *args, **kwargs):
    """Call something; only warnings in `WARNINGS` may be shown."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*args, **kwargs)
    for warning in caught:
        assert issubclass(warning.category, UserWarning), str(warning)
        assert re.search(WARNINGS, str(warning.message)), warning
    return result


def refusal(function, *args):
    """Return the error that a call is refused with, or None."""
    try:
        called(function, *args)
    except (ValueError, TypeError) as error:  # anything else fails the test
        return error
    return None


def check_refused(function, args, words):
    error = refusal(function, *args)
    assert error is not None, f"not refused, expected {words}"
    assert re.search("|".join(words), str(error), re.DOTALL), f"{error!r} is not about {words}"


def check_fit(case):
    """Fit; return whether the case was accepted."""
    clf, before = make(**case.params), steps["made"]
    state = dict(clf.__dict__)
    if case.refused:
        check_refused(clf.fit, (case.X, case.y), case.refused)
        assert steps["made"] == before, "refused after training had begun"
        assert clf.__dict__.keys() == state.keys()
        assert all(clf.__dict__[name] is value for name, value in state.items())
        return False
    called(clf.fit, case.X, case.y)
    y = case.X.marks if case.y is None else case.y
    check_predictions(clf, case.X, y, case.params.get("classes"))
    return True


def check_predictions(clf, X, y, classes=None):
    labels = np.asarray(y).ravel()
    proba = called(clf.predict_proba, X)
    assert proba.shape == (len(labels), len(clf.classes_))
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-4)
    predicted = called(clf.predict, X)
    np.testing.assert_array_equal(predicted, clf.classes_[proba.argmax(axis=1)])
    if classes is None:
        np.testing.assert_array_equal(clf.classes_, np.unique(labels))
        assert predicted.dtype == labels.dtype
        assert set(predicted.tolist()) <= set(labels.tolist())
    else:
        assert clf.classes_.tolist() == list(classes)


# --- images ---


def numbers(rng, shape):
    return rng.randint(0, 200, shape)


def with_value(value, dtype=np.float64):
    def make_pixels(rng, shape):
        X = rng.rand(*shape).astype(dtype)
        X[-1].flat[-1] = value
        return X

    return make_pixels


def wide_range(rng, shape):
    X = rng.choice([-3e38, 3e38], shape)
    X.flat[0], X.flat[-1] = -3e38, 3e38
    return X


def text(rng, shape):
    return numbers(rng, shape).astype(str)


def dates(rng, shape):
    return numbers(rng, shape).astype("datetime64[D]")


def one_channel_constant(rng, shape):
    X = rng.rand(*shape).astype(np.float32) * 300 - 7
    X[:, :1] = 37.3
    return X


DTYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
          "float32", "float64", "longdouble", "bool", ">i2", ">u4", ">f4", ">f8"]  # fmt: skip
PIXELS = [
    *(Part(dtype, lambda rng, shape, d=dtype: numbers(rng, shape).astype(d)) for dtype in DTYPES),
    Part("unit", lambda rng, shape: rng.rand(*shape)),
    Part("negative", lambda rng, shape: rng.randn(*shape)),
    Part("black", lambda rng, shape: np.zeros(shape, np.uint8)),
    Part("constant", lambda rng, shape: np.full(shape, 0.3)),
    Part("constant, negative", lambda rng, shape: np.full(shape, -3e38)),
    Part("one channel constant", one_channel_constant),
    Part("1e30", lambda rng, shape: rng.randn(*shape) * 1e30),
    Part("1e-30", lambda rng, shape: rng.rand(*shape) * 1e-30),
    Part("denormal", lambda rng, shape: rng.rand(*shape) * 1e-44),
    Part("1e-300", lambda rng, shape: rng.rand(*shape) * 1e-300),
    Part("2**62", lambda rng, shape: numbers(rng, shape) + 2**62),
    Part("object numbers", lambda rng, shape: numbers(rng, shape).astype(object)),
    Part("beyond float32", with_value(1e300), "too large"),
    Part("range beyond float32", wide_range, "range too large"),
    Part("NaN", with_value(np.nan), "NaN"),
    Part("float16 infinity", with_value(-np.inf, np.float16), "infinity"),
    Part("object None", lambda rng, shape: with_value(None, object)(rng, shape),
         "NaN|no pixels"),
    Part("complex", lambda rng, shape: rng.rand(*shape) * 1j, "[Cc]omplex"),
    Part("text", text, "holds no pixels"),
    Part("words", lambda rng, shape: np.full(shape, "cat", object), "could not convert|no pixels"),
    Part("dates", dates, "holds no pixels"),
]  # fmt: skip


def sliced(X):
    wide = np.zeros((2 * len(X), *X.shape[1:]), X.dtype)
    wide[::2] = X
    return wide[::2]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


MEMORY = [
    Part("C", lambda X: X),
    Part("Fortran", np.asfortranarray),
    Part("backwards", lambda X: X[::-1]),
    Part("mirrored", lambda X: X[..., ::-1]),
    Part("sliced", sliced),
    Part("read-only", read_only),
    Part("broadcast", lambda X: np.broadcast_to(X[-1:], X.shape)),
]


def real(X):
    return X.dtype.kind in "buif"


def for_torch(X):
    return real(X) and X.dtype.isnative and X.dtype != np.longdouble


def for_polars(X):
    return for_torch(X) and X.ndim == 2 and X.dtype != np.float16


def for_pil(X):
    return X.dtype == np.uint8 and (X.ndim == 3 or (X.ndim == 4 and X.shape[3] in (3, 4)))


def tensor(X):
    return torch.from_numpy(np.array(X, order="C"))


def masked(X, where):
    return np.ma.masked_array(X, np.broadcast_to(where, X.shape))


def memory_map(X):
    with tempfile.TemporaryFile() as file:
        made = np.memmap(file, X.dtype, "w+", shape=X.shape)
    made[:] = X
    return made


def matrix(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(X)


def objects(X):
    made = np.empty(len(X), object)
    made[:] = list(X)
    return made


class Items(Dataset):
    """Pairs of an image and a label that nobody asks for."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], 0


def pil(X):
    return [Image.fromarray(np.ascontiguousarray(row)) for row in X]


CONTAINERS = [
    Part("array", lambda X: X),
    Part("list", list),
    Part("tuple", tuple),
    Part("nested lists", lambda X: X.tolist(), fits=lambda X: X.dtype.kind != "M"),
    Part("tensor", tensor, fits=for_torch),
    Part("bfloat16 tensor", lambda X: tensor(X).bfloat16(),
         fits=lambda X: for_torch(X) and np.abs(X.astype(float)).max() < 1e38),
    Part("tensors", lambda X: list(tensor(X)), fits=for_torch),
    Part("tensor with gradient", lambda X: tensor(X).requires_grad_(),
         fits=lambda X: for_torch(X) and X.dtype.kind == "f"),
    Part("masked array, none masked", lambda X: masked(X, False)),
    Part("masked array", lambda X: masked(X, np.arange(X.shape[-1]) == 0), "masked"),
    Part("list of masked arrays", lambda X: list(masked(X, True)), "masked",
         fits=lambda X: X.ndim > 2),
    Part("matrix", matrix, "np.matrix", fits=lambda X: X.ndim == 2 and real(X)),
    Part("sparse", lambda X: scipy.sparse.csr_array(X.astype(float)), "[Ss]parse",
         fits=lambda X: X.ndim == 2 and real(X)),
    Part("sparse tensor", lambda X: tensor(X).to_sparse(), "[Ss]parse|Pass a dense one",
         fits=lambda X: for_torch(X) and X.dtype.kind != "u"),
    Part("pandas table", pandas.DataFrame,
         fits=lambda X: X.ndim == 2 and real(X) and X.dtype.isnative),
    Part("polars table", lambda X: polars.DataFrame(np.ascontiguousarray(X)), fits=for_polars),
    Part("pandas column", lambda X: pandas.DataFrame({"image": list(X)})),
    Part("pandas series", lambda X: pandas.Series(list(X))),
    Part("objects", objects),
    Part("object dtype", lambda X: X.astype(object), fits=real),
    Part("memory map", memory_map, fits=real),
    Part("PIL images", pil, fits=for_pil),
    Part("data set", Items, fits=lambda X: X.dtype != object),
    Part("data set of tensors", lambda X: TensorDataset(tensor(X), torch.zeros(len(X))),
         fits=for_torch),
    Part("data set of PIL images", lambda X: Items(pil(X)), fits=for_pil),
    Part("data loader", lambda X: DataLoader(Items(X)), "DataLoader.*loader.dataset"),
    Part("generator", iter, "which has no rows"),
    Part("five axes", lambda X: np.asarray(X)[(..., *[None] * (5 - X.ndim))], "dim 5"),
    Part("one axis", lambda X: np.asarray(X).ravel(), "2D array|dtype", fits=real),
    Part("no rows", lambda X: X[:0], "0 sample"),
    Part("no rows, data set", lambda X: Items(X[:0]), "0 sample"),
    Part("no pixels", lambda X: X[..., :0], "0 feature|no pixels|is needed"),
    Part("rows of several lengths", lambda X: [X[0], *[row[..., :-1] for row in X[1:]]],
         "images differ"),
    *(Part(f"X={X!r}", lambda _, X=X: X, "which has no rows|Pass one of its|2D array")
      for X in (None, 3, "images/", {"train": 1}, {1, 2}, object, [], ())),
]  # fmt: skip


# --- labels ---


def named(names):
    return lambda codes: np.asarray(names)[codes % len(names)]


def spoilt(labels, value):
    labels = list(labels)
    labels[-1] = value
    return labels


def as_objects(labels):
    made = np.empty(len(labels), object)
    made[:] = labels
    return made


def letters(codes):
    return np.array(list("abcdefghijklmnopqrstuvwxyz"))[codes]


LABELS = [
    Part("int64", lambda codes: codes),
    Part("list of ints", lambda codes: codes.tolist()),
    Part("tuple", lambda codes: tuple(codes.tolist())),
    Part("int8", lambda codes: codes.astype(np.int8) - 3),
    Part("big-endian", lambda codes: codes.astype(">i4")),
    Part("huge ints", lambda codes: codes + 2**62),
    Part("uint64", lambda codes: codes.astype(np.uint64) + np.uint64(2**63 + 5)),
    Part("integral floats", lambda codes: codes * 2.0 - 3),
    Part("float16", lambda codes: codes.astype(np.float16)),
    Part("bool", lambda codes: codes > 0),
    Part("list of bools", lambda codes: (codes > 0).tolist()),
    Part("str", letters),
    Part("list of str", lambda codes: letters(codes).tolist()),
    Part("str of several lengths", named(["", "a", "a ", "Ä", "long name"])),
    Part("objects of str", lambda codes: letters(codes).astype(object)),
    Part("dates", lambda codes: codes.astype("datetime64[D]")),
    Part("nanoseconds", lambda codes: codes.astype("datetime64[ns]")),
    Part("tensor", torch.from_numpy),
    Part("tensor of floats", lambda codes: torch.from_numpy(codes).float()),
    Part("masked array, none masked", np.ma.masked_array),
    Part("column", lambda codes: codes[:, None]),
    Part("pandas ints", lambda codes: pandas.Series(codes, index=codes[::-1])),
    Part("pandas Int64", lambda codes: pandas.Series(codes, dtype="Int64")),
    Part("pandas str", lambda codes: pandas.Series(letters(codes))),
    Part("pandas categories", lambda codes: pandas.Series(letters(codes), dtype="category")),
    Part("categorical", lambda codes: pandas.Categorical(letters(codes))),
    Part("pandas column", lambda codes: pandas.DataFrame({"y": codes})),
    Part("polars", lambda codes: polars.Series(letters(codes))),
    Part("numpy scalars", lambda codes: list(letters(codes))),
    Part("0-d tensors", lambda codes: list(torch.from_numpy(codes))),
    Part("fractions", lambda codes: codes + 0.5, "continuous"),
    Part("NaN", lambda codes: np.array(spoilt(codes, np.nan)), "no label"),
    Part("infinity", lambda codes: np.array(spoilt(codes, np.inf)), "infinity|continuous"),
    Part("list with NaN", lambda codes: spoilt(letters(codes), np.nan), "no label"),
    Part("list with None", lambda codes: spoilt(letters(codes).tolist(), None), "no label"),
    Part("objects with None", lambda codes: as_objects(spoilt(codes.tolist(), None)), "no label"),
    Part("Int64 with NA", lambda codes: pandas.Series(spoilt(codes, pandas.NA), dtype="Int64"),
         "no label"),
    Part("category that is missing", lambda codes: pandas.Categorical(spoilt(letters(codes), None)),
         "no label"),
    Part("polars null", lambda codes: polars.Series(spoilt(letters(codes).tolist(), None)),
         "no label"),
    Part("no date", lambda codes: np.array(spoilt(codes.astype("datetime64[D]"), "NaT"),
                                           "datetime64[D]"), "no label"),
    Part("masked", lambda codes: np.ma.masked_array(codes, codes == 0), "masked labels"),
    Part("str and ints", lambda codes: spoilt(letters(codes).tolist(), 7), "several types"),
    Part("ints and str", lambda codes: spoilt(codes.tolist(), "a"), "several types"),
    Part("objects of two types", lambda codes: as_objects(spoilt(letters(codes).tolist(), 7)),
         "several types"),
    Part("ints beyond 64 bits", lambda codes: (codes + 2**70 * (codes > 0).astype(object)).tolist(),
         "[Uu]nknown label type"),
    Part("objects of ints", lambda codes: codes.astype(object), "[Uu]nknown label type"),
    Part("bytes", lambda codes: letters(codes).astype(bytes), "bytes"),
    Part("complex", lambda codes: codes * 1j, "[Cc]omplex"),
    Part("one-hot", lambda codes: np.eye(codes.max() + 1, dtype=int)[codes], "Multilabel"),
    Part("one-hot list", lambda codes: np.eye(codes.max() + 1)[codes].tolist(), "Multilabel"),
    Part("sparse one-hot", lambda codes: scipy.sparse.csr_array(np.eye(codes.max() + 1)[codes]),
         "Multilabel"),
    Part("two columns", lambda codes: np.stack([codes, codes + 2], 1),
         "Multilabel|y should be"),
    Part("three axes", lambda codes: codes[:, None, None], "dim 3|nknown label type"),
    Part("lists of several lengths", lambda codes: [[int(c)] * (1 + (c > 0)) for c in codes],
         "multi-label|inhomogeneous"),
    Part("one class", lambda codes: codes * 0, "one class only|more than 1 class"),
    Part("one label too few", lambda codes: codes[:-1], "rows and y has|inconsistent"),
    Part("one label too many", lambda codes: [*codes.tolist(), 0],
         "rows and y has|inconsistent"),
    Part("empty", lambda codes: codes[:0], "rows and y has|inconsistent"),
    Part("None", lambda codes: None, "requires y|one class|array-like"),  # which `Items` have
    Part("a number", lambda codes: 3, "array-like"),
    Part("a word", lambda codes: "y", "array-like"),
    Part("a set", lambda codes: set(range(len(codes))), "array-like"),
    Part("a dict", lambda codes: dict(enumerate(codes)), "array-like"),
    Part("a generator", lambda codes: iter(codes), "array-like"),
]  # fmt: skip


# --- cases ---

# Drawn more often, or most cases would be refused.
GOOD_LABELS = [part for part in LABELS if not part.refused]
GOOD_CONTAINERS = [part for part in CONTAINERS if not part.refused]


@st.composite
def fits(draw):
    """Any pixels in any container with any labels."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    shape, image_shape = draw(shapes())
    pixels = draw(st.sampled_from(PIXELS))
    memory = draw(st.sampled_from(MEMORY[: -1 if pixels.refused else None]))
    array = memory.make(pixels.make(rng, shape))
    fitting = [part for part in GOOD_CONTAINERS * 2 + CONTAINERS if part.fits(array)]
    container = draw(st.sampled_from(fitting))
    labels = draw(st.sampled_from(GOOD_LABELS * 3 + LABELS))
    codes = draw(long_tails(len(array)))
    batch_size = draw(st.integers(1, len(codes) + 1) | st.sampled_from([-1, 128]))
    parts = (pixels, container, labels)
    refused = [part.refused for part in parts if part.refused]
    if batch_size == 1:
        refused += single_rows_refused(array, image_shape)
    name = f"{shape} {pixels}, {memory}, {container}, y: {labels}"
    params = {"batch_size": batch_size, "image_shape": image_shape}
    return Case(name, container.make(array), labels.make(codes), params, tuple(refused), parts)


@st.composite
def shapes(draw):
    """A shape of an array, and what is told of it as image_shape."""
    kind = draw(st.sampled_from(["table", "gray", "channels_first", "channels_last"]))
    n = draw(st.integers(2, 17))
    channels, height, width = (draw(st.integers(1, high)) for high in (12, 9, 9))
    told = draw(st.booleans())
    if kind == "table":
        shape = (n, channels * height * width)
        return shape, (channels, height, width) if told else None
    if kind == "gray":
        return (n, height, width), (height, width) if told else None
    first = kind == "channels_first"
    shape = (n, channels, height, width) if first else (n, height, width, channels)
    return shape, (channels, height, width) if told else None


@st.composite
def long_tails(draw, n):
    """Codes of two classes or more, some of them with a single row."""
    n_classes = draw(st.integers(2, min(n, 5)))
    rest = draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=n - n_classes,
                         max_size=n - n_classes))  # fmt: skip
    codes = np.array([*range(n_classes), *rest])
    return codes[np.random.RandomState(n).permutation(n)]


def single_rows_refused(array, image_shape):
    """What batches of one row are refused with, where batch norm has one value per channel."""
    if array.ndim == 2 and image_shape is None:
        return ["single row"]
    shape = image_shape
    if array.ndim > 2:
        known = None if shape is None else (1,) * (3 - len(shape)) + shape
        shape = Layout.of(array.shape, known).channels_first(array).shape[1:]
    return ["single row"] if max(shape[-2:]) <= 4 else []


CLASSES = [
    Part("all", lambda found: found),
    Part("backwards", lambda found: found[::-1]),
    Part("one more", lambda found: [*found, "zz" if isinstance(found[0], str) else 99]),
    Part("tuple", lambda found: tuple(found)),
    Part("array", np.asarray),
    Part("series", pandas.Series),
    Part("tensor", torch.tensor, fits=lambda found: isinstance(found[0], int)),
    Part("names of codes", lambda found: [f"c{i}" for i in found],
         fits=lambda found: found == list(range(len(found)))),
    Part("other numbers", lambda found: [i + 1000 for i in found], "not in classes",
         fits=lambda found: isinstance(found[0], (int, float))),
    Part("one too few", lambda found: found[1:], "not in classes"),
    Part("one twice", lambda found: [*found, found[0]], "list of different labels"),
    Part("a column", lambda found: [[label] for label in found], "list of different labels"),
    Part("None among them", lambda found: [*found, None], "no label"),
    Part("of two types", lambda found: [*found, 5.5 if isinstance(found[0], str) else "a"],
         "several types"),
    Part("a number", lambda found: 5, "list of different labels"),
    Part("a set", set, "classes is a set"),
]  # fmt: skip


@st.composite
def classes_named(draw):
    """Labels with `classes=`, which may have more of them, and in another order."""
    codes = draw(long_tails(draw(st.integers(2, 12))))
    y = draw(st.sampled_from([codes, codes - 2, letters(codes), codes * 2.0]))
    found = np.unique(y).tolist()
    part = draw(st.sampled_from([part for part in CLASSES if part.fits(found)]))
    X = np.random.RandomState(0).rand(len(y), 3)
    params = {"classes": part.make(found), "batch_size": 4}
    return Case(f"{y.dtype}, classes: {part}", X, y, params, (part.refused,) * bool(part.refused))


class Odd(Dataset):
    """Something is wrong with the item in row `row`."""

    def __init__(self, X, y, row, oddity, length=None):
        self.X, self.marks, self.row, self.oddity = X, y, row, oddity
        self.length = len(X) if length is None else length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        image = self.X[i]
        return self.oddity(image, self.marks[i]) if i == self.row else (image, self.marks[i])


def raising(error):
    def read(image, label):
        raise error

    return read


ODDITIES = [
    Part("nothing", lambda image, label: (image, label)),
    Part("list for tuple", lambda image, label: [image, label]),
    Part("tensor", lambda image, label: (torch.from_numpy(image.copy()), label)),
    *(Part(f"raises {type(error).__name__}", raising(error), f"item . of X.*{type(error).__name__}")
      for error in (OSError("truncated"), KeyError("k"), RuntimeError("r"), IndexError("i"),
                    ZeroDivisionError("z"), StopIteration())),
    Part("another shape", lambda image, label: (image[..., 1:], label), "images differ|0 feature"),
    Part("another number of axes", lambda image, label: (image[None], label),
         "images differ|dim 5"),
    Part("bytes for floats", lambda image, label: (image.astype(np.uint8), label), "images differ"),
    Part("NaN", lambda image, label: (image * np.nan, label), "item . of X contains NaN"),
    Part("too large", lambda image, label: (image + 1e300, label), "item . of X contains NaN"),
    Part("complex", lambda image, label: (image * 1j, label), "item . of X has dtype complex128"),
    Part("text", lambda image, label: ("image", label), "item . of X has dtype <U5"),
    Part("None", lambda image, label: (None, label), "item . of X has dtype object"),
    Part("range", lambda image, label: (image * 0 - 3.4e38, label), "range too large"),
]  # fmt: skip


@st.composite
def odd_data_sets(draw):
    """Data sets of which one item is not like the others, or that are shorter than they say."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    codes = draw(long_tails(draw(st.integers(2, 9))))
    X = rng.rand(len(codes), *draw(st.sampled_from([(2,), (3, 3), (3, 2, 2), (2, 2, 3)])))
    X[..., -1] = 3e38
    row = draw(st.integers(0, len(codes) - 1))
    part, labels_given = draw(st.sampled_from(ODDITIES)), draw(st.booleans())
    dataset, refused = Odd(X, codes, row, part.make), [part.refused] if part.refused else []
    if draw(st.sampled_from([False] * 5 + [True])):
        dataset.length += 1  # and no more items
        codes, refused = [*codes, 0], [*refused, "item . of X could not be read: IndexError"]
    name = f"{X.shape}, item {row}: {part}"
    return Case(name, dataset, codes if labels_given else None, {"batch_size": 3}, tuple(refused))


# --- predictions on other data than those that were fitted ---


@functools.cache
def fitted(kind):
    """A fitted network for bytes, floats in [0, 1] or a table of three columns."""
    rng = np.random.RandomState(0)
    codes = np.arange(30) % 3
    X = rng.randint(0, 256, (30, 3, 4, 5), dtype=np.uint8)
    X = {"bytes": X, "unit": X / 255, "table": X[:, :, 0, 0] - 99.5}[kind]
    return called(make(max_epochs=2, batch_size=8).fit, X, letters(codes))


def other(shape, low=0.0, high=1.0, dtype=float):
    return lambda rng: rng.uniform(low, high, shape).astype(dtype)


def replaced(value, shape):
    def make_rows(rng):
        X = rng.rand(*shape)
        X.flat[-1] = value
        return X

    return make_rows


IMAGES, TABLE = ("bytes", "unit"), ("table",)
OTHERS = [
    *((IMAGES, Part(f"{shape}", other(shape)))
      for shape in [(4, 3, 4, 5), (1, 3, 4, 5), (4, 4, 5, 3), (4, 60)]),
    *((IMAGES, Part(dtype, other((4, 3, 4, 5), 0, 100, dtype))) for dtype in DTYPES),
    (IMAGES, Part("big", other((4, 3, 4, 5), -1e20, 1e20))),
    (IMAGES, Part("tensor", lambda rng: torch.rand(3, 3, 4, 5))),
    (IMAGES, Part("list", lambda rng: list(rng.rand(3, 3, 4, 5)))),
    (IMAGES, Part("data set", lambda rng: Items(rng.rand(3, 3, 4, 5)))),
    (IMAGES, Part("objects", lambda rng: rng.rand(3, 3, 4, 5).astype(object))),
    *((IMAGES, Part(f"{shape}", other(shape), "is needed, as in fit"))
      for shape in [(4, 3, 5, 4), (4, 1, 4, 5), (4, 4, 5), (4, 3, 4, 6)]),
    (IMAGES, Part("data set of others", lambda rng: Items(rng.rand(3, 3, 4, 6)), "is needed")),
    (IMAGES, Part("(4, 61)", other((4, 61)), "61 features|does not make images")),
    (IMAGES, Part("NaN", replaced(np.nan, (4, 3, 4, 5)), "NaN or infinity")),
    (IMAGES, Part("infinity", replaced(-np.inf, (4, 60)), "NaN or infinity")),
    (("unit",), Part("3e38", replaced(3e38, (4, 3, 4, 5)), "returned NaN")),
    (IMAGES, Part("NaN in a data set", lambda rng: Items(replaced(np.nan, (3, 3, 4, 5))(rng)),
                  "item 2 of X contains NaN")),
    (IMAGES, Part("complex", lambda rng: rng.rand(3, 3, 4, 5) * 1j, "Complex")),
    (IMAGES, Part("masked", lambda rng: masked(rng.rand(3, 3, 4, 5), True), "masked")),
    (TABLE, Part("(4, 3)", other((4, 3), -99, 99))),
    (TABLE, Part("(1, 3)", other((1, 3), -99, 99))),
    (TABLE, Part("bytes", other((4, 3), 0, 255, np.uint8))),
    (TABLE, Part("data set", lambda rng: Items(rng.rand(4, 3)))),
    (TABLE, Part("pandas", lambda rng: pandas.DataFrame(rng.rand(4, 3)))),
    (TABLE, Part("(4, 4)", other((4, 4)), "4 features")),
    *((TABLE, Part(f"{shape}", other(shape), "fit was given a table"))
      for shape in [(4, 1, 1, 3), (4, 3, 1, 1), (4, 1, 3)]),
    (TABLE, Part("data set of images", lambda rng: Items(rng.rand(4, 1, 3)), "is needed")),
    ((*IMAGES, *TABLE), Part("no rows", other((0, 3)), "0 sample")),
    ((*IMAGES, *TABLE), Part("one axis", other(3), "2D array")),
    ((*IMAGES, *TABLE), Part("None", lambda rng: None, "which has no rows")),
]  # fmt: skip


@st.composite
def predictions(draw):
    """Data of another kind than those that the network was fitted on."""
    kinds, part = draw(st.sampled_from(OTHERS))
    X = part.make(np.random.RandomState(draw(st.integers(0, 2**16))))
    kind = draw(st.sampled_from(kinds))
    return Case(f"{kind}: {part}", X, kind, {}, (part.refused,) * bool(part.refused))


def check_prediction(case):
    clf = fitted(case.y)
    if case.refused:
        y = ["a"] * (len(case.X) if hasattr(case.X, "__len__") else 1)
        for call, args in [(clf.predict, ()), (clf.predict_proba, ()), (clf.score, (y,))]:
            check_refused(call, (case.X, *args), case.refused)
        return False
    proba, labels = called(clf.predict_proba, case.X), called(clf.predict, case.X)
    assert proba.shape == (len(case.X), 3)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(labels, clf.classes_[proba.argmax(axis=1)])
    assert called(clf.score, case.X, labels) == 1
    return True


# --- the resampler on its own ---

# What the resampler takes, but not the classifier.
TAKEN = ("one-hot", "one-hot list", "sparse one-hot", "range beyond float32")


def plain(X):
    """Return what was given as an array."""
    if isinstance(X, torch.Tensor):
        return as_array(X)
    if hasattr(X, "toarray"):
        return X.toarray()
    return np.asarray(as_rows(X))


def check_resampled(case):
    sampler = PureNoiseOverSampler(delta=0.5, random_state=0)
    refused = [part.refused for part in case.parts if part.refused and part.name not in TAKEN]
    if isinstance(case.X, Dataset):
        refused.append("a data set")
    if refused:
        check_refused(sampler.fit_resample, (case.X, case.y), refused)
        return False
    X_res, y_res = called(sampler.fit_resample, case.X, case.y)
    X, y, got, labels = (plain(part) for part in (case.X, case.y, X_res, y_res))
    if y.ndim == 2:  # imbalanced-learn's way: a column, or the second of two one-hot columns
        y = y if y.shape[1] > 2 else y[:, -1:]
        labels = labels.reshape(-1, y.shape[1])
    index, noise = sampler.sample_indices_, sampler.noise_mask_
    assert len(got) == len(labels) == len(index)
    assert np.isfinite(got.astype(float)).all()
    np.testing.assert_array_equal(got[: len(X)], X)
    np.testing.assert_array_equal(got[~noise], X[index[~noise]])
    np.testing.assert_array_equal(labels, y[index])
    assert len(set(np.unique(labels, axis=0, return_counts=True)[1])) == 1
    return True


# --- runs ---

RUNS = {
    "fits": (fits(), check_fit, 90, 1500),
    "classes": (classes_named(), check_fit, 25, 200),
    "odd data sets": (odd_data_sets(), check_fit, 30, 300),
    "predictions": (predictions(), check_prediction, 40, 300),
    "resampler": (fits(), check_resampled, 40, 500),
}


def run(name, n):
    """Check `n` cases; return how many were accepted and refused."""
    strategy, check = RUNS[name][:2]
    outcomes = Counter()

    @settings(max_examples=n, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def check_all(case):
        outcomes["accepted" if check(case) else "refused"] += 1

    check_all()
    return outcomes


@pytest.mark.parametrize("name", RUNS)
def test_a_few_cases(name):
    outcomes = run(name, RUNS[name][2])
    assert outcomes["accepted"] > 5
    assert outcomes["refused"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_many_cases(name, capsys):
    outcomes = run(name, RUNS[name][3])
    with capsys.disabled():
        print(f"\n{name}: {dict(outcomes)}")
    assert outcomes["accepted"] > 50
    assert outcomes["refused"] > 50


# --- what is learned is the labels that were given, in their own order ---


@pytest.mark.parametrize("labels", GOOD_LABELS, ids=str)
def test_labels_are_those_of_the_images(labels):
    """Classes are told apart by brightness: every row gets its own label, of the type given."""
    codes = np.random.RandomState(0).permutation(np.repeat([0, 1, 2, 3], [20, 10, 6, 4]))
    X = np.zeros((40, 2), np.float32) + codes[:, None]
    y = labels.make(codes)
    clf = make(max_epochs=60, batch_size=20, start_epoch=50, lr_milestones=(), module__width=16)
    predicted = called(clf.fit, X, y).predict(X)
    np.testing.assert_array_equal(predicted, np.asarray(y).ravel())


def test_a_thousand_classes():
    y = np.random.RandomState(0).permutation(np.repeat(np.arange(1000), [9] + [2] * 999))
    X = np.stack([y, y % 7], 1)
    clf = make(batch_size=500)
    called(clf.fit, X, y.astype(str))
    check_predictions(clf, X, y.astype(str))
