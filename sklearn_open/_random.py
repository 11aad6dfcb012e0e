"""Keyed randomness: every draw comes from a generator named by what it is for.

Nothing depends on how many numbers were drawn before, so any epoch, batch or purpose can be
redrawn on its own: a run that was stopped and resumed, and a plan printed without training,
see the same numbers as one that never stopped.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from sklearn_open._locks import ProcessLock

__all__ = [
    "keyed_generator",
    "keyed_random_state",
    "keyed_seed",
    "seeded_global_rng",
    "seeded_user_code",
]

_GLOBAL_RNG = ProcessLock()


def keyed_seed(seed: int, *key: int | str) -> int:
    """Return the seed that belongs to a key.

    Parameters
    ----------
    seed : int
        Root seed of the run, non-negative.
    *key : int or str
        What the numbers are for, as in ``keyed_seed(seed, "noise", epoch, batch)``.

    Returns
    -------
    int
        In [0, 2**32), the range that NumPy's and torch's generators both take.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in key]
    # The length goes in because SeedSequence pads with zeros: (1,) and (1, 0) would be one key.
    return int(np.random.SeedSequence([int(seed), len(words), *words]).generate_state(1)[0])


def keyed_random_state(seed: int, *key: int | str) -> np.random.RandomState:
    """Return a NumPy generator for a key (of the kind that scikit-learn passes around)."""
    return np.random.RandomState(keyed_seed(seed, *key))


def keyed_generator(device: torch.device | str, seed: int, *key: int | str) -> torch.Generator:
    """Return a torch generator for a key, on the device where the numbers are drawn."""
    return torch.Generator(device=device).manual_seed(keyed_seed(seed, *key))


@contextmanager
def seeded_global_rng(device: torch.device, seed: int) -> Iterator[None]:
    """Let code that draws from torch's global generators (CPU and `device`) draw from a seed.

    They are left as they were found. The generators belong to the process, so one thread at a time
    has them: fits in threads, as of joblib's threading backend, see the same numbers as fits in
    turns.
    """
    devices = [device] if device.type == "cuda" else []
    with _GLOBAL_RNG, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            # Not torch.manual_seed, which would seed other GPUs too, and those are not forked.
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def seeded_user_code(device: torch.device, seed: int) -> Iterator[None]:
    """Let a user's code, such as a transform, draw from a seed: torch's, NumPy's and Python's
    global generators, which are left as they were found.
    """
    with seeded_global_rng(device, seed):
        states = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 (the global generator is meant)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
