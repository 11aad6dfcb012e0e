"""Exit status, and what is printed on the way."""

import shutil
import subprocess
import sys
import warnings

import pytest

from sklearn_open import __main__ as main_module
from sklearn_open._command import predict, run
from sklearn_open.exceptions import TrainingDivergedError


def test_errors_are_sentences_and_mistakes_of_ours_are_not_hidden(monkeypatch, capsys):
    for error, status in (
        (ValueError("no"), 1),
        (FileNotFoundError("no"), 1),
        (TrainingDivergedError("no"), 1),
        (KeyboardInterrupt(), 130),
    ):

        def fails(args, error=error):
            raise error

        monkeypatch.setattr(predict, "predict", fails)
        assert run.run(["predict", "model", "photos"]) == status
    assert "python -m sklearn_open predict: no" in capsys.readouterr().err
    monkeypatch.setattr(predict, "predict", lambda args: {}["mistake"])
    with pytest.raises(KeyError):
        run.run(["predict", "model", "photos"])


def test_warnings_are_notes(monkeypatch, capsys):
    monkeypatch.setattr(predict, "predict", lambda args: warnings.warn("take care", stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        run.run(["predict", "model", "photos"])
    assert capsys.readouterr().err == "Note: take care\n"


def test_commands_stand_beside_the_demonstration(monkeypatch, capsys):
    monkeypatch.setattr(run, "run", lambda argv: len(argv))
    assert main_module.main(["compare", "photos"]) == 2
    assert main_module.main(["divine"]) == 2
    assert "There is no command 'divine'" in capsys.readouterr().err
    assert main_module.main(["--help"]) == 0  # of all commands
    assert "compare" in capsys.readouterr().out


@pytest.mark.slow
def test_predict_in_another_process(folder, command, tmp_path):
    command("train", folder, "--epochs", "2", "--out", tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_open", "predict", tmp_path / "model", folder],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 53


def test_errors_name_what_can_be_typed(folder, command, tmp_path):
    for subset in ("train", "test"):
        shutil.copytree(folder, tmp_path / "sets" / subset)
    shutil.copytree(folder, tmp_path / "empty")
    (tmp_path / "empty" / "rust").mkdir()
    for name, words in (("sets", "Pass --subset, the one to load"), ("empty", "--skip-empty")):
        status, _, err = command("train", tmp_path / name, "--out", tmp_path / "model")
        assert status == 1
        assert words in err
        assert "=" not in err
    assert run._as_options("pass size=64, or pattern='*.png'") == (
        "pass --size 64, or --pattern '*.png'"
    )
    assert (
        command(
            "train", tmp_path / "empty", "--skip-empty", "--epochs", "1", "--out", tmp_path / "m"
        )[0]
        == 0
    )
