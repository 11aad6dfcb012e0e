"""``compare`` from a folder to its three files."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open._command import compare as module
from sklearn_open.comparison._job import Job
from sklearn_open.datasets import ImageReader, load_image_folder


@pytest.fixture
def done(folder, command, tmp_path):
    status, out, err = command(
        *("compare", folder, "--out", tmp_path / "out", "--methods", "erm", "logit_adjusted"),
        *("open:delta=0.5", "--groups-by", r"num_(\w+)\.", "--folds", "2"),
    )
    assert status == 0, err
    return tmp_path / "out", out, err


def test_table_report_and_model_are_there(done, folder):
    out, printed, told = done
    assert "3 methods (2 fits a fold), 2 folds, 3 epochs: about" in printed
    assert "[1/4]  fold" in printed
    assert "has the best balanced accuracy" in printed
    assert told == ""
    results = json.loads((out / "results.json").read_text())
    assert results["methods"] == ["erm", "logit_adjusted", "open"]
    assert np.shape(results["scores"]) == (3, 2)
    assert results["n_groups"] == 26
    assert results["command"].startswith("python -m sklearn_open compare ")
    assert results["table"][0]["method"] == results["best_method"]
    model = OPeNClassifier.load(out / "model.safetensors")
    assert model.image_reader_ == ImageReader(size=12, resize="pad")
    X = load_image_folder(folder).data
    np.testing.assert_array_equal(model.classes_, ["crack", "good", "hole"])
    assert model.predict(X).shape == (52,)


def test_the_same_command_goes_on(folder, command, tmp_path, monkeypatch):
    argv = ("compare", folder, "--out", tmp_path, "--methods", "erm", "drs", "--folds", "2")
    told, n_told = Job._tell, []

    def tell(*args):
        told(*args)
        n_told.append(1)
        if len(n_told) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Job, "_tell", tell)
    status, out, err = command(*argv)
    assert status == 130
    assert "the same command goes on" in err
    assert not (tmp_path / "results.json").exists()
    status, out, _ = command(*argv)
    assert status == 0
    first = (tmp_path / "results.json").read_bytes()
    status, again, _ = command(*argv)
    assert (tmp_path / "results.json").read_bytes() == first
    assert again.split("\n\n")[1:] == out.split("\n\n")[1:]


def test_what_cannot_be_compared_is_told_in_a_sentence(folder, command, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for argv, sentence in (
        ((tmp_path / "nowhere",), "nowhere"),
        ((folder, "--out", file), "is a file: pass a folder"),
        ((folder, "--scoring", "beauty"), "beauty"),
        ((folder, "--groups-by", r"nr(\d)"), "finds no group in 52 of 52"),
        ((folder, "--freeze", "layer1"), "pass --module and --weights"),
        ((folder, "--methods", "open:dleta=1"), "dleta"),
    ):
        status, _, err = command(
            "compare", *argv, *(() if "--out" in argv else ("--out", tmp_path / "o"))
        )
        assert status == 1, argv
        assert err.startswith("python -m sklearn_open compare: ")
        assert sentence in err
        assert "Traceback" not in err


def test_two_stages_become_one_model(folder, command, tmp_path):
    status, _, err = command(
        "compare", folder, "--out", tmp_path, "--methods", "tau_norm", "--folds", "2"
    )
    assert status == 0, err
    assert OPeNClassifier.load(tmp_path / "model.safetensors").image_reader_.size == (12, 12)


@pytest.mark.parametrize(
    ("n_images", "side", "minutes"), [(1797, 8, 2), (300, 48, 2.304), (2000, 64, 20)]
)
def test_time_grows_with_the_number_of_pixels(n_images, side, minutes):
    images = SimpleNamespace(y=np.zeros(n_images), shape=(side, side))
    assert module._minutes(images) == minutes
