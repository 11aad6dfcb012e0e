"""checkpoint=: a training that dies, for whatever reason, goes on."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import random
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader

from sklearn_open import OPeNClassifier
from sklearn_open._persistence import checkpoints as _checkpoints
from sklearn_open.backbones import SmallCNN
from sklearn_open.exceptions import CheckpointError

EPOCHS = 4


class Die(Exception):
    """What ends a training from outside."""


class Mortal(OPeNClassifier):
    """Dies at the beginning of an epoch."""

    dies_at: int | None = None

    def on_epoch_begin(self, net, **kwargs):
        super().on_epoch_begin(net, **kwargs)
        if len(self.history) - 1 == Mortal.dies_at:
            raise Die


@pytest.fixture(autouse=True)
def _immortal():
    yield
    Mortal.dies_at = None


def make(folder=None, **params):
    settings = {"max_epochs": EPOCHS, "batch_size": 20, "random_state": 0, "verbose": 0}
    return Mortal(**{**settings, "start_epoch": 0.5, "checkpoint": folder, **params})


def die_at(epoch, clf, images):
    Mortal.dies_at = epoch
    with pytest.raises(Die):
        clf.fit(*images)
    Mortal.dies_at = None


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.history[:, "train_loss"] == other.history[:, "train_loss"]
    assert one.history[:, "lr"] == other.history[:, "lr"]
    states = one.optimizer_.state_dict(), other.optimizer_.state_dict()
    torch.testing.assert_close(*states, rtol=0, atol=0)


def names(folder):
    return sorted(path.name for path in folder.glob("epoch-*"))


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_a_training_goes_on_bit_by_bit(images, tmp_path, epoch):
    die_at(epoch, make(tmp_path), images)
    resumed = make(str(tmp_path)).fit(*images)
    assert_same(resumed, make().fit(*images), images[0])
    assert names(tmp_path) == ["epoch-000003.ckpt", "epoch-000004.ckpt"]


@pytest.mark.parametrize(
    "params",
    [
        {"callbacks": [LRScheduler("CosineAnnealingLR", T_max=4)]},
        {"train_split": ValidSplit(3), "callbacks": [EarlyStopping(patience=2, load_best=True)]},
        {"memory": "MEMORY"},
        {"optimizer__param_groups": [("fc*", {"lr": 0.01})], "lr_milestones": (2, 3)},
        {"memory": "MEMORY", "norm": "aux"},
        {"precision": "fp16"},
        {"composition": "bernoulli", "noise_grad": "all", "augment": "simclr"},
        {"norm": "aux", "callbacks": [LRScheduler("CosineAnnealingLR", T_max=4)]},
        {"norm": "standard"},
    ],
    ids=lambda params: ", ".join(params),
)
def test_everything_that_training_remembers_goes_on(images, tmp_path, params):
    if "memory" in params:
        params = {**params, "memory": tmp_path / "memory"}
    die_at(3, make(tmp_path / "a", **params), images)
    resumed = make(tmp_path / "a", **params).fit(*images)
    assert_same(resumed, make(**params).fit(*images), images[0])


class IgnoresGroups(SmallCNN):
    """skorch hands what `fit` is given to the split and to the network."""

    def forward(self, x, groups=None):
        return super().forward(x)


def test_rows_are_held_out_by_what_fit_is_given_for_it(images, tmp_path):
    groups = np.arange(60) % 6
    params = {"train_split": ValidSplit(GroupKFold(3)), "module": IgnoresGroups}
    expected = make(**params).fit(*images, groups=groups)
    die_with = make(tmp_path, memory=tmp_path / "memory", **params)
    Mortal.dies_at = 3
    with pytest.raises(Die):
        die_with.fit(*images, groups=groups)
    Mortal.dies_at = None
    resumed = make(tmp_path, memory=tmp_path / "memory", **params)
    assert_same(resumed.fit(*images, groups=groups), expected, images[0])
    assert resumed.history[:, "valid_loss"] == expected.history[:, "valid_loss"]


def test_a_finished_training_is_taken_as_it_is(images, tmp_path):
    first = make(tmp_path).fit(*images)
    Mortal.dies_at = 0
    again = make(tmp_path).fit(*images)
    assert_same(again, first, images[0])


def test_without_a_random_state_the_seed_comes_from_the_checkpoint(images, tmp_path):
    first = make(tmp_path, random_state=None).fit(*images)
    again = make(tmp_path, random_state=None).fit(*images)
    assert again.seed_ == first.seed_
    assert_same(again, first, images[0])


def test_checkpoints_every_few_epochs_and_at_the_end(images, tmp_path):
    make(tmp_path, checkpoint_every=3).fit(*images)
    assert names(tmp_path) == ["epoch-000003.ckpt", "epoch-000004.ckpt"]


def test_workers_verbosity_and_frequency_may_change(images, tmp_path, capsys):
    die_at(3, make(tmp_path), images)
    other = {"verbose": 1, "checkpoint_every": 2, "iterator_valid__num_workers": 0}
    resumed = make(tmp_path, **other).fit(*images)
    assert f"Training goes on after epoch 3, from {tmp_path}." in capsys.readouterr().out
    assert_same(resumed, make().fit(*images), images[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delta": 0.5}, "delta was None and is 0.5"),
        ({"max_epochs": 9}, "max_epochs was 4 and is 9"),
        ({"random_state": 1}, "random_state gives another seed"),
        ({"random_state": None}, "random_state gives another seed"),
        ({"augment": "cutout"}, "augment was None and is 'cutout'"),
        ({"optimizer__momentum": 0.5}, "optimizer__momentum was not set and is 0.5"),
        ({"module": SmallCNN}, "module was None and is <class .*SmallCNN"),
        ({"train_split": ValidSplit(3)}, "the training rows .* differ; the rows held out"),
    ],
)
def test_another_training_is_refused_and_told_apart(images, tmp_path, params, message):
    make(tmp_path).fit(*images)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("epoch-*")}
    with pytest.raises(CheckpointError, match=message):
        make(tmp_path, **params).fit(*images)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("epoch-*")} == before


@pytest.mark.parametrize("changed", [0, 1], ids=["images", "labels"])
def test_other_data_are_refused(images, tmp_path, changed):
    make(tmp_path).fit(*images)
    other = [part.copy() for part in images]
    other[changed][7] = (other[changed][7] + 1) % 3
    with pytest.raises(CheckpointError, match="the training rows"):
        make(tmp_path).fit(*other)


def test_a_training_that_goes_on_in_memory_has_no_checkpoints(images, tmp_path):
    clf = make(tmp_path).fit(*images)
    with pytest.raises(ValueError, match="checkpoint= belongs to fits from the beginning"):
        clf.partial_fit(*images)
    clf.set_params(checkpoint=None).partial_fit(*images)
    assert len(clf.history) == 2 * EPOCHS


class FitAgain(Callback):
    """Fits a second classifier into the same folder while the first one trains."""

    def __init__(self, other, images):
        self.other, self.images = other, images

    def on_epoch_begin(self, net, **kwargs):
        self.other.fit(*self.images)


def test_two_trainings_do_not_share_a_folder(images, tmp_path):
    with pytest.raises(CheckpointError, match="another training is using"):
        make(tmp_path, callbacks=[FitAgain(make(tmp_path), images)]).fit(*images)


@pytest.mark.parametrize("value", [0, 1.5, True, "often"])
def test_frequency_is_checked(images, tmp_path, value):
    with pytest.raises(ValueError, match="checkpoint_every"):
        make(tmp_path, checkpoint_every=value).fit(*images)


def test_a_checkpoint_that_is_no_path_is_refused(images):
    with pytest.raises(ValueError, match="checkpoint=3 is not a folder"):
        make(3).fit(*images)


# --- what callbacks, optimisers and networks hold ---


class Watches(Callback):
    """Holds the net, a hook on its network, and numbers of its own."""

    def __init__(self, every=1):
        self.every = every
        self.losses = []
        self.calls = 0

    def on_train_begin(self, net, **kwargs):
        self.net_ = net
        net.module_.register_forward_hook(self.count)

    def count(self, *args):
        self.calls += 1

    def on_epoch_end(self, net, **kwargs):
        assert self.net_ is net
        self.losses.append(net.history[-1, "train_loss"])


def test_callbacks_go_on_with_the_net_that_trains(images, tmp_path):
    alone, stopped, resumed = Watches(), Watches(), Watches()
    make(callbacks=[alone]).fit(*images)
    die_at(3, make(tmp_path, callbacks=[stopped]), images)
    clf = make(tmp_path, callbacks=[resumed]).fit(*images)
    assert resumed.net_ is clf
    assert resumed.losses == alone.losses
    assert resumed.calls == alone.calls
    again = clf.fit(*images)  # what the callback has seen does not make it another one
    assert len(again.history) == EPOCHS


class Scaled(SmallCNN):
    """Has a parametrized layer, which cannot be pickled."""

    def __init__(self, num_classes, in_channels):
        super().__init__(num_classes, in_channels)
        torch.nn.utils.parametrizations.weight_norm(self.fc)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.LBFGS, "lr": 0.01, "optimizer__max_iter": 4},
        {"optimizer": torch.optim.AdamW},
        {"module": Scaled},
    ],
    ids=["LBFGS", "AdamW", "weight_norm"],
)
@pytest.mark.parametrize("phase", ["checkpoint", "memory"])
def test_optimisers_and_parametrized_layers(images, tmp_path, params, phase):
    params = {"lr": 0.001, **params}
    expected = make(**params).fit(*images)
    if phase == "memory":
        make(memory=tmp_path, delta=1, **params).fit(*images)
        resumed = make(memory=tmp_path, **params).fit(*images)
    else:
        die_at(3, make(tmp_path, **params), images)
        resumed = make(tmp_path, **params).fit(*images)
    assert_same(resumed, expected, images[0])


def make_network(num_classes, in_channels):
    """Make a network of a class that may be edited."""
    return Edited(num_classes, in_channels)


class Edited(SmallCNN):
    """Stands for a class of the user's."""


