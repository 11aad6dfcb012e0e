"""`image_reader_`: how files are read is kept with the model."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklearn_open import OPeNClassifier
from sklearn_open._persistence.file import read_file, write_file
from sklearn_open.datasets import ImageReader
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.exceptions import SavedFileError

READER = ImageReader(mode="RGB", resize="crop", exif_transpose=False)


@pytest.fixture
def fitted(images):
    X, y = images
    clf = OPeNClassifier(module__width=4, max_epochs=1, random_state=0, verbose=0).fit(X, y)
    assert not hasattr(clf, "image_reader_")
    height, width = clf.image_shape_[1:]
    clf.image_reader_ = ImageReader((height, width), "RGB", "crop", exif_transpose=False)
    return clf


def test_files_keep_it(fitted, tmp_path):
    for cls in (OPeNClassifier, DecoupledClassifier):
        fitted.save(tmp_path / "clf")
        loaded = cls.load(tmp_path / "clf")
        assert loaded.image_reader_ == fitted.image_reader_
        loaded.save(tmp_path / "clf")
        assert OPeNClassifier.load(tmp_path / "clf").image_reader_ == fitted.image_reader_
    assert pickle.loads(pickle.dumps(fitted)).image_reader_ == fitted.image_reader_


def test_files_without_it(fitted, tmp_path):
    del fitted.image_reader_
    fitted.save(tmp_path / "clf")
    assert "image_reader" not in read_file(tmp_path / "clf")[0]
    assert not hasattr(OPeNClassifier.load(tmp_path / "clf"), "image_reader_")


def test_it_belongs_to_one_fit(fitted, images):
    assert hasattr(fitted.partial_fit(*images), "image_reader_")
    with pytest.raises(ValueError, match="60 rows and y has 3"):
        fitted.fit(images[0], images[1][:3])
    assert hasattr(fitted, "image_reader_")  # as it was
    assert hasattr(fitted.set_params(warm_start=True).fit(*images), "image_reader_")
    assert not hasattr(clone(fitted), "image_reader_")
    assert not hasattr(fitted.set_params(warm_start=False).fit(*images), "image_reader_")


def test_two_stages(fitted, images, tmp_path):
    X, y = images
    final = OPeNClassifier(delta=0, start_epoch=0, max_epochs=1, random_state=0, verbose=0)
    two = DecoupledClassifier(FrozenEstimator(fitted), final)
    with pytest.raises(AttributeError, match="not fitted"):
        two.image_reader_ = READER
    assert not hasattr(two.fit(X, y), "image_reader_")  # of other files
    assert hasattr(fitted, "image_reader_")
    two.image_reader_ = READER
    two.save(tmp_path / "two")
    for cls in (OPeNClassifier, DecoupledClassifier):
        assert cls.load(tmp_path / "two").image_reader_ == READER
    assert not hasattr(two.fit(X, y), "image_reader_")


@pytest.mark.parametrize(
    ("reader", "error", "said"),
    [
        ({"size": 3}, TypeError, "a file keeps an ImageReader"),
        (ImageReader(3), ValueError, r"of shape \(3, 3, 3\), and the classifier takes"),
        (ImageReader(mode="L"), ValueError, r"reads images of shape \(1, "),
        (ImageReader(mode="auto"), ValueError, r"image_reader_\.settled"),
    ],
)
def test_what_cannot_be_kept(fitted, tmp_path, reader, error, said):
    fitted.image_reader_ = reader
    with pytest.raises(error, match=said):
        fitted.save(tmp_path / "clf")
    assert not (tmp_path / "clf").exists()


def test_of_a_table_it_is_not_compared(images, tmp_path):
    X, y = images
    rows = X.reshape(len(X), -1).astype(np.float32)
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(rows, y)
    clf.image_reader_ = ImageReader(99)
    clf.save(tmp_path / "clf")
    assert OPeNClassifier.load(tmp_path / "clf").image_reader_ == ImageReader(99)


@pytest.mark.parametrize(
    "values",
    [
        *(3, "x", [], [1], True, {"size": [9, 9]}, {"size": 10**9}, {"mode": "L"}, {"mode": [1]}),
        *({"mode": "auto"}, {"exif_transpose": 1}, {"path": "x"}, {"resize": {}}, {"": 0}),
    ],
)
def test_files_are_not_believed(fitted, tmp_path, values):
    fitted.save(tmp_path / "clf")
    facts, weights = read_file(tmp_path / "clf")
    write_file(tmp_path / "clf", {**facts, "image_reader": values}, weights)
    with pytest.raises(SavedFileError, match="does not describe an estimator"):
        OPeNClassifier.load(tmp_path / "clf")
