"""Images in a mapped file are trained on as an array is, and travel as the file's name."""

import os
import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_predict
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.lazy import CHUNK_BYTES
from sklearn_open._inputs.memory_maps import MappedRows
from sklearn_open.datasets import MappedImages

FORMS = {
    "channels first": lambda X: X,
    "channels last": lambda X: np.ascontiguousarray(np.moveaxis(X, 1, 3)),
    "gray": lambda X: X[:, 0].copy(),
    "floats": lambda X: (X / np.float32(255)).astype(np.float32),
    "Fortran's order": np.asfortranarray,
}


def make(**params):
    return OPeNClassifier(**{"max_epochs": 2, "random_state": 0, "verbose": 0, **params})


@pytest.fixture
def file(images, tmp_path):
    np.save(tmp_path / "X.npy", images[0])
    return tmp_path / "X.npy"


@pytest.fixture
def never_in_memory(monkeypatch):
    """Fail if all rows are asked for at once."""
    read = MappedRows.__getitem__

    def some(self, rows):
        found = read(self, rows)
        assert found.nbytes <= CHUNK_BYTES / 8 or len(found) <= 128
        return found

    def everything(self, *args, **kwargs):
        raise AssertionError("all rows were asked for")

    monkeypatch.setattr(MappedRows, "__getitem__", some)
    for kind in (MappedRows, MappedImages):
        monkeypatch.setattr(kind, "__array__", everything)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("params", [{}, {"train_split": ValidSplit(3, stratified=True)}])
def test_fits_and_predictions_are_those_of_the_array(
    images, tmp_path, form, params, never_in_memory
):
    X, y = FORMS[form](images[0]), images[1]
    np.save(tmp_path / "X.npy", X)
    mapped = MappedImages(tmp_path / "X.npy")
    rows = np.arange(0, 60, 2)
    expected = make(**params).fit(X[rows], y[rows])
    clf = make(**params).fit(mapped[rows], y[rows])
    assert clf.history[:, "train_loss"] == expected.history[:, "train_loss"]
    for chosen in (slice(None), slice(1, None, 2), [5, 3]):
        np.testing.assert_array_equal(
            clf.predict_proba(mapped[chosen]), expected.predict_proba(X[chosen])
        )


def test_searches_take_it_and_share_phases(images, file, counted, tmp_path, never_in_memory):
    y = images[1]

    def search(X, folder):
        clf = counted(
            max_epochs=3, start_epoch=2, random_state=0, verbose=0, memory=tmp_path / folder
        )
        return GridSearchCV(clf, {"delta": [0, 0.5]}, cv=2, refit=False).fit(X, y)

    expected = search(images[0], "a").cv_results_["mean_test_score"]
    epochs_run, counted.epochs_run = counted.epochs_run, 0
    found = search(MappedImages(file), "b").cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    assert counted.epochs_run == epochs_run == 2 * (2 + 2 * 1)
    counted.epochs_run = 0
    search(MappedImages(file), "a")  # the pixels are what phases are told apart by
    assert counted.epochs_run == 2 * 2 * 1


def test_cross_val_predict_takes_it(images, file):
    found = cross_val_predict(make(), MappedImages(file), images[1], cv=2)
    np.testing.assert_array_equal(found, cross_val_predict(make(), *images, cv=2))


def test_rows_are_taken_as_from_an_array(images, file):
    X, mapped = images[0], MappedImages(file)
    for rows in (slice(3, 30), np.array([7, 1]), [0, -1], np.arange(60) % 3 == 0):
        taken = mapped[rows]
        assert (taken.shape, taken.dtype, taken.ndim) == (X[rows].shape, np.uint8, 4)
        assert len(taken) == len(X[rows])
        np.testing.assert_array_equal(np.asarray(taken), X[rows])
        np.testing.assert_array_equal(np.asarray(taken[::-1][[1, 0]]), X[rows][::-1][[1, 0]])
        np.testing.assert_array_equal(taken[1], X[rows][1])
    with pytest.raises(IndexError, match="out of bounds"):
        mapped[[60]]
    with pytest.raises(IndexError, match="rows only"):
        mapped[:, :2]