def test_edited_code_behind_a_factory_is_refused(images, tmp_path, monkeypatch):
    make(tmp_path, module=make_network).fit(*images)
    monkeypatch.setattr(Edited, "extra_repr", lambda self: "edited", raising=False)
    with pytest.raises(CheckpointError, match="the network's or the criterion's code changed"):
        make(tmp_path, module=make_network).fit(*images)


class Shifts:
    """An augmentation that holds a tensor."""

    def __init__(self, by=0.1):
        self.by = torch.full((3, 1, 1), by)

    def __call__(self, batch):
        return (batch + self.by).clamp(0, 1)


def test_objects_that_hold_tensors_are_compared_by_value(images, tmp_path):
    make(tmp_path, augment=Shifts()).fit(*images)
    make(tmp_path, augment=Shifts()).fit(*images)
    with pytest.raises(CheckpointError, match="the code or the content of augment changed"):
        make(tmp_path, augment=Shifts(0.2)).fit(*images)


def test_files_of_the_user_are_left_alone(images, tmp_path):
    own = [tmp_path / name for name in ("notes.tmp", "epoch-best.ckpt", "epoch-1.ckpt")]
    for path in own:
        path.write_text("mine")
    make(tmp_path).fit(*images)
    make(tmp_path).fit(*images)
    assert [path.read_text() for path in own] == ["mine"] * 3


