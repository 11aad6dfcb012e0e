"""One random_state, the same bits: what docs/reproducibility.md says."""

import gc
import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._random import _GLOBAL_RNG
from sklearn_open.augment._presets import PRESETS

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("determinism_fits.py")

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
fits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fits)


def start(hash_seed, *arguments):
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": hash_seed,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_processes_workers_hash_seeds_global_seeds_and_earlier_fits_change_nothing():
    one = start("1", "--workers", "0", "1")
    other = start("2", "--workers", "2", "--global-seed", "5", "--after-others")
    here = fits.run([0])
    for process in (one, other):
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        found = json.loads(printed)
        on_data_sets = {value for name, value in found.items() if name.startswith("data set")}
        assert on_data_sets == {here["data set, 0 workers"]}
        assert (found["arrays"], found["resampled"]) == (here["arrays"], here["resampled"])


def fit_with(seed):
    X, y = fits.images()
    clf = OPeNClassifier(fits.DropoutNet, **{**fits.SETTINGS, "random_state": seed}).fit(X, y)
    return fits.outcome(clf, X)


def test_fits_in_threads_are_those_of_fits_in_turns():
    in_turns = [fit_with(seed) for seed in (0, 1)]
    assert Parallel(n_jobs=2, backend="threading")(map(delayed(fit_with), (0, 1))) == in_turns


def global_states():
    numpy = np.random.get_state()
    return torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:], random.getstate()


def test_global_random_states_are_left_as_found():
    X, y = fits.images()
    before = global_states()
    clf = OPeNClassifier(fits.DropoutNet, augment="autoaugment", **fits.SETTINGS).fit(X, y)
    clf.predict(X)
    clf.partial_fit(X, y)
    data_set = fits.RandomlyChanged(X, np.unique(y, return_inverse=True)[1])
    OPeNClassifier(fits.DropoutNet, **fits.SETTINGS).fit(data_set).predict(data_set)
    PureNoiseOverSampler(random_state=0).fit_resample(X, y)
    assert global_states() == before


def test_without_a_random_state_one_number_is_drawn_from_numpy():
    X, y = fits.images()
    settings = {**fits.SETTINGS, "random_state": None, "max_epochs": 1}
    state = np.random.get_state()
    try:
        np.random.seed(3)
        first = OPeNClassifier(**settings).fit(X, y)
        following = np.random.randint(2**31 - 1)
        np.random.seed(3)
        again = OPeNClassifier(**settings).fit(X, y)
        np.random.seed(3)
        numbers = np.random.randint(2**31 - 1), np.random.randint(2**31 - 1)
    finally:
        np.random.set_state(state)
    assert (first.seed_, following) == numbers
    assert fits.outcome(first, X) == fits.outcome(again, X)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_what_is_drawn_does_not_depend_on_threads(threads):
    X, y = fits.images()
    found = []
    for n in (1, 2):
        threads(n)
        settings = {**fits.SETTINGS, "max_epochs": 0}
        clf = OPeNClassifier(fits.DropoutNet, **settings).fit(X, y)
        plan = clf.epoch_plan(2)
        weights = [value.numpy() for value in clf.module_.state_dict().values()]
        noise = PureNoiseOverSampler(random_state=0).fit_resample(X, y)[0]
        found.append(fits.digest(*weights, plan.index, plan.is_noise, plan.bounds, noise))
    assert found[0] == found[1]


@pytest.fixture
def _deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_deterministic_algorithms")
@pytest.mark.parametrize("augment", [None, *PRESETS])
def test_deterministic_algorithms_of_torch(augment):
    X, y = fits.images()
    a, b = (OPeNClassifier(augment=augment, **fits.SETTINGS).fit(X, y) for _ in range(2))
    assert fits.outcome(a, X) == fits.outcome(b, X)


class Fails(Callback):
    def on_batch_end(self, net, **kwargs):
        raise RuntimeError("in a step")


def other_threads_may_draw():
    free = []

    def draw():
        free.append(_GLOBAL_RNG.acquire(timeout=0.2))
        if free[0]:
            _GLOBAL_RNG.release()

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    return free[0]


def test_an_error_in_a_step_leaves_global_states_as_found():
    X, y = fits.images()
    before = global_states()
    try:
        with pytest.raises(RuntimeError, match="in a step") as kept:
            OPeNClassifier(callbacks=[Fails()], **fits.SETTINGS).fit(X, y)
        assert global_states() == before
        assert other_threads_may_draw()
    finally:
        del kept
        gc.collect()
