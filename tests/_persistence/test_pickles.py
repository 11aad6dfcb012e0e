"""Files of the version whose modules were not yet in packages: read, or refused with what to do.

`tests/data/before_packages` was written by that version:

    rng = RandomState(0); y = repeat(["many", "few"], [30, 8])
    X = rng.normal(size=(38, 4)).astype(float32); X[y == "few"] += 1
    OPeNClassifier(SmallMLP, module__hidden=3, max_epochs=3, start_epoch=2, batch_size=16,
                   random_state=0, verbose=0, checkpoint=...).fit(X, y)
"""

import importlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import SmallMLP
from sklearn_open.exceptions import CheckpointError

OLD = Path(__file__).parents[1] / "data" / "before_packages"


def table():
    rng = np.random.RandomState(0)
    y = np.repeat(["many", "few"], [30, 8])
    X = rng.normal(size=(38, 4)).astype(np.float32)
    X[y == "few"] += 1
    return X, y


def make(**params):
    settings = {"max_epochs": 3, "start_epoch": 2, "batch_size": 16, "random_state": 0}
    return OPeNClassifier(SmallMLP, module__hidden=3, **settings, verbose=0, **params)


def test_saved_files_are_read():
    X, y = table()
    loaded = OPeNClassifier.load(OLD / "saved.safetensors")
    again = make().fit(X, y)
    np.testing.assert_allclose(loaded.predict_proba(X), again.predict_proba(X), atol=1e-6)
    assert loaded.delta == pytest.approx(1 / 3)
    loaded.partial_fit(X, y)


def test_pickles_are_refused_with_what_to_do():
    content = (OLD / "pickled.pkl").read_bytes()
    with pytest.raises(ModuleNotFoundError, match=r"Fit again; or .* clf\.save\(path\)"):
        pickle.loads(content)


@pytest.mark.parametrize("name", ["_pixels", "_checkpoints", "appending", "batch_transform"])
def test_modules_that_have_moved(name):
    with pytest.raises(ModuleNotFoundError, match=f"no module 'sklearn_open.{name}'") as refused:
        importlib.import_module(f"sklearn_open.{name}")
    assert refused.value.name == f"sklearn_open.{name}"


def test_other_missing_modules_are_python_s_own_matter():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'sklearn_open\.nothing'$"):
        importlib.import_module("sklearn_open.nothing")
    assert importlib.util.find_spec("sklearn_open.nothing") is None


def test_checkpoints_are_refused_with_what_to_do(tmp_path):
    shutil.copy(OLD / "epoch-000003.ckpt", tmp_path)
    with pytest.raises(CheckpointError, match=r"wrote it, 0\.1\.0\.dev0, or choose another folder"):
        make(checkpoint=tmp_path).fit(*table())
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["epoch-000003.ckpt"]


def test_folders_of_shared_epochs_are_told_of(tmp_path):
    old = tmp_path / "joblib" / "sklearn_open" / "_shared_phase"
    old.mkdir(parents=True)
    with pytest.warns(UserWarning, match="To free the room, delete"):
        make(memory=tmp_path).fit(*table())


def test_saved_files_go_on_with_a_sampler_of_another_delta():
    sampler = PureNoiseOverSampler(delta=0.5)
    clf = OPeNClassifier.load(OLD / "saved.safetensors", resampler=sampler)
    clf.partial_fit(*table())
    assert clf.resampler_.delta == 0.5


@pytest.mark.parametrize(
    ("old", "new"), [("appending", "over_sampling"), ("batch_transform", "batching")]
)
def test_public_modules_that_have_moved_are_named(old, new):
    with pytest.raises(ModuleNotFoundError, match=rf"in it is in sklearn_open\.{new}\."):
        importlib.import_module(f"sklearn_open.{old}")