def test_a_folder_is_where_it_was_when_training_began(images, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make("~/folder").fit(*images)
    assert names(tmp_path / "folder") == ["epoch-000003.ckpt", "epoch-000004.ckpt"]
    with pytest.raises(ValueError, match="checkpoint='' is not a folder"):
        make("").fit(*images)


# --- damage ---


def test_truncated_checkpoints_are_told_and_the_one_before_is_used(images, tmp_path):
    expected = make().fit(*images)
    die_at(3, make(tmp_path), images)
    newest = tmp_path / "epoch-000003.ckpt"
    older = (tmp_path / "epoch-000002.ckpt").read_bytes()
    whole = newest.read_bytes()
    rng = random.Random(0)
    for length in [0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(18))]:
        (tmp_path / "epoch-000004.ckpt").unlink(missing_ok=True)
        newest.write_bytes(whole[:length])
        (tmp_path / "epoch-000002.ckpt").write_bytes(older)
        with pytest.warns(UserWarning, match="epoch-000003.ckpt cannot be used"):
            resumed = make(tmp_path).fit(*images)
        assert_same(resumed, expected, images[0])


def test_no_checkpoint_that_can_be_read_is_an_error(images, tmp_path):
    make(tmp_path).fit(*images)
    for path in tmp_path.glob("epoch-*"):
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    with (
        pytest.warns(UserWarning, match="damaged or incomplete"),
        pytest.raises(CheckpointError, match="none of the 2 checkpoints"),
    ):
        make(tmp_path).fit(*images)


