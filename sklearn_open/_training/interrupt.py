"""Ctrl-C in training: end after the step in work, not in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["NOT_INTERRUPTED", "Interrupt", "held_back", "uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether an interrupt has come and waits for the end of the step.

    Attributes
    ----------
    pending : bool
    ends_process : bool
        Whether it was a SIGTERM that nobody handles, by which the process ends then.
    """

    def __init__(self) -> None:
        self.pending = False
        self.ends_process = False

    def raise_if_pending(self) -> None:
        """Raise KeyboardInterrupt now if one came earlier."""
        if self.pending:
            raise KeyboardInterrupt


class _Handler:
    """A handler of signals that says what it notes them in."""

    def __init__(
        self, handle: Callable[[int, FrameType | None], Any], interrupt: Interrupt
    ) -> None:
        self.handle = handle
        self.interrupt = interrupt

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        return self.handle(number, frame)


NOT_INTERRUPTED = Interrupt()  # outside of any training


@contextmanager
def held_back(sigterm: bool = False) -> Iterator[Interrupt]:
    """Hold Ctrl-C back until someone asks whether it came; a second one interrupts at once.

    Only signals that would raise KeyboardInterrupt are held back: Ctrl-C, unless the program
    handles it in another way, and SIGTERM where a program has asked for it
    (``signal.signal(signal.SIGTERM, signal.default_int_handler)``). Python delivers signals to the
    main thread, so nothing happens in others.

    A training inside of another one (a teacher) is interrupted with it.

    Parameters
    ----------
    sigterm : bool, default=False
        Whether SIGTERM is held back where it would end the process, too: torchrun sends it to all
        ranks when one has died, and they would end before they can say why. It ends the process
        with this context, unless an error leaves it.

    Yields
    ------
    Interrupt
        Tells whether one came.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    outer = [getattr(signal.getsignal(number), "interrupt", None) for number in SIGNALS]
    if any(outer):
        yield next(filter(None, outer))
        return
    held = {s: signal.getsignal(s) for s in SIGNALS}
    wanted = [signal.default_int_handler, *([signal.SIG_DFL] if sigterm else [])]
    held = {s: handler for s, handler in held.items() if handler in wanted}

    def release() -> None:
        for number, handler in held.items():
            signal.signal(number, handler)

    process = os.getpid()

    def hold(number: int, frame: FrameType | None) -> Any:
        if os.getpid() != process:  # a forked worker, which ends at once
            signal.default_int_handler(number, frame)
        interrupt.pending = True
        interrupt.ends_process = held[signal.Signals(number)] is signal.SIG_DFL
        release()
        print("Training ends after this step (once more: at once).", file=sys.stderr)

    handler = _Handler(hold, interrupt)
    for number in held:
        signal.signal(number, handler)
    try:
        yield interrupt
    except KeyboardInterrupt:
        release()
        _end_process_if_due(interrupt)
        raise
    finally:
        release()
    _end_process_if_due(interrupt)


def _end_process_if_due(interrupt: Interrupt) -> None:
    if interrupt.ends_process:
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of this context if Ctrl-C has come, and not within.

    For imports: bindings of compiled code that import Python modules (triton's) end the process
    with an abort where Ctrl-C comes meanwhile.
    """
    with held_back() as interrupt:
        yield
        interrupt.raise_if_pending()
