"""Keep the memory that a step frees for the next step, instead of giving it back in between.

GNU libc returns large blocks to the system as soon as they are free and asks for fresh ones, which
the system fills with zeros, page by page. Networks on a CPU free and ask for the same hundreds of
megabytes in every step. PyTorch's tuning guide advises another allocator for that reason; settings
of GNU libc do as well.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from sklearn_open._locks import ProcessLock

__all__ = ["keep_freed_memory"]

# From malloc.h, with GNU libc's own values.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_DEFAULT_TOP_PAD, _DEFAULT_MMAP_THRESHOLD, _DEFAULT_MMAP_MAX = 128 * 2**10, 128 * 2**10, 65536
# What GNU libc's own thresholds grow to in a process that has freed a block of this size.
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
# Of threads other than the main one. Such a heap is given back whatever the threshold, unless more
# than its size is to be left at the end.
_LARGEST_HEAP = 64 * 2**20
_KEEPING = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _LARGEST_HEAP))

_TRIM_IN_ENVIRONMENT = "MALLOC_TRIM_THRESHOLD_"
_IN_ENVIRONMENT = {
    _TRIM_IN_ENVIRONMENT,
    "MALLOC_TOP_PAD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
}
_TRIM_THRESHOLD_OF_DASK = 65536

_lock = ProcessLock()
_inside = 0


@contextmanager
def keep_freed_memory(device: torch.device | None = None) -> Iterator[None]:
    """Let large blocks that are freed in this context be used again within it.

    On a GPU, which PyTorch keeps the memory of anyway, nothing is changed.

    The setting belongs to the process, so it ends when the last of the contexts that are open, in
    any thread, ends; what is free is then given back, except for up to 64 MiB. Nothing happens
    without GNU libc, and where the environment says how memory is to be handled
    (``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``). Dask says so to all of its workers, as they
    also keep results for one another; that holds between the fits of a worker.
    """
    global _inside
    if device is not None and device.type != "cpu":
        yield
        return
    with _lock:
        if _inside == 0:
            _set(_KEEPING)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_outside())


def _outside() -> tuple[tuple[int, int], ...]:
    """Return the settings that hold when no context is open."""
    mmap_threshold, trim_threshold = _LARGEST_MMAP_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD
    # Dask's nanny starts a worker with the variable, so that neither threshold has ever grown. It
    # also leaves it in its own environment, which with a LocalCluster is that of the user's
    # process: to that it came too late.
    if _is_of_dask() and multiprocessing.parent_process() is not None:
        mmap_threshold, trim_threshold = _DEFAULT_MMAP_THRESHOLD, _TRIM_THRESHOLD_OF_DASK
    return (
        (_MMAP_MAX, _DEFAULT_MMAP_MAX),
        (_MMAP_THRESHOLD, mmap_threshold),
        (_TRIM_THRESHOLD, trim_threshold),
        (_TOP_PAD, _DEFAULT_TOP_PAD),
    )


def _is_of_dask() -> bool:
    """Tell whether it was Dask, and no user, that wrote the threshold into the environment.

    Its nanny writes this number unless the environment or Dask's configuration has another.
    """
    number = os.environ.get(_TRIM_IN_ENVIRONMENT)
    return number == str(_TRIM_THRESHOLD_OF_DASK) and "distributed.nanny" in sys.modules


def _set(options: tuple[tuple[int, int], ...]) -> None:
    libc = _gnu_libc()
    if libc is not None:
        for option, value in options:
            libc.mallopt(option, value)


@cache
def _gnu_libc() -> Any:
    """Return GNU libc where it may be told what to do, else None."""
    told = {name for name in _IN_ENVIRONMENT if name in os.environ}
    if _is_of_dask():
        told.remove(_TRIM_IN_ENVIRONMENT)
    if told or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return None
    return ctypes.CDLL(None) if os.confstr("CS_GNU_LIBC_VERSION") else None
