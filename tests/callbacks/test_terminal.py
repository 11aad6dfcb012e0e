"""What counts as a terminal."""

import io
import os
import sys

import pytest

from sklearn_open.callbacks._terminal import is_terminal, takes_colours


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _usual(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [io.StringIO(), None, closed(), object()])
def test_what_is_none(stream):
    assert not is_terminal(stream)
    assert not takes_colours(stream)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_real_one():
    ends = os.openpty()
    with os.fdopen(ends[1], "w") as stream:
        assert is_terminal(stream)
        assert takes_colours(stream)
    os.close(ends[0])


def test_one_that_knows_no_control_characters(monkeypatch):
    assert is_terminal(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("0", False), ("", True)])
def test_no_color(monkeypatch, value, coloured):
    monkeypatch.setenv("NO_COLOR", value)
    assert takes_colours(Terminal()) is coloured
    assert is_terminal(Terminal())
