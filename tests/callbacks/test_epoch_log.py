"""The table of epochs: coloured on a terminal, plain text everywhere else."""

import io
import logging
import pickle
import sys

import pytest
from sklearn.base import clone

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import EpochLog


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make(**params):
    return OPeNClassifier(**{"max_epochs": 2, "random_state": 0, **params})


def printed_on(monkeypatch, stream, clf, images):
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", stream)
        clf.fit(*images)
    return stream.getvalue()


def test_colours_are_for_terminals(images, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = printed_on(monkeypatch, io.StringIO(), make(), images)
    coloured = printed_on(monkeypatch, Terminal(), make(), images)
    assert "\x1b" not in plain
    assert "\x1b[3" in coloured
    head, rule, *epochs = plain.splitlines()
    assert head.split() == ["epoch", "lr", "train_loss", "dur"]
    assert set(rule) == {"-", " "}
    assert [line.split()[0] for line in epochs] == ["1", "2"]
    assert {len(line) for line in (rule, *epochs)} == {len(head)}  # columns stay aligned


def test_no_color(images, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed_on(monkeypatch, Terminal(), make(), images)


def test_it_is_decided_when_a_line_is_printed(images, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    clf = make()
    assert "\x1b" in printed_on(monkeypatch, Terminal(), clf, images)
    assert "\x1b" not in printed_on(monkeypatch, io.StringIO(), clf, images)


@pytest.mark.parametrize("copy", [clone, lambda clf: pickle.loads(pickle.dumps(clf))])
def test_copies_do_the_same(images, monkeypatch, copy):
    twin = copy(make().fit(*images))
    assert "\x1b" not in printed_on(monkeypatch, io.StringIO(), twin, images)
    assert isinstance(dict(twin.callbacks_)["print_log"], EpochLog)


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_sink_of_one_s_own_gets_plain_lines(images, capsys, verbose):
    lines = []
    make(callbacks__print_log__sink=lines.append, verbose=verbose).fit(*images)
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)
    assert capsys.readouterr().out == ""


def test_a_logger_as_a_sink(images, caplog):
    caplog.set_level(logging.INFO)
    make(callbacks__print_log__sink=logging.getLogger("epochs").info).fit(*images)
    assert len(caplog.messages) == 4
    assert "\x1b" not in caplog.text


def test_other_settings_and_none(images, capsys):
    style = {"tablefmt": "pipe", "keys_ignored": "lr"}
    make(**{f"callbacks__print_log__{name}": value for name, value in style.items()}).fit(*images)
    head = capsys.readouterr().out.splitlines()[0]
    assert head.startswith("|")
    assert "lr" not in head
    make(callbacks__print_log=None).fit(*images)
    assert capsys.readouterr().out == ""


def test_one_s_own_in_its_place(images, capsys):
    make(callbacks__print_log=EpochLog(floatfmt=".1f")).fit(*images)
    out = capsys.readouterr().out
    assert "0.1000" not in out
    assert "\x1b" not in out


def test_another_print_in_the_place_of_python_s_is_as_quiet(images, monkeypatch, capsys):
    python_s = print
    monkeypatch.setattr("builtins.print", lambda *args: python_s(*args))  # as by ray.init
    make(verbose=0).fit(*images)
    make(verbose=0, callbacks__print_log__sink=print).fit(*images)
    assert capsys.readouterr().out == ""
    make(verbose=1).fit(*images)
    assert len(capsys.readouterr().out.splitlines()) == 4
