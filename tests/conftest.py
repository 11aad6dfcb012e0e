"""Data and settings shared by the tests."""

import importlib.util
import os
import sys
from pathlib import Path

# Before SciPy is imported: lets scikit-learn's array API checks run instead of being skipped.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Threads that wait for one another by spinning make small tests slow on a busy machine: here, and
# in the processes that tests start.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits_lt():
    """Long-tailed digits: images (n, 8, 8) float64 in 0..16, and labels."""
    digits = load_digits()
    return make_long_tailed(digits.images, digits.target, imbalance_ratio=20)


@pytest.fixture(scope="session")
def images():
    """Sixty small RGB images in three classes of 36, 18 and 6, that can be told apart."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [36, 18, 6])
    X = rng.randint(0, 120, (60, 3, 8, 8))
    X[np.arange(60), y] += 100
    order = rng.permutation(60)
    return X[order].astype(np.uint8), y[order]


@pytest.fixture(scope="session")
def data_home():
    """Folder of the real data sets; tests that need it are skipped where it is absent."""
    root = Path(__file__).parents[1]
    home = Path(os.environ.get("SKLEARN_OPEN_DATA", root.parent / "shared" / "data"))
    if not home.is_dir():
        pytest.skip(f"real data are not at {home}; set SKLEARN_OPEN_DATA")
    return home


@pytest.fixture
def script(monkeypatch):
    """A function that imports one of the reproduction's scripts."""
    folder = Path(__file__).parents[1] / "examples" / "reproduction"
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def loaded(path):
    """A module of the tests, from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def on_ranks():
    """``on_ranks(n, function)`` calls a function on n ranks, which are threads."""
    return loaded(Path(__file__).with_name("_distributed") / "threads.py").on_ranks


@pytest.fixture(scope="session")
def launcher():
    """Has ``launch(script, n_ranks, *arguments)``, whose ranks are processes."""
    return loaded(Path(__file__).with_name("_distributed") / "launch.py")


class Counter(OPeNClassifier):
    """Counts the epochs that are run, of all its instances."""

    epochs_run = 0

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        Counter.epochs_run += training
        super().run_single_epoch(iterator, training, *args, **kwargs)


@pytest.fixture
def counted():
    """A classifier whose ``epochs_run`` is how many epochs were run in this test."""
    Counter.epochs_run = 0
    return Counter


class _CountCasts(TorchDispatchMode):
    def __init__(self, shape):
        super().__init__()
        self.shape, self.n = shape, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default and args[0].shape == self.shape:
            self.n += (kwargs or {}).get("dtype") == torch.bfloat16
        return func(*args, **(kwargs or {}))


@pytest.fixture
def count_casts():
    """A context ``count_casts(shape)`` whose ``n`` is how many tensors of a shape become bf16."""
    return _CountCasts
