"""What comes to the door in disguise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from torch.utils.data import TensorDataset
from torchvision.datasets import ImageFolder

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.containers import as_rows
from sklearn_open._inputs.door import some_rows


def make(**params):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(**{**settings, **params}, verbose=0)


def folder_of(images, folder, **kwargs):
    X, y = images
    for i, (pixels, label) in enumerate(zip(X, y, strict=True)):
        file = folder / f"class {label}" / f"{i:02}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(file)
    order = np.argsort(y, kind="stable")
    return ImageFolder(folder, **kwargs), X[order], y[order]


def test_cross_validation_of_a_data_set(images, tmp_path):
    """scikit-learn makes lists of pairs of its items."""
    folder, X, y = folder_of(images, tmp_path)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    expected = cross_val_score(make(), X, y, cv=cv, error_score="raise")
    for given in (folder, TensorDataset(torch.from_numpy(X), torch.from_numpy(y))):
        scores = cross_val_score(make(), given, y, cv=cv, error_score="raise")
        np.testing.assert_array_equal(scores, expected)
    GridSearchCV(make(), {"delta": [0, 1]}, cv=cv, error_score="raise").fit(folder, y)


def test_scores_of_a_data_set(images, tmp_path):
    folder, X, y = folder_of(images, tmp_path)
    clf = make().fit(X, y)
    assert clf.score(folder) == clf.score(folder, y) == clf.score(X, y)
    weight = np.arange(60)
    assert clf.score(folder, sample_weight=weight) == clf.score(X, y, weight)


def test_pairs_are_told_from_rows(images):
    X = images[0]
    pairs = [(torch.from_numpy(x), "a") for x in X]
    np.testing.assert_array_equal(as_rows(pairs), X)
    two_rows = [(np.arange(4), np.arange(4)) for _ in range(3)]
    assert as_rows(two_rows).shape == (3, 2, 4)
    assert as_rows([[1, 2], [3, 4]]).shape == (2, 2)
    assert as_rows([([[1, 2], [3, 4]], [[1, 2], [3, 4]])]).shape == (1, 2, 2, 2)


@pytest.mark.parametrize("names", [["a.png", "b.png"], [Path("a.jpg"), Path("b.jpg")]])
def test_names_of_files_are_pointed_to_their_reader(names):
    with pytest.raises(TypeError, match=r"names, such as .*ListedImages\(root"):
        make().fit(names, [0, 1])


def test_arrays_with_names_for_their_axes(images):
    xarray = pytest.importorskip("xarray")
    X, y = images
    named = xarray.DataArray(X, dims=("sample", "channel", "y", "x"), name="photographs")
    clf = make().fit(named, xarray.DataArray(y, dims="sample"))
    np.testing.assert_array_equal(clf.predict_proba(named), make().fit(X, y).predict_proba(X))


def test_some_rows_come_as_they_were_given():
    X = np.arange(24).reshape(6, 2, 2)
    rows = np.array([4, 1])
    np.testing.assert_array_equal(some_rows(X, rows), X[rows])
    np.testing.assert_array_equal(some_rows(torch.as_tensor(X), rows), X[rows])
    assert some_rows(list("abcdef"), rows) == ["e", "b"]
    data = TensorDataset(torch.as_tensor(X), torch.arange(6))
    assert [int(label) for _, label in some_rows(data, rows)] == [4, 1]
