"""Tabular to image with TINTOlib: a pipeline, searched over delta, against a balanced forest.

TINTO gives every column of a table a place in an image, near those of columns like it, and blurs
the values into their neighbourhood, so that a CNN can learn from a table. TINTOlib writes images to
a folder; a small transformer here reads them back, and stands between a scaler and OPeNClassifier
in one pipeline. A grid search chooses `delta`, the share of noise, inside of every outer fold.

The table is scikit-learn's breast cancer data (569 tumours, 30 columns). It is cut into five
stratified folds; of every training part only 24 of the 170 malignant tumours are kept (12 benign
ones to one malignant), while test parts stay whole, so that scores rest on 212 malignant tumours.
imbalanced-learn's BalancedRandomForestClassifier, and a logistic regression with balanced class
weights, get the same rows as a table. Nothing was tuned on these folds: the settings are those of
the quick start and of TINTO, but for a network of half the width, 16 pixels a side, not 20, to save
time, and blurring, without which pixels between the columns' own stay empty.

    pip install TINTOlib
    python examples/tabular_to_image_tinto.py --json results.json

takes two to three minutes on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from imblearn.datasets import make_imbalance
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.metrics import geometric_mean_score
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from TINTOlib.tinto import TINTO

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN

DELTAS = (0, 1 / 6, 1 / 3, 1 / 2)
N_MALIGNANT = 24  # what is left of them in a training part
SCORING = {
    "balanced_accuracy": "balanced_accuracy",
    "geometric_mean": make_scorer(geometric_mean_score),
}


class TintoImages(TransformerMixin, BaseEstimator):
    """Table (n, n_features) to images (n, pixels, pixels), by way of a temporary folder.

    TINTOlib's classes take data frames, write one file per row and return nothing. Format "npy"
    keeps the values as they are; "png" would round them and make three colour channels.
    """

    def __init__(self, pixels: int = 16, random_state: int = 0):
        self.pixels = pixels
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the features: similar ones are near each other."""
        self.tinto_ = TINTO(
            problem="unsupervised",  # labels would only name folders
            transformer=None,  # the pipeline has a scaler
            pixels=self.pixels,
            blur=True,
            format="npy",
            random_seed=self.random_state,
        )
        self.tinto_.fit(pd.DataFrame(X))
        return self

    def transform(self, X):
        """Draw one image per row."""
        with tempfile.TemporaryDirectory() as folder:
            self.tinto_.transform(pd.DataFrame(X), folder)
            # names are row numbers with leading zeros: six digits, for up to a million rows
            files = sorted(Path(folder, "images").glob("*.npy"))
            return np.stack([np.load(file) for file in files])


def make_pipeline(epochs: int = 60) -> Pipeline:
    """Return scaler, image maker and classifier as one estimator."""
    clf = OPeNClassifier(
        SmallCNN,
        module__width=16,
        max_epochs=epochs,
        batch_size=64,
        start_epoch=0.5,
        lr_milestones=(0.5, 0.75),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
    )
    # Values beyond those of the training rows are clipped: pixels lie in [0, 1].
    return Pipeline([("scale", MinMaxScaler(clip=True)), ("image", TintoImages()), ("clf", clf)])


def make_search(epochs: int = 60, deltas: tuple[float, ...] = DELTAS) -> GridSearchCV:
    """Return the pipeline that chooses its share of noise itself."""
    return GridSearchCV(
        make_pipeline(epochs),
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


def compare(n_folds: int = 5, epochs: int = 60, deltas: tuple[float, ...] = DELTAS) -> dict:
    """Score all methods on the same folds and return what there is to know about it."""
    X, y = load()
    folds = imbalanced_folds(X, y, n_folds)
    search = make_search(epochs, deltas)
    methods = {
        "OPeN on images": search,
        "plain CNN on images": clone(search.estimator).set_params(clf__resampler=None),
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
            record["deltas"] = list(deltas)
            record["inner_balanced_accuracy"] = [
                fold.cv_results_["mean_test_score"].tolist() for fold in fitted
            ]
            record["chosen_delta"] = [fold.best_params_["clf__delta"] for fold in fitted]
            record["noise_share_of_last_epoch"] = [
                float(fold.best_estimator_["clf"].epoch_plan(epochs - 1).noise_share)
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


def main(argv: list[str] | None = None) -> None:
    """Compare, print, and write the record where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the results")
    args = parser.parse_args(argv)
    packages = (
        "TINTOlib",
        "pandas",
        "imbalanced-learn",
        "scikit-learn",
        "skorch",
        "torch",
        "numpy",
    )
    record = {
        "command": "python examples/tabular_to_image_tinto.py",
        "arguments": {"epochs": args.epochs, "folds": args.folds},
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
        "threads": torch.get_num_threads(),
        **compare(args.folds, args.epochs),
    }
    print(table(record))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
