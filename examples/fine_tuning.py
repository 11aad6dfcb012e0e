"""Fine-tune a pretrained network on a long-tailed set of other classes, with and without noise.

A small network learns the digits 0 to 4 and is written to a file, as a pretrained network would lie
on a disk. Then the digits 5 to 9, few of some of them, are learnt from that file: at one rate, at a
smaller rate of the backbone, with its first layers frozen, and with the head alone; each with rows
as they are, with over-sampling, and with OPeN (two minutes on one core):

    python examples/fine_tuning.py --json results/fine_tuning.json
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import tempfile
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

import sklearn_open
from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.recipes import fine_tuning_parameters

LR, BACKBONE_LR = 0.05, 0.005
FIRST_LAYERS = ("features.0", "features.1", "features.4", "features.5")  # two of three, with norms
TRAININGS = {
    "from scratch": None,
    "one rate": {},
    "backbone at a tenth": {"backbone_lr": BACKBONE_LR},
    "first layers frozen": {"backbone_lr": BACKBONE_LR, "freeze": FIRST_LAYERS},
    "head alone": {"freeze": "features"},
}
# "before" is the paper's for Places-LT: rates fall after a third and a half, and rows are balanced
# from there on. In "after" they are balanced from a half on as well, and rates fall later.
SCHEDULES = {
    "before": {"lr_milestones": (1 / 3, 1 / 2), "lr_decay": 0.1, "start_epoch": 1 / 2},
    "after": {"lr_milestones": (0.8, 0.9), "lr_decay": 0.1, "start_epoch": 1 / 2},
}
ROWS = {
    "plain": {"resampler": None},
    "over-sampling": {"delta": 0},
    "OPeN": {"delta": 1 / 3},
}


def pretrain(path: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Write the weights of a network that knows five digits; return its mean and deviation."""
    images, labels = load_digits(return_X_y=True)
    known = labels < 5
    X, y = images[known].reshape(-1, 8, 8), labels[known]
    clf = OPeNClassifier(
        "SmallCNN", resampler=None, max_epochs=args.epochs, batch_size=32, random_state=0, verbose=0
    ).fit(X, y)
    # Without its last layer: one for as many other classes would fit, and would be taken over.
    state = clf.module_.state_dict()
    torch.save({n: tensor for n, tensor in state.items() if not n.startswith("fc.")}, path)
    return float(X.mean() / 16), float(X.std() / 16)


def other_digits(args: argparse.Namespace, seed: int) -> tuple[np.ndarray, ...]:
    """Return long-tailed rows of the other digits, balanced ones to test on, and labels of both."""
    images, labels = load_digits(return_X_y=True)
    other = labels >= 5
    X, y = images[other].reshape(-1, 8, 8), labels[other]
    X, X_test, y, y_test = train_test_split(X, y, test_size=300, stratify=y, random_state=seed)
    X, y = make_long_tailed(X, y, imbalance_ratio=args.imbalance_ratio, random_state=seed)
    return X, X_test, y, y_test


def accuracy(clf: OPeNClassifier, data: tuple) -> float:
    """Return the balanced accuracy of one fit."""
    X, X_test, y, y_test = data
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the pretrained weights", UserWarning)  # a fresh head
        clf.fit(X, y)
    return float(balanced_accuracy_score(y_test, clf.predict(X_test)))


def classifier(
    training: str, rows: str, schedule: str, file: Path, **settings: object
) -> OPeNClassifier:
    """Return the classifier of a cell of the table."""
    chosen = TRAININGS[training]
    weights = None if chosen is None else file
    settings = {**SCHEDULES[schedule], **ROWS[rows], **(chosen or {}), **settings}
    return OPeNClassifier(**fine_tuning_parameters("SmallCNN", weights, lr=LR, **settings))


def with_statistics(clf: OPeNClassifier, other: OPeNClassifier, data: tuple) -> float:
    """Return the balanced accuracy with the batch norm statistics of another fit."""
    mixed = copy.deepcopy(clf)
    given = other.module_.state_dict()
    for name, tensor in mixed.module_.state_dict().items():
        if "running" in name:
            tensor.copy_(given[name])
    return float(balanced_accuracy_score(data[3], mixed.predict(data[1])))


def swapped(file: Path, data: tuple, **settings: object) -> dict[str, float]:
    """Return what weights and statistics of two fits do, from scratch, rates falling before."""
    names = ("plain", "over-sampling")
    fits = {rows: classifier("from scratch", rows, "before", file, **settings) for rows in names}
    for clf in fits.values():
        accuracy(clf, data)
    return {
        f"weights of {w}, statistics of {s}": with_statistics(fits[w], fits[s], data)
        for w, s in product(names, names)
    }


def measure(args: argparse.Namespace) -> dict:
    """Return the accuracies of all seeds together with all that is needed to repeat them."""
    found: dict = {s: {t: {r: [] for r in ROWS} for t in TRAININGS} for s in SCHEDULES}
    settings = {"max_epochs": args.epochs, "batch_size": 32, "verbose": 0}
    exchanged: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "five_digits.pth")
        settings["normalize"] = pretrain(file, args)
        for seed in range(args.seeds):
            data = other_digits(args, seed)
            for schedule, training, rows in product(SCHEDULES, TRAININGS, ROWS):
                clf = classifier(training, rows, schedule, file, random_state=seed, **settings)
                found[schedule][training][rows].append(accuracy(clf, data))
            exchanged.append(swapped(file, data, random_state=seed, **settings))
    return {
        "script": "examples/fine_tuning.py",
        "arguments": {name: value for name, value in vars(args).items() if name != "json"},
        "versions": {
            "sklearn_open": sklearn_open.__version__,
            "torch": torch.__version__,
            "sklearn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "class_counts": np.bincount(data[2])[5:].tolist(),
        "balanced_accuracy": found,
        "swapped_statistics": {name: [of[name] for of in exchanged] for name in exchanged[0]},
    }


def table(record: dict) -> str:
    """Return means and deviations over the seeds as tables, in percent."""
    lines = []
    for schedule, found in record["balanced_accuracy"].items():
        lines.append(f"{'rates fall ' + schedule:<20}" + "".join(f"{rows:>16}" for rows in ROWS))
        for training, of_rows in found.items():
            cells = (f"{100 * np.mean(s):.1f} ± {100 * np.std(s):.1f}" for s in of_rows.values())
            lines.append(f"{training:<20}" + "".join(f"{cell:>16}" for cell in cells))
    for name, scores in record["swapped_statistics"].items():
        lines.append(f"{name:<56}{100 * np.mean(scores):.1f} ± {100 * np.std(scores):.1f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imbalance-ratio", type=float, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the record")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    record = measure(args)
    print(table(record))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
