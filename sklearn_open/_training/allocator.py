"""Keep the memory that a step frees for the next step, instead of giving it back in between.

GNU libc returns large blocks to the system as soon as they are free and asks for fresh ones, which
the system fills with zeros, page by page. Networks on a CPU free and ask for the same hundreds of
megabytes in every step. PyTorch's tuning guide advises another allocator for that reason; settings
of GNU libc do as well.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from sklearn_open._locks import ProcessLock

__all__ = ["keep_freed_memory"]

# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_DEFAULT_MMAP_MAX = 65536
_IN_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")
# What GNU libc's own thresholds grow to in a process that has freed a block of this size.
_LARGEST_MMAP_THRESHOLD = 32 * 2**20

_lock = ProcessLock()
_inside = 0


@contextmanager
def keep_freed_memory(device: torch.device | None = None) -> Iterator[None]:
    """Let large blocks that are freed in this context be used again within it.

    On a GPU, which PyTorch keeps the memory of anyway, nothing is changed.

    The setting belongs to the process, so it ends when the last of the contexts that are open, in
    any thread, ends; what is free is then given back, except for up to 64 MiB. Nothing happens
    without GNU libc, and where the environment says how memory is to be handled
    (``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``).
    """
    global _inside
    if device is not None and device.type != "cpu":
        yield
        return
    with _lock:
        if _inside == 0:
            _set(_MMAP_MAX, 0)
            _set(_TRIM_THRESHOLD, 2**31 - 1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_MMAP_MAX, _DEFAULT_MMAP_MAX)
                _set(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
                _set(_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)


def _set(option: int, value: int) -> None:
    libc = _gnu_libc()
    if libc is not None:
        libc.mallopt(option, value)


@cache
def _gnu_libc() -> Any:
    """Return GNU libc where it may be told what to do, else None."""
    told = any(name in os.environ for name in _IN_ENVIRONMENT)
    if told or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return None
    return ctypes.CDLL(None) if os.confstr("CS_GNU_LIBC_VERSION") else None
