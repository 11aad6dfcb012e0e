"""Ctrl-C: training ends after the step, with an estimator that can be used."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier
from sklearn_open._training.interrupt import held_back, uninterrupted


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts():
    """As in a terminal; where tests run in the background, Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Signals(Callback):
    """Sends signals to this process in the middle of a step."""

    def __init__(self, at_batch, *numbers):
        self.at_batch, self.numbers = at_batch, numbers

    def on_train_begin(self, net, **kwargs):
        self.batches_ = self.steps_ = 0

    def on_batch_begin(self, net, **kwargs):
        self.batches_ += 1
        if self.batches_ == self.at_batch:
            for number in self.numbers:
                os.kill(os.getpid(), number)

    def on_batch_end(self, net, **kwargs):
        self.steps_ += 1


def make(*callbacks, **params):
    settings = {"max_epochs": 4, "batch_size": 20, "random_state": 0, "verbose": 0}
    return OPeNClassifier(**{**settings, "callbacks": list(callbacks), **params})


def test_the_step_is_finished_and_the_estimator_usable(images, capsys):
    signals = Signals(5, signal.SIGINT)
    clf = make(signals).fit(*images)
    assert clf.interrupted_
    assert signals.steps_ == 5  # and not 4: the step in work was finished
    assert len(clf.history) == 2
    assert "Training ends after this step" in capsys.readouterr().err
    assert np.isfinite(clf.predict_proba(images[0])).all()
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(images[0]), clf.predict(images[0]))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Interrupted(OPeNClassifier):
    """Is interrupted in a step of its own choice, which is no parameter."""

    at_step: int | None = None
    steps = 0

    def train_step(self, batch, **fit_params):
        Interrupted.steps += 1
        if Interrupted.steps == Interrupted.at_step:
            os.kill(os.getpid(), signal.SIGINT)
        return super().train_step(batch, **fit_params)


def test_the_checkpoint_of_an_interrupted_training_goes_on(images, tmp_path):
    def fit(**params):
        return Interrupted(max_epochs=4, batch_size=20, random_state=0, verbose=0, **params).fit(
            *images
        )

    expected = fit()
    Interrupted.steps, Interrupted.at_step = 0, 5
    assert fit(checkpoint=tmp_path).interrupted_
    resumed = fit(checkpoint=tmp_path)
    assert not resumed.interrupted_
    np.testing.assert_array_equal(
        resumed.predict_proba(images[0]), expected.predict_proba(images[0])
    )


def test_a_second_signal_interrupts_at_once(images):
    signals = Signals(5, signal.SIGINT, signal.SIGINT)
    clf = make(signals).fit(*images)
    assert clf.interrupted_
    assert signals.steps_ == 4


def test_sigterm_is_held_back_where_a_program_asks_for_it(images):
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        clf = make(Signals(2, signal.SIGTERM)).fit(*images)
        assert clf.interrupted_
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_of_the_program_are_left_alone(images):
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        clf = make(Signals(2, signal.SIGINT)).fit(*images)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert not clf.interrupted_
    assert len(clf.history) == 4


def test_an_undisturbed_fit_after_an_interrupted_one_says_so(images):
    clf = make(Signals(5, signal.SIGINT)).fit(*images)
    assert clf.interrupted_
    clf.set_params(callbacks=None).fit(*images)
    assert not clf.interrupted_
    assert len(clf.history) == 4


def test_threads_train_without_handlers(images):
    clf = make()
    thread = threading.Thread(target=clf.fit, args=images)
    thread.start()
    thread.join()
    assert len(clf.history) == 4
    assert not clf.interrupted_


def test_nothing_is_swallowed_outside_of_steps():
    with held_back() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.pending
        with pytest.raises(KeyboardInterrupt):
            interrupt.raise_if_pending()


def test_a_module_is_imported_as_a_whole(tmp_path, monkeypatch):
    signalling = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nREACHED = True\n"
    (tmp_path / "signals_while_imported.py").write_text(signalling)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        import signals_while_imported  # noqa: F401
    assert sys.modules.pop("signals_while_imported").REACHED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- SIGTERM, which torchrun sends to all ranks when one has died ---


@pytest.fixture
def ended(monkeypatch):
    """By what the process would have ended."""
    numbers = []
    monkeypatch.setattr(signal, "raise_signal", numbers.append)
    return numbers


def test_sigterm_ends_the_process_after_the_step(ended):
    with held_back(sigterm=True) as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.pending
        assert interrupt.ends_process
        assert ended == []  # there is time to say something
    assert ended == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_ends_the_process_where_training_ends_by_it(ended):
    def train():
        with held_back(sigterm=True) as interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            interrupt.raise_if_pending()

    with pytest.raises(KeyboardInterrupt):
        train()
    assert ended == [signal.SIGTERM]


def test_an_error_is_told_rather_than_to_end_by_sigterm(ended):
    def train():
        with held_back(sigterm=True):
            os.kill(os.getpid(), signal.SIGTERM)
            raise OSError("the disk is on fire")

    with pytest.raises(OSError, match="fire"):
        train()
    assert ended == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_ends_no_process(ended):
    with held_back(sigterm=True) as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.pending
        assert not interrupt.ends_process
    assert ended == []


def test_sigterm_is_let_through_unless_asked_for():
    with held_back():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with held_back(sigterm=True):
            assert signal.getsignal(signal.SIGTERM) is handler  # a program's own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_training_inside_of_another_is_interrupted_with_it():
    with held_back() as outer, held_back(sigterm=True) as inner:
        assert inner is outer
        os.kill(os.getpid(), signal.SIGINT)
        assert outer.pending


def test_imports_inside_of_a_training_end_it_after_the_import():
    imported = []

    def train():
        with held_back():
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGINT)
                imported.append("whole")
            imported.append("another")

    with pytest.raises(KeyboardInterrupt):
        train()
    assert imported == ["whole"]
    with uninterrupted():
        pass
