"""Train one method of the paper once, and write one JSON result with all that repeats it.

    python examples/reproduction/run.py --method open --seed 0 --scale cpu --data cifar10-images.zip

A result that exists is not computed again, and a run that was stopped goes on: the epochs that
methods share are kept in ``--work``, and so are checkpoints. `table.py` makes the tables.

Scales: "paper" is WRN-28-10 and 200 epochs (section 4 and appendix D.1), for a GPU. "cpu" is a
small network and a short schedule that two cores train in minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skorch
import torch

import sklearn_open
from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet
from sklearn_open.datasets import (
    fetch_cifar10_lt,
    fetch_cifar100_lt,
    load_image_folder,
    make_long_tailed,
)
from sklearn_open.metrics import equal_group_accuracy

SCALES: dict[str, dict[str, Any]] = {
    "paper": {"module__depth": 28, "module__widen_factor": 10, "max_epochs": 200},
    # 40 plain epochs, then 10 at a tenth of the learning rate, where the methods differ.
    "cpu": {
        "module__depth": 10,
        "module__widen_factor": 2,
        "max_epochs": 50,
        "lr_milestones": (0.8,),
        "lr_decay": 0.1,
    },
}
METHODS: dict[str, dict[str, Any]] = {
    "erm": {"resampler": None},
    "rs": {"delta": 0, "start_epoch": 0},  # over-sampling from the first epoch
    "drs": {"delta": 0},
    "open": {"delta": 1 / 3},
    "open-all": {"delta": 1 / 3, "noise_grad": "all"},
    "open-aux": {"delta": 1 / 3, "norm": "aux"},
    "open-standard": {"delta": 1 / 3, "norm": "standard"},
}
# By scale: what the paper uses for small images, and what a short schedule can learn with.
AUGMENT = {"paper": "simclr", "cpu": "cutout"}


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return long-tailed training images with labels, and the balanced test set."""
    if args.data is None:
        fetch = {"cifar10": fetch_cifar10_lt, "cifar100": fetch_cifar100_lt}[args.dataset]
        X, y = fetch(imbalance_ratio=args.imbalance_ratio, return_X_y=True)
        return (X, y, *fetch(subset="test", return_X_y=True))
    X, y = load_image_folder(args.data, subset="train", return_X_y=True)
    X, y = make_long_tailed(X, y, imbalance_ratio=args.imbalance_ratio)
    return (X, y, *load_image_folder(args.data, subset="test", return_X_y=True))


def make_classifier(args: argparse.Namespace) -> OPeNClassifier:
    """Return what is to be trained."""
    params = {**SCALES[args.scale], **METHODS[args.method], "augment": args.augment}
    if args.epochs is not None:
        params["max_epochs"] = args.epochs
    return OPeNClassifier(
        WideResNet,
        **params,
        random_state=args.seed,
        memory=args.work / "memory",
        checkpoint=args.work / name_of(args),
        checkpoint_every=max(1, params["max_epochs"] // 20),
        verbose=args.verbose,
    )


def name_of(args: argparse.Namespace) -> str:
    """Return the name of a run."""
    data = f"{args.dataset}_ir{args.imbalance_ratio:g}"
    return f"{args.scale}_{data}_{args.augment}_{args.method}_seed{args.seed}"


def result_of(
    args: argparse.Namespace, clf: OPeNClassifier, data: tuple[np.ndarray, ...], seconds: float
) -> dict[str, Any]:
    """Return what there is to know of a run."""
    _, y, X_test, y_test = data
    predicted = clf.predict(X_test)
    groups = equal_group_accuracy(y_test, predicted, y_train=y)
    libraries = (sklearn_open, torch, skorch, sklearn, np)
    return {
        "script": "examples/reproduction/run.py",
        "name": name_of(args),
        "arguments": {k: v.name if isinstance(v, Path) else v for k, v in vars(args).items()},
        "parameters": {k: repr(v) for k, v in clf.get_params(deep=False).items() if k not in PATHS},
        "class_counts": np.bincount(y).tolist(),
        "accuracy": float(np.mean(predicted == y_test)),
        "group_accuracy": groups.tolist(),
        "class_accuracy": [float(np.mean(predicted[y_test == c] == c)) for c in np.unique(y_test)],
        "train_loss": [round(loss, 4) for loss in clf.history[:, "train_loss"]],
        "seconds": round(seconds, 1),
        "versions": {lib.__name__: lib.__version__ for lib in libraries},
        "machine": {
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


PATHS = ("memory", "checkpoint", "checkpoint_every", "verbose")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", choices=[*METHODS], required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", choices=list(SCALES), default="cpu")
    parser.add_argument("--dataset", choices=["cifar10", "cifar100"], default="cifar10")
    parser.add_argument("--imbalance-ratio", type=float, default=100)
    parser.add_argument("--augment", help="default: by scale")
    parser.add_argument("--epochs", type=int, help="a budget; everything given as a share shrinks")
    parser.add_argument("--data", type=Path, help="image folder or zip; default: torchvision")
    parser.add_argument("--out", type=Path, default=Path("results/reproduction"))
    parser.add_argument("--work", type=Path, default=Path("reproduction-work"))
    parser.add_argument("--verbose", type=int, default=1)
    args = parser.parse_args()
    args.augment = args.augment or AUGMENT[args.scale]
    return args


def main() -> None:
    """Train, test and write."""
    args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path = args.out / f"{name_of(args)}.json"
    if path.exists():
        print(f"{path} exists")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    data = load(args)
    start = time.perf_counter()
    clf = make_classifier(args).fit(*data[:2])
    if clf.interrupted_:
        raise SystemExit(f"Stopped. The same command goes on with epoch {len(clf.history)}.")
    result = result_of(args, clf, data, time.perf_counter() - start)
    partial_path = path.with_suffix(".tmp")
    partial_path.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(partial_path, path)
    print(f"{result['name']}: {100 * result['accuracy']:.1f}, groups {result['group_accuracy']}")


if __name__ == "__main__":
    main()
