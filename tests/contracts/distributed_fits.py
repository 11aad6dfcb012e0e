"""Fits on several ranks, and in one process, for test_several_ranks.py; started by its launcher.

Every rank trains all cases together with the others, and some of them in one process as well, so
that no time is lost: `distributed=False` trains alone, whatever process group there is.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from skorch.dataset import ValidSplit
from torch import distributed, nn
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import CosineClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.over_sampling import M2mOverSampler


class InFloat64(nn.Module):
    """Differences of rounding grow in training: those of float64 stay small for long."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(in_channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            *(nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(72, 16), nn.BatchNorm1d(16), nn.ReLU()),
        )
        self.head = self.make_head(num_classes)
        self.double()

    def make_head(self, num_classes: int) -> nn.Module:
        return nn.Linear(16, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x.double()))


class CosineInFloat64(InFloat64):
    def make_head(self, num_classes: int) -> nn.Module:
        return CosineClassifier(16, num_classes, scale=30.0)


class OfTimm(nn.Module):
    """Its batch norm has a forward of its own."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        from timm.layers import BatchNormAct2d

        self.body = nn.Sequential(nn.Conv2d(in_channels, 6, 3), BatchNormAct2d(6))
        self.head = nn.Linear(6, num_classes)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x.double()).mean((2, 3)))


class Counting(OPeNClassifier):
    """Counts the epochs that are trained here."""

    trained = 0

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        Counting.trained += training
        super().run_single_epoch(iterator, training, *args, **kwargs)


class Items(Dataset):
    """Remembers which items were read since the last epoch began."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X.astype(np.float32) / 16, y
        self.read: list[list[int]] = [[]]

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        self.read[-1].append(int(i))
        return torch.from_numpy(self.X[i][None]), int(self.y[i])


class NewEpoch(Callback):
    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        dataset_train.X.dataset.read.append([])


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    """Return small long-tailed images, shuffled."""
    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20, random_state=0)
    order = np.random.RandomState(0).permutation(len(X))[:170]
    return X[order], y[order]


SETTINGS: dict[str, Any] = {
    "module": InFloat64,
    "max_epochs": 2,
    "start_epoch": 1,
    "batch_size": 32,
    "lr": 0.05,
    "random_state": 0,
    "verbose": 0,
}
# Parameters of fits that are those of one process.
EQUAL: dict[str, dict[str, Any]] = {
    "head": {"max_epochs": 3},
    "all": {"noise_grad": "all"},
    "aux": {"norm": "aux"},
    "standard": {"norm": "standard"},
    "bernoulli": {"composition": "bernoulli"},
    "appended": {"composition": "appended"},
    "resampled": {"epoch_length": "resampled"},
    "batches of 5": {"batch_size": 5, "max_epochs": 1, "start_epoch": 0},
    "balanced weights": {"class_weight": "balanced"},
    "effective weights": {"class_weight": "effective"},
    "swa": {"averaging": "swa", "max_epochs": 3},
    "one rank passes other weights": {},
    "balanced_softmax": {"criterion": "balanced_softmax"},
    "lade": {"criterion": "lade"},
    "focal": {"criterion": "focal"},
    "label_aware_smoothing": {"criterion": "label_aware_smoothing"},
    # It rounds off in angles: at lr=0.05 a change of 1e-16 in the weights of one process grows
    # by a thousand times what it does with other losses.
    "ldam": {"criterion": "ldam", "module": CosineInFloat64, "lr": 0.005},
    "scores of held-out rows": {
        "train_split": ValidSplit(0.2, stratified=True, random_state=0),
        "callbacks": [
            EarlyStopping(patience=50),
            EpochScoring("balanced_accuracy", lower_is_better=False, name="balanced"),
            EpochScoring("accuracy", lower_is_better=False, on_train=True, name="of_train"),
        ],
    },
}
# Of fits that draw random numbers for each rank, or round more: ranks are equal to one another.
ALIKE: dict[str, dict[str, Any]] = {
    "mixup": {"mixup": 0.4},
    "no seed": {"random_state": None},
    "bf16": {"precision": "bf16", "module": "SmallCNN"},
}
SLOW_ALIKE: dict[str, dict[str, Any]] = {
    "fp16": {"precision": "fp16", "module": "SmallCNN"},
    "crops": {"augment": "flip_crop"},
}
SLOW_EQUAL: dict[str, dict[str, Any]] = {
    # Its first steps divide gradients by themselves: small ones are noise.
    "Adam": {"optimizer": torch.optim.Adam, "lr": 1e-3, "optimizer__eps": 1e-4},
    "ema": {"averaging": "ema"},
    "plain": {"resampler": None},
    "additive noise": {"resampler__noise": "additive"},
    "timm's norm": {"module": OfTimm},
    "compiled": {"compile": True, "compile__backend": "eager"},
    "L-BFGS": {"optimizer": torch.optim.LBFGS, "lr": 1e-3, "max_epochs": 1, "start_epoch": 0},
}


