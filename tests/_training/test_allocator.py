"""Memory between steps: kept while training, given back afterwards, left alone on request."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from sklearn_open._locks import ProcessLock
from sklearn_open._training import allocator as _allocator
from sklearn_open._training.allocator import keep_freed_memory

COUNT_FAULTS = """
import resource
import sys
import threading
import torch
from sklearn_open._training.allocator import keep_freed_memory

def faults(n_blocks, n=5):
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(n):
            [torch.ones(20_000_000 // n_blocks) for _ in range(n_blocks)]  # 80 MB, 20,000 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def count(n_blocks=1):
    outside = faults(n_blocks)
    with keep_freed_memory():
        inside = faults(n_blocks)
        at_end = resident()
    torch.ones(100_000)
    print(outside, inside, faults(n_blocks), (at_end - resident()) // 1_000_000)
"""
IN_THE_MAIN_THREAD = "count()"
IN_A_WORKER_OF_DASK = """
sys.modules["distributed.nanny"] = None
thread = threading.Thread(target=count, args=(5,))  # whose heaps hold 64 MiB each
thread.start()
thread.join()
"""

needs_gnu_libc = pytest.mark.skipif(
    _allocator._gnu_libc() is None, reason="GNU libc with settings of its own is needed"
)


def count_faults(run: str = IN_THE_MAIN_THREAD, **environment: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS + run],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


@needs_gnu_libc
def test_memory_is_kept_inside_and_given_back_afterwards():
    outside, inside, afterwards, megabytes_back = count_faults()

    assert outside > 5 * 15_000
    assert inside < 100
    assert afterwards > 5 * 15_000
    assert megabytes_back > 70


@needs_gnu_libc
@pytest.mark.parametrize(
    "setting",
    [{"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, {"MALLOC_TRIM_THRESHOLD_": "131072"}],
)
def test_settings_of_the_environment_are_left_alone(setting):
    assert count_faults(**setting)[1] > 5 * 15_000


@needs_gnu_libc
def test_in_a_worker_of_dask_memory_is_kept_as_well():
    outside, inside, *_ = count_faults(IN_A_WORKER_OF_DASK, MALLOC_TRIM_THRESHOLD_="65536")
    assert outside > 5 * 15_000
    assert inside < 100


@needs_gnu_libc
@pytest.mark.parametrize(
    ("name", "number", "with_dask", "may"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "65536", True, True),
        ("MALLOC_TRIM_THRESHOLD_", "65537", True, False),  # which no nanny writes unless told to
        ("MALLOC_TRIM_THRESHOLD_", "65536", False, False),
        ("MALLOC_TOP_PAD_", "65536", True, False),
    ],
)
def test_what_dask_sets_is_no_setting_of_the_user(monkeypatch, name, number, with_dask, may):
    monkeypatch.setenv(name, number)
    monkeypatch.delitem(sys.modules, "distributed.nanny", raising=False)
    if with_dask:
        monkeypatch.setitem(sys.modules, "distributed.nanny", None)
    assert (_allocator._gnu_libc.__wrapped__() is not None) is may


@pytest.mark.parametrize("is_worker", [True, False])
def test_thresholds_of_dask_hold_where_a_process_began_with_them(monkeypatch, is_worker):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setitem(sys.modules, "distributed.nanny", None)
    parent = object() if is_worker else None
    monkeypatch.setattr(_allocator.multiprocessing, "parent_process", lambda: parent)
    thresholds = dict(_allocator._outside())
    assert thresholds[_allocator._TRIM_THRESHOLD] == (65536 if is_worker else 64 * 2**20)
    assert thresholds[_allocator._MMAP_THRESHOLD] == (128 * 2**10 if is_worker else 32 * 2**20)


def test_contexts_of_threads_end_with_the_last(monkeypatch):
    calls = []
    monkeypatch.setattr(_allocator, "_set", calls.append)
    entered, leave = threading.Event(), threading.Event()

    def other():
        with keep_freed_memory():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait()
    with pytest.raises(KeyError), keep_freed_memory():
        raise KeyError
    begun = len(calls)
    leave.set()
    thread.join()

    assert begun == 1  # nothing was ended by the context that ended first
    assert calls == [_allocator._KEEPING, _allocator._outside()]
    assert _allocator._inside == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_leaves_a_lock_that_its_parent_holds():
    lock = ProcessLock()
    with lock, lock:
        pid = os.fork()
        if pid == 0:
            try:
                with lock:  # which is free here
                    pass
                lock.release()
                lock.release()
            except BaseException:
                os._exit(1)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        held = []
        thread = threading.Thread(target=lambda: held.append(lock.acquire(timeout=0.01)))
        thread.start()
        thread.join()
        assert held == [False]
    assert lock.acquire(timeout=0)
    lock.release()
