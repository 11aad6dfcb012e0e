"""``train``: one method, into a file."""

import signal

import pytest

from sklearn_open import OPeNClassifier
from sklearn_open._command import train as module


@pytest.mark.parametrize("method", ["erm", "open:delta=0.5", "crt"])
def test_a_model_is_written(folder, command, tmp_path, method):
    out = tmp_path / "new" / "model.safetensors"
    status, printed, err = command(
        "train", folder, "--method", method, "--epochs", "2", "--out", out, "--seed", "1"
    )
    assert status == 0, err
    assert f"Wrote {out}" in printed
    clf = OPeNClassifier.load(out)
    assert clf.image_reader_.size == (12, 12)
    assert len(clf.history) <= 4  # of two stages, if there are two
    assert sorted(path.name for path in out.parent.iterdir()) == ["model.safetensors"]


def test_a_training_that_was_stopped_goes_on(folder, command, tmp_path, monkeypatch):
    argv = ("train", folder, "--epochs", "4", "--out", tmp_path / "model")
    whole = command("train", folder, "--epochs", "4", "--out", tmp_path / "whole")
    assert whole[0] == 0
    ran = []
    fit = OPeNClassifier.run_single_epoch

    def stops(self, iterator, training, *args, **kwargs):
        fit(self, iterator, training, *args, **kwargs)
        ran.extend([1] * training)
        if len(ran) == 2 and training:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(OPeNClassifier, "run_single_epoch", stops)
    status, _, err = command(*argv)
    assert status == 130
    assert "the same command goes on" in err
    assert (tmp_path / "model.training").is_dir()
    status, _, _ = command(*argv)
    assert status == 0
    assert len(ran) == 4
    first, second = (OPeNClassifier.load(tmp_path / name) for name in ("whole", "model"))
    for one, other in zip(first.module_.parameters(), second.module_.parameters(), strict=True):
        assert one.equal(other)


def test_a_folder_is_no_file(folder, command, tmp_path):
    status, _, err = command("train", folder, "--out", tmp_path)
    assert status == 1
    assert "pass the name of a file in it" in err
    assert module.RECIPE == "folder"


def test_another_training_to_the_same_file_is_told_what_is_there(
    folder, command, tmp_path, monkeypatch
):
    argv = ("train", folder, "--epochs", "2", "--out", tmp_path / "m")
    fit = OPeNClassifier.run_single_epoch

    def stops(self, iterator, training, *args, **kwargs):
        fit(self, iterator, training, *args, **kwargs)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(OPeNClassifier, "run_single_epoch", stops)
        assert command(*argv)[0] == 130
    status, _, err = command(*argv, "--method", "drs")
    assert status == 1
    assert "remove that folder, or pass another --out" in err


def test_all_is_no_method(folder, command):
    status, _, err = command("train", folder, "--method", "all")
    assert status == 2
    assert "'all' are many methods" in err
