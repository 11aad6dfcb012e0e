"""``predict``: a line for each image."""

import csv

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open._command import predict as module
from sklearn_open.datasets import load_image_folder


@pytest.fixture(scope="module")
def fitted(folder):
    data = load_image_folder(folder)
    y = np.array(data.target_names)[data.target]
    clf = OPeNClassifier(max_epochs=4, batch_size=16, random_state=0, verbose=0).fit(data.data, y)
    return clf, data


@pytest.fixture
def model(fitted, tmp_path):
    clf, data = fitted
    clf.image_reader_ = data.reader
    clf.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_labels_are_those_of_the_estimator(fitted, model, folder, command, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 10)
    clf, data = fitted
    status, out, _ = command("predict", model, folder, "--csv", tmp_path / "labels.csv")
    assert status == 0
    assert "52 of 52 images have a label" in out
    rows = rows_of(tmp_path / "labels.csv")
    assert [row["file"] for row in rows] == [str(folder / name) for name in data.filenames]
    assert [row["label"] for row in rows] == clf.predict(data.data).tolist()
    probabilities = clf.predict_proba(data.data)
    found = [[float(row[f"p_{label}"]) for label in clf.classes_] for row in rows]
    np.testing.assert_allclose(found, probabilities, atol=1e-4)
    assert [float(row["probability"]) for row in rows] == [max(row) for row in found]


def test_without_a_file_they_are_printed(model, folder, command):
    status, out, _ = command("predict", model, folder / "hole", folder / "good" / "exp0_num_g0.png")
    assert status == 0
    assert out.splitlines()[0] == "file,label,probability,p_crack,p_good,p_hole"
    assert len(out.splitlines()) == 12


def test_an_image_that_cannot_be_read_has_a_line_without_a_label(model, command, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1.png").write_bytes(b"no image")
    (tmp_path / "new" / ".hidden.png").write_bytes(b"")
    (tmp_path / "new" / "notes.txt").write_text("")
    status, out, err = command("predict", model, tmp_path / "new", "--csv", tmp_path / "out.csv")
    assert status == 0
    assert "0 of 1 images have a label" in out
    assert "Note:" in err
    (row,) = rows_of(tmp_path / "out.csv")
    assert row["label"] == row["p_good"] == ""


def test_what_cannot_be_predicted_with_is_told(fitted, model, folder, command, tmp_path):
    (tmp_path / "empty").mkdir()
    del fitted[0].image_reader_
    fitted[0].save(tmp_path / "bare.safetensors")
    for argv, sentence in (
        ((model, tmp_path / "nowhere"), "There is no"),
        ((model, tmp_path / "empty"), "no images in"),
        ((tmp_path / "none.safetensors", folder), "none.safetensors"),
        ((folder / "good" / "exp0_num_g0.png", folder), "an image"),
        ((tmp_path / "bare.safetensors", folder), "does not say how image files become"),
    ):
        status, _, err = command("predict", *argv)
        assert status == 1, argv
        assert sentence in err
