"""Ctrl-C in training: end after the step in work, not in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["NOT_INTERRUPTED", "Interrupt", "held_back"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether an interrupt has come and waits for the end of the step."""

    def __init__(self) -> None:
        self.pending = False

    def raise_if_pending(self) -> None:
        """Raise KeyboardInterrupt now if one came earlier."""
        if self.pending:
            raise KeyboardInterrupt


NOT_INTERRUPTED = Interrupt()  # outside of any training


@contextmanager
def held_back() -> Iterator[Interrupt]:
    """Hold Ctrl-C back until someone asks whether it came; a second one interrupts at once.

    Only signals that would raise KeyboardInterrupt are held back: Ctrl-C, unless the program
    handles it in another way, and SIGTERM where a program has asked for it
    (``signal.signal(signal.SIGTERM, signal.default_int_handler)``). Python delivers signals to the
    main thread, so nothing happens in others.

    Yields
    ------
    Interrupt
        Tells whether one came.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    held = [s for s in SIGNALS if signal.getsignal(s) is signal.default_int_handler]

    def release() -> None:
        for number in held:
            signal.signal(number, signal.default_int_handler)

    process = os.getpid()

    def hold(number: int, frame: FrameType | None) -> Any:
        if os.getpid() != process:  # a forked worker, which ends at once
            signal.default_int_handler(number, frame)
        interrupt.pending = True
        release()
        print("Training ends after this step (once more: at once).", file=sys.stderr)

    for number in held:
        signal.signal(number, hold)
    try:
        yield interrupt
    finally:
        release()
