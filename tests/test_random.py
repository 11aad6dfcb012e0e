"""Keyed randomness."""

import multiprocessing as mp
import os
import random
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sklearn_open._random import (
    keyed_generator,
    keyed_random_state,
    keyed_seed,
    seeded_global_rng,
    seeded_user_code,
)


def test_keys_give_seeds_of_their_own():
    keys = [(), (0,), (0, 0), (1,), ("a",), ("b",), ("a", 0), ("a", 1), (0, "a"), (3, 7), (7, 3)]
    seeds = {keyed_seed(root, *key) for root in (0, 1) for key in keys}
    assert len(seeds) == 2 * len(keys)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_same_key_gives_the_same_numbers():
    a, b = (keyed_random_state(5, "plan", 3).randint(1000, size=8) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    x, y = (torch.rand(8, generator=keyed_generator("cpu", 5, "noise", 1)) for _ in range(2))
    assert torch.equal(x, y)


def draw_from_torch():
    return torch.rand(4).tolist()


def draw_from_all():
    return torch.rand(4).tolist(), np.random.rand(4).tolist(), random.random()


@pytest.mark.parametrize(
    ("seeded", "draw"),
    [(seeded_global_rng, draw_from_torch), (seeded_user_code, draw_from_all)],
)
def test_global_states_are_left_as_found(seeded, draw):
    def fail():
        with seeded(device, 3):
            draw()
            raise ZeroDivisionError

    device = torch.device("cpu")
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with seeded(device, 3):
        first = draw()
    with seeded(device, 3):
        assert draw() == first
    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_threads_take_turns():
    def draw(seed):
        with seeded_global_rng(torch.device("cpu"), seed):
            parts = []
            for _ in range(20):
                parts.append(torch.rand(3))
                time.sleep(0.0005)
            return torch.cat(parts)

    expected = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for got, reference in zip(pool.map(draw, range(4)), expected, strict=True):
            assert torch.equal(got, reference)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_does_not_wait_for_threads_it_does_not_have():
    held, done = threading.Event(), threading.Event()

    def hold():
        with seeded_global_rng(torch.device("cpu"), 0):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        worker = mp.get_context("fork").Process(target=_draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            worker.start()
        worker.join(20)
        assert worker.exitcode == 0
    finally:
        done.set()
        thread.join()


def _draw():
    with seeded_global_rng(torch.device("cpu"), 0):
        torch.rand(())
