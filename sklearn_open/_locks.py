"""Locks: for what belongs to the process, as global random states, and between processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["ProcessLock", "file_lock"]


class ProcessLock:
    """A lock that one thread holds at a time, as often as it likes; free in a forked process.

    A worker that was forked has none of the threads that may have held the lock, so nobody would
    ever release it there.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()

    def acquire(self, timeout: float = -1) -> bool:
        """Take the lock, after waiting `timeout` seconds at most (-1: for ever); say if it was."""
        taken = self._lock.acquire(timeout=timeout)
        if taken:
            self._depths.append(self._process)
        return taken

    def release(self) -> None:
        """Give the lock back, once for each time it was taken.

        What was taken before a fork is not the child's to give back.
        """
        if self._depths.pop() == self._process:
            self._lock.release()

    @property
    def _depths(self) -> list[int]:
        """Processes in which this thread has taken the lock, the last one last."""
        if not hasattr(self._of_thread, "depths"):
            self._of_thread.depths = []
        return self._of_thread.depths

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: Any) -> None:
        self.release()


@contextmanager
def file_lock(path: Path, raise_if_interrupted: Callable[[], None]) -> Iterator[None]:
    """Hold a lock between processes, waiting for whoever has it.

    Parameters
    ----------
    path : path
        Its file. The system frees the lock of a process that was killed.
    raise_if_interrupted : callable
        Ends the waiting.
    """
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            raise_if_interrupted()
    try:
        yield
    finally:
        lock.release()
