"""A lock for what belongs to the process, such as global random states."""

from __future__ import annotations

import os
import threading
from typing import Any

__all__ = ["ProcessLock"]


class ProcessLock:
    """A lock that one thread holds at a time, as often as it likes; free in a forked process.

    A worker that was forked has none of the threads that may have held the lock, so nobody would
    ever release it there.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def acquire(self, timeout: float = -1) -> bool:
        """Take the lock, after waiting `timeout` seconds at most (-1: for ever); say if it was."""
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        """Give the lock back, once for each time it was taken."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: Any) -> None:
        self.release()
