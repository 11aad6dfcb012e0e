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
import torch
from sklearn_open._training.allocator import keep_freed_memory

def faults(n=5):
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(n):
            torch.ones(20_000_000)  # 80 MB, 20,000 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

outside = faults()
with keep_freed_memory():
    inside = faults()
    at_end = resident()
torch.ones(100_000)
print(outside, inside, faults(), (at_end - resident()) // 1_000_000)
"""

needs_gnu_libc = pytest.mark.skipif(
    _allocator._gnu_libc() is None, reason="GNU libc with settings of its own is needed"
)


def count_faults(**environment: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS],
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


def test_contexts_of_threads_end_with_the_last(monkeypatch):
    calls = []
    monkeypatch.setattr(_allocator, "_set", lambda option, value: calls.append((option, value)))
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

    assert begun == 2  # nothing was ended by the context that ended first
    assert len(calls) == 5
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