def test_a_newer_format_is_refused(images, tmp_path, monkeypatch):
    newer = _checkpoints.FORMAT + 1
    monkeypatch.setattr(_checkpoints, "FORMAT", newer)
    make(tmp_path).fit(*images)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=f"has format {newer}"):
        make(tmp_path).fit(*images)


def test_left_over_temporary_files_are_removed(images, tmp_path):
    (tmp_path / "epoch-000001.ckpt.123.tmp").write_bytes(b"half")
    make(tmp_path).fit(*images)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_full_disk_loses_nothing(images, tmp_path, monkeypatch):
    """As on a tmpfs that is full: `os.fsync` or the write before it fails."""
    expected = make().fit(*images)
    real, calls = os.fsync, []

    def fsync(file):
        if stat.S_ISREG(os.fstat(file).st_mode):
            calls.append(file)
            if len(calls) == 4:  # before training, after epochs 1, 2 and 3
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    clf = make(tmp_path)
    with pytest.raises(CheckpointError, match=r"No space left on device.*call fit again"):
        clf.fit(*images)
    assert len(clf.history) == 3
    assert np.isfinite(clf.predict_proba(images[0])).all()
    assert names(tmp_path) == ["epoch-000001.ckpt", "epoch-000002.ckpt"]
    assert not list(tmp_path.glob("*.tmp"))
    assert_same(make(tmp_path).fit(*images), expected, images[0])


def test_a_folder_that_cannot_be_made_is_an_error_before_training(images, tmp_path):
    (tmp_path / "file").write_text("")
    Mortal.dies_at = 0
    with pytest.raises(CheckpointError, match="cannot write to checkpoint="):
        make(tmp_path / "file" / "folder").fit(*images)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_read_only_folder_is_an_error_before_training(images, tmp_path):
    tmp_path.chmod(0o500)
    Mortal.dies_at = 0
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            make(tmp_path).fit(*images)
    finally:
        tmp_path.chmod(0o700)


def test_what_cannot_be_kept_is_refused_before_training(images, tmp_path):
    Mortal.dies_at = 0
    with pytest.raises(ValueError, match="cannot be pickled"):
        make(tmp_path, augment=lambda batch: batch).fit(*images)


# --- kills ---


@pytest.fixture
def driver():
    path = Path(__file__).with_name("kill_and_resume.py")
    spec = importlib.util.spec_from_file_location("kill_and_resume", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_killed_trainings_go_on_bit_by_bit(driver):
    found = driver.drive(kills=4, epochs=6, variants=("arrays",))
    assert found["same"] == found["trainings"]


@pytest.mark.slow
def test_thirty_killed_trainings_go_on_bit_by_bit(driver):
    found = driver.drive(kills=30, epochs=12)
    print(json.dumps(found))
    assert found["same"] == found["trainings"]
    assert len(set(found["resumed_from"])) > 5


class OwnLoader(DataLoader):
    pass


def test_how_a_loader_reads_is_not_part_of_a_training(images, tmp_path):
    settings = {"resampler": None, "iterator_train": OwnLoader}
    first = make(tmp_path, **settings).fit(*images)
    again = make(tmp_path, iterator_train__num_workers=1, **settings).fit(*images)
    assert_same(again, first, images[0])


def test_a_delta_that_is_written_out_is_the_same_training(images, tmp_path):
    first = make(tmp_path).fit(*images)
    assert_same(make(tmp_path, delta=1 / 3).fit(*images), first, images[0])
