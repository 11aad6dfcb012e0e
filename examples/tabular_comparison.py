"""What the tabular-to-image examples share: the table, its folds, the other methods, the record.

A pipeline (scaler, image maker, OPeNClassifier) that searches its own `delta` is compared with the
same network without over-sampling, with imbalanced-learn's BalancedRandomForestClassifier and with
a balanced logistic regression, on the same folds of scikit-learn's breast cancer data.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.metrics import geometric_mean_score
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

DELTAS = (0, 1 / 6, 1 / 3, 1 / 2)
N_MALIGNANT = 24  # what is left of them in a training part
SCORING = {
    "balanced_accuracy": "balanced_accuracy",
    "geometric_mean": make_scorer(geometric_mean_score),
}
PACKAGES = ("imbalanced-learn", "scikit-learn", "skorch", "torch", "numpy")


def make_search(pipeline: Pipeline, deltas: tuple[float, ...] = DELTAS) -> GridSearchCV:
    """Return the pipeline that chooses its share of noise itself."""
    return GridSearchCV(
        pipeline,
        {"clf__delta": list(deltas)},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    )


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the table (569, 30), and labels "benign" and "malignant"."""
    data = load_breast_cancer()
    return data.data, data.target_names[data.target]


def imbalanced_folds(
    X: np.ndarray, y: np.ndarray, n_folds: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of training rows, with few malignant ones, and test rows, with all of them."""
    folds = []
    for train, test in StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, y):
        kept, _ = make_imbalance(
            train[:, None], y[train], sampling_strategy={"malignant": N_MALIGNANT}, random_state=0
        )
        folds.append((np.sort(kept[:, 0]), test))
    return folds


def compare(pipeline: Pipeline, n_folds: int = 5, deltas: tuple[float, ...] = DELTAS) -> dict:
    """Score all methods on the same folds and return what there is to know about it."""
    X, y = load()
    folds = imbalanced_folds(X, y, n_folds)
    search = make_search(pipeline, deltas)
    methods = {
        "OPeN on images": search,
        "plain CNN on images": clone(pipeline).set_params(clf__resampler=None),
        "balanced random forest": BalancedRandomForestClassifier(
            sampling_strategy="all", replacement=True, bootstrap=False, random_state=0
        ),
        "logistic regression": Pipeline(
            [("scale", StandardScaler()), ("clf", LogisticRegression(class_weight="balanced"))]
        ),
    }
    record: dict[str, Any] = {
        "class_counts": [dict(zip(*_counts(y[train]), strict=True)) for train, _ in folds],
        "results": [],
    }
    for name, method in methods.items():
        start = time.perf_counter()
        scores = cross_validate(method, X, y, cv=folds, scoring=SCORING, return_estimator=True)
        result = {"method": name} | {
            metric: scores[f"test_{metric}"].tolist() for metric in SCORING
        }
        record["results"].append(result | {"seconds": round(time.perf_counter() - start, 1)})
        if method is search:
            fitted = scores["estimator"]
            last_epoch = pipeline["clf"].max_epochs - 1
            record["deltas"] = list(deltas)
            record["inner_balanced_accuracy"] = [
                fold.cv_results_["mean_test_score"].tolist() for fold in fitted
            ]
            record["chosen_delta"] = [fold.best_params_["clf__delta"] for fold in fitted]
            record["noise_share_of_last_epoch"] = [
                float(fold.best_estimator_["clf"].epoch_plan(last_epoch).noise_share)
                for fold in fitted
            ]
    return record


def _counts(y: np.ndarray) -> tuple[list[str], list[int]]:
    classes, counts = np.unique(y, return_counts=True)
    return classes.tolist(), counts.tolist()


def table(record: dict) -> str:
    """Return the scores as text: mean and deviation over the outer folds, in percent."""
    lines = [" " * 24 + "balanced accuracy   geometric mean"]
    for result in record["results"]:
        cells = [
            f"{100 * np.mean(result[metric]):.1f} +- {100 * np.std(result[metric]):.1f}"
            for metric in SCORING
        ]
        lines.append(f"{result['method']:<24}{cells[0]:>17}{cells[1]:>17}")
    lines.append("chosen delta, by fold:  " + " ".join(f"{d:.2f}" for d in record["chosen_delta"]))
    return "\n".join(lines)


def end_at_once_when_asked() -> None:
    """Let Ctrl-C and SIGTERM end the script; left to the classifier, they would end one fit."""

    def stop(number: int, frame: FrameType | None) -> None:
        print("Stopped. Nothing was written: the record needs all folds.", file=sys.stderr)
        sys.exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def main(
    make_pipeline: Callable[[int], Pipeline],
    script: str,
    packages: tuple[str, ...],
    argv: list[str] | None = None,
) -> None:
    """Compare, print, and write the record where asked."""
    parser = argparse.ArgumentParser(description=f"{script}: see its first lines.")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the results")
    args = parser.parse_args(argv)
    record = {
        "command": f"python examples/{script}",
        "arguments": {"epochs": args.epochs, "folds": args.folds},
        "versions": {name: version(name) for name in (*packages, *PACKAGES)}
        | {"python": platform.python_version()},
        "threads": torch.get_num_threads(),
        **compare(make_pipeline(args.epochs), args.folds),
    }
    print(table(record))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + "\n")
