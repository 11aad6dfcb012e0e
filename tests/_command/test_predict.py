"""``predict``: a line for each image."""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

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
    status, _, err = command("predict", model, tmp_path / "new", "--csv", tmp_path / "out.csv")
    assert status == 1
    assert "No image could be read" in err
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


def test_masks_beside_photographs_have_no_label(model, folder, command, tmp_path):
    photographs = tmp_path / "new" / "Imgs"
    photographs.mkdir(parents=True)
    for i, file in enumerate(sorted((folder / "hole").iterdir())[:3]):
        picture = Image.open(file)
        picture.save(photographs / f"{i}.jpg")
        Image.new("L", picture.size).save(photographs / f"{i}.png")
    status, out, err = command("predict", model, tmp_path / "new")
    assert status == 0
    assert len(out.splitlines()) == 4
    assert ".png," not in out
    assert "3 files of" in err
    assert "seem to be masks" in err
    _, out, err = command("predict", model, tmp_path / "new", "--pattern", "*/*.png")
    assert len(out.splitlines()) == 4
    assert ".jpg," not in out
    assert err == ""


def test_names_of_any_bytes_and_a_folder_that_is_not_there(model, folder, command, tmp_path):
    name = os.fsdecode(b"bad\xff.png")
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(folder / "hole" / "exp0_num_h0.png", new / name)
    status, _, err = command("predict", model, new, "--csv", tmp_path / "out.csv")
    assert status == 0, err
    assert b"bad\xff.png" in (tmp_path / "out.csv").read_bytes()
    assert command("predict", model, new)[0] == 0
    status, _, err = command("predict", model, new, "--csv", tmp_path / "none" / "out.csv")
    assert status == 1
    assert "there is no folder" in err
