"""Trainings on several ranks that fail, or are ended, for test_several_ranks_fail.py.

One after another in the same processes: a training that has failed must leave them as they were.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import distributed, nn
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier
from sklearn_open._persistence import checkpoints

AT_BATCH = 9  # of training; the second of the second epoch
SETTINGS: dict[str, Any] = {
    "max_epochs": 3,
    "start_epoch": 1,
    "batch_size": 32,
    "lr": 0.05,
    "random_state": 0,
    "verbose": 0,
    "distributed": True,
}


class AtBatch(Callback):
    """Does something to some ranks in the middle of training."""

    def __init__(self, *ranks: int, before: Any = None, after: Any = None) -> None:
        self.ranks, self.before, self.after = ranks, before, after

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.n_ = 0

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        self.n_ += training
        self._call(self.before, training)

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        self._call(self.after, training)

    def _call(self, what: Any, training: bool) -> None:
        if training and self.n_ == AT_BATCH and distributed.get_rank() in self.ranks and what:
            what()


class AfterEpoch(Callback):
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 2 and distributed.get_rank() == 1:
            raise KeyboardInterrupt


class Unreadable(Dataset):
    """Of so few rows one rank reads all before training."""

    def __len__(self) -> int:
        return len(data()[0])

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        if i == 7:
            fail()
        X, y = data()
        return torch.from_numpy(X[i][None] / 16), int(y[i])


class Loss(nn.CrossEntropyLoss):
    """Becomes NaN where it is told to."""

    is_bad = False

    def forward(self, *args: Any) -> torch.Tensor:
        return super().forward(*args) * (float("nan") if Loss.is_bad else 1)


def fail() -> None:
    raise OSError("the disk is on fire")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_twice() -> None:
    interrupt()
    interrupt()


def end() -> None:
    raise KeyboardInterrupt


def spoil() -> None:
    Loss.is_bad = True


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    kept = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate([120, 60, 30, 20])])
    order = np.random.RandomState(0).permutation(kept)
    return X[order].reshape(-1, 8, 8).astype(np.float32), y[order]


def changed(how: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = (part.copy() for part in data())
    if how == "rows":
        X[5] += 1
    elif how == "fewer rows":
        X, y = X[:-3], y[:-3]
    elif how == "labels":
        y[5] = 3 - y[5]
    elif how == "NaN":
        X[3, 2, 2] = np.nan
    elif how == "one class less":
        X, y = X[y < 3], y[y < 3]
    return X, y


# What happens to which ranks in the middle of training.
EVENTS: dict[str, Callback] = {
    "NaN loss on one rank": AtBatch(1, before=spoil),
    "error on rank 1": AtBatch(1, before=fail),
    "error on rank 0": AtBatch(0, before=fail),
    "error at the end of a batch": AtBatch(1, after=fail),
    "ended by a batch's callback": AtBatch(1, after=end),
    "ended by an epoch's callback": AfterEpoch(),
    "Ctrl-C on rank 0": AtBatch(0, before=interrupt),
    "Ctrl-C on rank 1": AtBatch(1, before=interrupt),
    "Ctrl-C on all": AtBatch(0, 1, before=interrupt),
    "Ctrl-C twice on rank 1": AtBatch(1, before=interrupt_twice),
    "Ctrl-C twice on all": AtBatch(0, 1, before=interrupt_twice),
}
# Parameters of all ranks, each of which draws for itself.
OF_ALL: dict[str, dict[str, Any]] = {
    "shuffled split": {"train_split": ValidSplit(0.2, stratified=True)},
}
# Parameters of rank 1.
PARAMETERS: dict[str, dict[str, Any]] = {
    "other parameters": {"lr": 0.01, "norm": "aux"},
    "other random_state": {"random_state": 1},
    "memory on one rank": {"memory": "anywhere"},
    "refused parameter on one rank": {"lr": -1},
}
# Checkpoints, in a folder, and how many of them can be written.
CHECKPOINTS = {
    "unusable checkpoint": ("a file/checkpoint", 9),
    "disk full at first": ("full", 0),
    "disk full later": ("full later", 2),
}
# Rows of rank 1.
ROWS = {
    "other rows": "rows",
    "fewer rows": "fewer rows",
    "other labels": "labels",
    "NaN pixels": "NaN",
    "a class less": "one class less",
}


# Events in the epochs that fits share.
IN_MEMORY = {
    "Ctrl-C in shared epochs": AtBatch(1, before=interrupt),
    "error in shared epochs": AtBatch(1, before=fail),
}
CASES = [
    *EVENTS,
    *IN_MEMORY,
    "unreadable item",
    *OF_ALL,
    *PARAMETERS,
    *CHECKPOINTS,
    *ROWS,
    "nothing",
]

RARE = {
    *("error on rank 0", "error at the end of a batch", "error in shared epochs"),
    *("Ctrl-C on rank 0", "Ctrl-C twice on all", "ended by a batch's callback"),
    *("memory on one rank", "refused parameter on one rank", "other random_state"),
    *("unusable checkpoint", "fewer rows", "other labels"),
}


def fill_disk(n_written: int) -> None:
    """Let checkpoints fail after some were written, on the rank that writes them."""
    write = checkpoints.write_atomically
    written: list[Path] = []

    def write_or_fail(path: Path, content: bytes) -> None:
        if len(written) == n_written:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, content)

    checkpoints.write_atomically = write_or_fail


def parameters(name: str, folder: Path) -> dict[str, Any]:
    params = PARAMETERS.get(name, {}) if distributed.get_rank() == 1 else {}
    if name in OF_ALL:
        params = OF_ALL[name]
    if name in EVENTS:
        params = {"callbacks": [EVENTS[name]]}
    if name in IN_MEMORY:
        params = {"callbacks": [IN_MEMORY[name]], "memory": folder / "memory", "start_epoch": 2}
    if name in CHECKPOINTS:
        place, n_written = CHECKPOINTS[name]
        fill_disk(n_written)
        params = {"checkpoint": folder / place}
    return params


def outcome(name: str, folder: Path) -> dict[str, Any]:
    """Return how a case has ended on this rank."""
    Loss.is_bad = False
    (folder / "a file").touch()
    of_checkpoints = checkpoints.write_atomically
    how = ROWS.get(name, "") if distributed.get_rank() == 1 else ""
    clf = OPeNClassifier(criterion=Loss, **{**SETTINGS, **parameters(name, folder)})
    found: dict[str, Any] = {"error": None, "message": ""}
    try:
        clf.fit(*((Unreadable(), None) if name == "unreadable item" else changed(how)))
    except Exception as error:
        found = {"error": type(error).__name__, "message": str(error)}
    finally:
        checkpoints.write_atomically = of_checkpoints
    if hasattr(clf, "module_"):
        state = clf.module_.state_dict()
        found["state"] = {key: tensor.numpy() for key, tensor in state.items()}
    history = getattr(clf, "history_", None) or []
    found["batches"] = [len(row["batches"]) for row in history]
    found["interrupted"] = getattr(clf, "interrupted_", None)
    found["leftover"] = "ranks_" in vars(clf)
    found["groups"] = len(distributed.distributed_c10d._world.pg_map)
    found["rank"] = distributed.get_rank()
    return found


def main() -> None:
    """Run the cases named, one after another, and write how they ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    distributed.init_process_group("gloo")
    np.random.seed(distributed.get_rank())
    found = {}
    for name in args.names:
        print(name, flush=True)
        found[name] = outcome(name, args.folder)
    (args.folder / f"rank-{distributed.get_rank()}.pickle").write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