def fit(params: dict[str, Any], together: bool, X: Any = None, y: Any = None) -> Counting:
    if X is None:
        X, y = data()
    Counting.trained = 0
    return Counting(**{**SETTINGS, **params, "distributed": together}).fit(X, y)


def in_parts(together: bool, folder: Path) -> tuple[Counting, dict[str, Any]]:
    X, y = data()
    params = {**SETTINGS, "max_epochs": 1, "start_epoch": 0, "distributed": together}
    clf = Counting(**params).partial_fit(X[:100], y[:100], classes=np.arange(10))
    return clf.partial_fit(X[100:], y[100:]), {}


def lazy(together: bool, folder: Path) -> tuple[Counting, dict[str, Any]]:
    items = Items(*data())
    clf = fit({"callbacks": [NewEpoch()]}, together, items)
    plans = [clf.epoch_plan(epoch) for epoch in range(2)]
    natural = [plan.index[~plan.is_noise].tolist() for plan in plans]
    return clf, {"read": items.read, "natural": natural}


def memory(together: bool, folder: Path) -> tuple[Counting, dict[str, Any]]:
    params = {"memory": folder if together else None}
    fit(params, together)
    first = Counting.trained
    clf = fit({**params, "delta": 0.5}, together)
    return clf, {"trained": [first, Counting.trained]}


def m2m(together: bool, folder: Path) -> tuple[Counting, dict[str, Any]]:
    params = {"resampler": M2mOverSampler(), "memory": folder}
    fit(params, together)
    first = Counting.trained  # with those of the teacher
    clf = fit({**params, "norm": "aux"}, together)
    return clf, {"trained": [first, Counting.trained]}


def decoupled(together: bool, folder: Path) -> tuple[Counting, dict[str, Any]]:
    params = {**SETTINGS, "distributed": together}
    first = OPeNClassifier(**params | {"resampler": None})
    params.pop("module")
    second = OPeNClassifier(**params | {"start_epoch": 0})
    fitted = DecoupledClassifier(first, second, memory=folder).fit(*data())
    return fitted.estimator_, {}


Special = Callable[[bool, Path], tuple[Any, dict[str, Any]]]
SPECIAL_EQUAL: dict[str, Special] = {
    "in parts": in_parts,
    "data set": lazy,
    "memory": memory,
    "decoupled": decoupled,
}
SPECIAL_ALIKE: dict[str, Special] = {"M2m": m2m}


def outcome(name: str, together: bool, folder: Path) -> dict[str, Any]:
    """Return what has come of a case."""
    special = (SPECIAL_EQUAL | SPECIAL_ALIKE).get(name)
    folder = folder / f"{name}-{together}"
    if special is not None:
        clf, found = special(together, folder)
    else:
        params = (EQUAL | ALIKE | SLOW_EQUAL | SLOW_ALIKE)[name]
        if name == "one rank passes other weights":  # those of the first are taken
            torch.manual_seed(distributed.get_rank() if together else 0)
            params = {"module": InFloat64()}
        clf, found = fit(params, together), {}
    state = {key: tensor.double().numpy() for key, tensor in clf.module_.state_dict().items()}
    history = [
        {key: value for key, value in row.items() if key not in ("dur", "batches")}
        for row in clf.history
    ]
    return {"state": state, "history": history, "leftover": "ranks_" in vars(clf), **found}


def main() -> None:
    """Run the cases named, and write what has come of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    distributed.init_process_group("gloo")
    rank, n_ranks = distributed.get_rank(), distributed.get_world_size()
    start = time.perf_counter()
    found: dict[str, dict[str, Any]] = {"together": {}, "alone": {}}
    for i, name in enumerate(args.names):
        if i % n_ranks == rank:
            found["alone"][name] = outcome(name, False, args.folder)
    for name in args.names:
        print(name, f"after {time.perf_counter() - start:.1f} s", flush=True)
        found["together"][name] = outcome(name, True, args.folder)
    (args.folder / f"rank-{rank}.pickle").write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