def test_its_pickle_is_the_name_of_the_file(images, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    mapped = MappedImages("X.npy")  # workers have another folder of work
    monkeypatch.chdir("/")
    sent = pickle.dumps(mapped)
    assert len(sent) < 500
    loaded = pickle.loads(sent)
    assert repr(loaded) == repr(mapped)
    assert (
        repr(mapped) == f"MappedImages(60 images of shape (3, 8, 8) in uint8, file={str(file)!r})"
    )
    np.testing.assert_array_equal(np.asarray(loaded), images[0])
    rows = pickle.loads(pickle.dumps(mapped[::7]))
    np.testing.assert_array_equal(np.asarray(rows), images[0][::7])


def test_maps_of_raw_files_are_taken(images, tmp_path):
    X = images[0]
    (tmp_path / "raw").write_bytes(b"head" + X.tobytes())
    mapped = MappedImages(np.memmap(tmp_path / "raw", np.uint8, "r", 4, X.shape))
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(mapped))), X)


def test_another_file_of_the_name_is_refused(images, file):
    sent = pickle.dumps(MappedImages(file))
    status = os.stat(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(ValueError, match=r"and not .* as when MappedImages was made"):
        make().fit(pickle.loads(sent), images[1])
    np.save(file, images[0][:-1])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match="Make it anew if the file was written again"):
        pickle.loads(sent)[0]
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"X.npy' is not on .* where all machines see it"):
        make().fit(pickle.loads(sent), images[1])


def test_a_map_of_a_file_that_was_replaced_is_refused(images, file):
    opened = np.load(file, mmap_mode="r")
    file.unlink()
    np.save(file, 255 - images[0])
    with pytest.raises(ValueError, match=r"X.npy' has been written again .* pass the file's name"):
        MappedImages(opened)
    np.testing.assert_array_equal(np.asarray(MappedImages(file)), 255 - images[0])


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_maps_that_may_hold_changes_are_refused(file, mode):
    with pytest.raises(
        ValueError, match=r"mode='.*' *, so that it may hold what the file does not"
    ):
        MappedImages(np.load(file, mmap_mode=mode))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("rows", "a part of a map"),
        ("sum", "an array in memory"),
        ("copy", "an array in memory"),
    ],
)
def test_what_is_no_whole_map_is_refused(file, part, message):
    X = np.load(file, mmap_mode="r")
    given = {"rows": X[3:], "sum": X + 1, "copy": np.array(X)}[part]
    with pytest.raises(ValueError, match=f"{message}. Take rows afterwards"):
        MappedImages(given)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 8, 8), "float64"), ((4, 64), "uint8"), ((4, 8, 8), ">f4")]
)
def test_what_would_be_copied_is_refused(tmp_path, shape, dtype):
    np.save(tmp_path / "X.npy", np.zeros(shape, dtype))
    with pytest.raises(ValueError, match="in uint8 or float32"):
        MappedImages(tmp_path / "X.npy")


def test_rows_that_cannot_be_trained_on_are_refused_as_in_an_array(images, tmp_path):
    X, y = FORMS["floats"](images[0]), images[1]
    X[4, 0, 0, 0] = np.nan
    np.save(tmp_path / "X.npy", X)
    mapped = MappedImages(tmp_path / "X.npy")
    with pytest.raises(ValueError, match=r"NaN or infinity .* in 1 of 60 rows, .* row 4"):
        make().fit(mapped, y)
    with pytest.raises(ValueError, match=r"in 1 of 30 rows, the first of them row 2\."):
        make().fit(mapped[::2], y[::2])
    clf = make().fit(mapped[5:], y[5:])
    with pytest.raises(ValueError, match="55 rows and y has 60 labels"):
        make().fit(mapped[5:], y)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        clf.predict(mapped[:0])
