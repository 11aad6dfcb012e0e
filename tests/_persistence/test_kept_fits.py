"""Whole fits that are kept in a folder."""

import threading

import joblib
import pytest

from sklearn_open._persistence.kept_fits import kept_fit


def test_a_fit_is_made_once_for_what_it_depends_on(tmp_path):
    made = []

    def fit():
        made.append(1)
        return len(made)

    for memory in (tmp_path, str(tmp_path), joblib.Memory(str(tmp_path), verbose=0)):
        assert kept_fit(memory, {"seed": 0, "rows": [1, 2]}, fit) == 1
    assert kept_fit(tmp_path, {"seed": 1, "rows": [1, 2]}, fit) == 2
    assert kept_fit(None, {"seed": 0}, fit) == 3
    assert len(made) == 3


def test_what_is_raised_is_not_kept(tmp_path):
    def fit():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_fit(tmp_path, 0, fit)
    assert kept_fit(tmp_path, 0, lambda: "fitted") == "fitted"


def test_others_wait_for_whoever_has_it_in_work(tmp_path):
    begun, may_end, made, got = threading.Event(), threading.Event(), [], []

    def fit():
        begun.set()
        may_end.wait(20)
        made.append(1)
        return "fitted"

    first = threading.Thread(target=lambda: got.append(kept_fit(tmp_path, 0, fit)))
    first.start()
    assert begun.wait(20)
    second = threading.Thread(target=lambda: got.append(kept_fit(tmp_path, 0, fit)))
    second.start()
    may_end.set()
    first.join(20)
    second.join(20)
    assert got == ["fitted"] * 2
    assert len(made) == 1


def test_waiting_ends_with_an_interrupt(tmp_path):
    asked = []

    def interrupted():
        asked.append(1)
        raise KeyboardInterrupt

    def fit():
        with pytest.raises(KeyboardInterrupt):
            kept_fit(tmp_path, 0, lambda: "never", interrupted)
        return "fitted"

    assert kept_fit(tmp_path, 0, fit) == "fitted"
    assert asked


def test_facts_that_cannot_be_compared_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be pickled"):
        kept_fit(tmp_path, lambda: 0, lambda: 1)
