"""memory=: the epochs before start_epoch, trained once."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier
from sklearn_open._persistence.fingerprint import comparable, hash_of
from sklearn_open.backbones import SmallCNN


class Counter(OPeNClassifier):
    """Counts the epochs that are run."""

    epochs_run = 0

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        Counter.epochs_run += training
        super().run_single_epoch(iterator, training, *args, **kwargs)


def make(cls=Counter, **params):
    settings = {"max_epochs": 5, "batch_size": 20, "random_state": 0, "verbose": 0}
    return cls(**{**settings, **params})


def epochs_of(fit):
    before = Counter.epochs_run
    fit()
    return Counter.epochs_run - before


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.history[:, "train_loss"] == other.history[:, "train_loss"]
    assert one.history[:, "lr"] == other.history[:, "lr"]
    for mine, theirs in zip(one.module_.modules(), other.module_.modules(), strict=True):
        assert type(mine) is type(theirs)
    states = one.optimizer_.state_dict(), other.optimizer_.state_dict()
    torch.testing.assert_close(*states, rtol=0, atol=0)


LATER = [
    {"delta": 0},
    {"delta": 1},
    {"noise_grad": "all"},
    {"norm": "aux"},
    {"norm": "standard"},
    {"composition": "bernoulli"},
    {"epoch_length": "resampled"},
    {"resampler": None},
    {"resampler__noise": "uniform"},
]


@pytest.mark.parametrize("later", LATER, ids=str)
def test_what_differs_later_shares_the_phase_bit_by_bit(images, tmp_path, later):
    make(memory=tmp_path).fit(*images)
    shared = make(memory=str(tmp_path), **later)
    assert epochs_of(lambda: shared.fit(*images)) == 1
    assert len(shared.history) == 5
    assert_same(shared, make(**later).fit(*images), images[0])


@pytest.mark.parametrize("first", ["aux", "standard"])
@pytest.mark.parametrize("second", ["dar", "aux"])
def test_a_phase_left_by_another_norm_is_the_same(images, tmp_path, first, second):
    trained = make(memory=tmp_path, norm=first).fit(*images)
    assert_same(trained, make(norm=first).fit(*images), images[0])
    shared = make(memory=tmp_path, norm=second)
    assert epochs_of(lambda: shared.fit(*images)) == 1
    assert_same(shared, make(norm=second).fit(*images), images[0])


@pytest.mark.parametrize(
    "earlier",
    [
        {"random_state": 1},
        {"lr": 0.05},
        {"max_epochs": 10, "start_epoch": 4},
        {"start_epoch": 3},
        {"batch_size": 30},
        {"augment": "flip_crop"},
        {"precision": "bf16"},
        {"normalize": None},
        {"module__width": 8},
        {"optimizer__momentum": 0.5},
        {"train_split": ValidSplit(3)},
    ],
)
def test_what_differs_earlier_does_not(images, tmp_path, earlier):
    make(memory=tmp_path).fit(*images)
    other = make(memory=tmp_path, **earlier)
    assert epochs_of(lambda: other.fit(*images)) == other.max_epochs
    assert_same(other, make(**earlier).fit(*images), images[0])


def test_other_data_or_labels_do_not_share(images, tmp_path):
    X, y = images
    make(memory=tmp_path).fit(X, y)
    changed = X.copy()
    changed[0, 0, 0, 0] ^= 1
    assert epochs_of(lambda: make(memory=tmp_path).fit(changed, y)) == 5
    assert epochs_of(lambda: make(memory=tmp_path).fit(X, np.roll(y, 1))) == 5
    assert epochs_of(lambda: make(memory=tmp_path).fit(X.copy(), y)) == 1


def test_weights_of_any_precision_count():
    one, other = torch.nn.Linear(2, 2).double(), torch.nn.Linear(2, 2).double()
    other.load_state_dict(one.state_dict())
    assert hash_of(comparable(one)) == hash_of(comparable(other))
    with torch.no_grad():
        other.weight[0, 0] *= 1 + 1e-12
    assert hash_of(comparable(one)) != hash_of(comparable(other))


def test_it_is_the_value_of_parameters_that_counts(images, tmp_path):
    instance = make().fit(*images).module_
    for memory in (str(tmp_path), joblib.Memory(tmp_path, verbose=0)):
        clf = make(module=instance, memory=memory)
        fits = [epochs_of(lambda clf=clf: clone(clf).fit(*images)) for _ in range(2)]
        assert fits[-1] == 1


def test_callbacks_and_held_out_rows_go_on(images, tmp_path):
    callbacks = [
        ("lr", LRScheduler("StepLR", step_size=2, gamma=0.5)),
        ("stop", EarlyStopping(patience=50)),
    ]
    params = {"callbacks": callbacks, "train_split": ValidSplit(3, stratified=True)}
    make(memory=tmp_path, **params).fit(*images)
    shared, anew = make(memory=tmp_path, delta=1, **params), make(delta=1, **params)
    assert epochs_of(lambda: shared.fit(*images)) == 1
    rates = shared.history[:, "lr"]
    anew.fit(*images)
    assert rates == anew.history[:, "lr"]
    assert shared.history[:, "valid_loss"] == anew.history[:, "valid_loss"]
    # The schedule acts on the optimizer that trains.
    schedule = dict(shared.callbacks_)["lr"].lr_scheduler_
    assert schedule.optimizer is not None


def test_a_search_pays_once_per_fold(images, tmp_path):
    grid = {"delta": [0, 1 / 3, 1]}
    plain = GridSearchCV(make(), grid, cv=2, error_score="raise").fit(*images)
    search = GridSearchCV(make(memory=tmp_path), grid, cv=2, error_score="raise")
    # Per fold 4 epochs that are shared, and 3 * 1 that are not; then the best on all rows.
    assert epochs_of(lambda: search.fit(*images)) == 2 * (4 + 3) + 5
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])


def test_workers_wait_for_one_another(images, tmp_path):
    clf = make(OPeNClassifier, memory=tmp_path)
    grid = {"delta": [0, 1 / 6, 1 / 3, 1]}
    search = GridSearchCV(clf, grid, cv=2, n_jobs=2, refit=False, error_score="raise")
    search.fit(*images)
    folds = GridSearchCV(make(OPeNClassifier), grid, cv=2, refit=False).fit(*images)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], folds.cv_results_["mean_test_score"]
    )
    assert len(list(tmp_path.rglob("output.pkl"))) == 2


def test_a_phase_that_was_killed_is_trained_anew(images, tmp_path):
    script = """
        import sys
        import numpy as np
        import torch
        from sklearn_open import OPeNClassifier
        torch.set_num_threads(1)
        data = np.load(sys.argv[1])
        print("begun", flush=True)
        OPeNClassifier(max_epochs=100000, start_epoch=99999, batch_size=20, random_state=0,
                       verbose=0, memory=sys.argv[2]).fit(data["X"], data["y"])
    """
    X, y = images
    np.savez(tmp_path / "data.npz", X=X, y=y)
    memory = tmp_path / "memory"
    command = [sys.executable, "-c", textwrap.dedent(script), tmp_path / "data.npz", memory]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        deadline = time.monotonic() + 60
        while not list(memory.glob("*.lock")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(memory.glob("*.lock"))
        os.kill(process.pid, signal.SIGKILL)
    clf = make(memory=memory).fit(X, y)
    assert_same(clf, make().fit(X, y), X)


def test_a_damaged_file_is_trained_anew(images, tmp_path):
    make(memory=tmp_path).fit(*images)
    (kept,) = tmp_path.rglob("output.pkl")
    kept.write_bytes(kept.read_bytes()[:100])
    clf = make(memory=tmp_path).fit(*images)
    assert_same(clf, make().fit(*images), images[0])


def test_refusals(images, tmp_path):
    X, y = images
    with pytest.warns(UserWarning, match="no effect with random_state=None"):
        make(memory=tmp_path, random_state=None).fit(X, y)
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.raises(ValueError, match="Pass an array"):
        make(memory=tmp_path).fit(data)
    with pytest.raises(ValueError, match="cannot be pickled"):
        make(memory=tmp_path, augment=lambda batch: batch).fit(X, y)
    with pytest.raises(ValueError, match="memory"):
        make(memory=3).fit(X, y)
    assert not list(tmp_path.rglob("output.pkl"))


def test_nothing_is_shared_where_there_is_no_phase(images, tmp_path):
    clf = make(memory=tmp_path, start_epoch=0)
    assert epochs_of(lambda: clf.fit(*images)) == 5
    assert not list(tmp_path.rglob("output.pkl"))


@pytest.mark.parametrize(
    "reading", [{"iterator_train__num_workers": 1}, {"iterator_valid__pin_memory": False}]
)
def test_how_batches_are_read_trains_nothing_anew(images, tmp_path, reading):
    first = make(memory=tmp_path)
    assert epochs_of(lambda: first.fit(*images)) == 5
    other = make(memory=tmp_path, **reading)
    assert epochs_of(lambda: other.fit(*images)) == 1
    assert_same(first, other, images[0])


class Drops(SmallCNN):
    """Its settings are attributes, which no weight tells of."""

    def __init__(self, num_classes=3, in_channels=3, p=0.0, act=torch.relu):
        super().__init__(num_classes, in_channels, 4)
        self.p, self.act = p, act

    def forward(self, x):
        x = torch.nn.functional.dropout(x, self.p, self.training)
        return super().forward(self.act(x))


class Negates(torch.nn.Module):
    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def forward(self, batch):
        return batch * self.strength


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"module": Drops, "module__p": 0.0}, {"module": Drops, "module__p": 0.8}),
        ({"module": Drops(p=0.1)}, {"module": Drops(p=0.2)}),
        ({"module": Drops}, {"module": Drops, "module__act": torch.tanh}),
        (
            {"criterion": torch.nn.CrossEntropyLoss()},
            {"criterion": torch.nn.CrossEntropyLoss(label_smoothing=0.5)},
        ),
        ({"augment": Negates(0.5)}, {"augment": Negates(0.9)}),
        (
            {"augment": v2.RandomApply([v2.RandomHorizontalFlip()], p=0.1)},
            {"augment": v2.RandomApply([v2.RandomHorizontalFlip()], p=0.9)},
        ),
    ],
)
def test_what_no_weight_tells_of_is_told_apart(images, tmp_path, one, other):
    assert epochs_of(lambda: make(memory=tmp_path, **one).fit(*images)) == 5
    assert epochs_of(lambda: make(memory=tmp_path, **one).fit(*images)) == 1
    assert epochs_of(lambda: make(memory=tmp_path, **other).fit(*images)) == 5
