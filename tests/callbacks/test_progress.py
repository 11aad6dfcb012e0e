"""The progress bar and what is printed beside it."""

import io
import sys

import pytest
from sklearn.base import clone

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import _progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def bar_on(monkeypatch, stream, images, **params):
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stderr", stream)
        OPeNClassifier(**{"max_epochs": 2, "random_state": 0, "verbose": 2, **params}).fit(*images)
    return stream.getvalue()


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed_on_a_terminal(images, monkeypatch, capsys, verbose):
    err = bar_on(monkeypatch, Terminal(), images, verbose=verbose)
    assert ("train_loss" in capsys.readouterr().out) is (verbose > 0)
    assert ("epoch 2 of 2" in err) is (verbose == 2)
    assert ("left" in err) is (verbose == 2)


@pytest.mark.parametrize("verbose", [0, 1, 2, 3])
def test_nothing_but_lines_goes_to_a_file(images, capsys, verbose):
    OPeNClassifier(max_epochs=2, random_state=0, verbose=verbose).fit(*images)
    out, err = capsys.readouterr()
    assert out.count("\n") == (4 if verbose else 0)
    assert not set(out) & {"\r", "\x1b"}
    assert err == ""


def test_no_bar_without_a_terminal_also_if_the_lines_are_switched_off(images, monkeypatch, capsys):
    assert bar_on(monkeypatch, io.StringIO(), images, callbacks__print_log=None) == ""
    assert capsys.readouterr().out == ""


def test_no_stream_at_all(images, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    OPeNClassifier(max_epochs=1, random_state=0, verbose=2).fit(*images)


def test_it_is_decided_anew_in_every_fit(images, monkeypatch):
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=2)
    monkeypatch.setenv("TERM", "xterm")
    for stream, seen in ((io.StringIO(), False), (Terminal(), True), (io.StringIO(), False)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            clone(clf).fit(*images)
        assert ("epoch 1 of 1" in stream.getvalue()) is seen


def test_a_notebook_has_it_as_a_widget(images, monkeypatch):
    class Widget(_progress.console_tqdm):
        made = 0

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            Widget.made += 1

    monkeypatch.setattr(_progress, "tqdm", Widget)
    bar_on(monkeypatch, io.StringIO(), images)
    assert Widget.made == 1
