"""Tabular to image with pyDeepInsight: a pipeline, searched over delta, against a balanced forest.

pyDeepInsight's ImageTransformer gives every column of a table a pixel, near the pixels of columns
like it, so that a CNN can learn from a table. Here it stands between a scaler and OPeNClassifier in
one pipeline, and a grid search chooses `delta`, the share of noise, inside of every outer fold.

The table is scikit-learn's breast cancer data (569 tumours, 30 columns). It is cut into five
stratified folds; of every training part only 24 of the 170 malignant tumours are kept (12 benign
ones to one malignant), while test parts stay whole, so that scores rest on 212 malignant tumours.
imbalanced-learn's BalancedRandomForestClassifier, and a logistic regression with balanced class
weights, get the same rows as a table. Nothing was tuned on these folds: the network's settings are
those of the quick start.

    pip install "pyDeepInsight[cam]"      # it cannot be imported without its extra
    python examples/tabular_to_image_deepinsight.py --json results.json

takes about two minutes on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.metrics import geometric_mean_score
from pyDeepInsight import ImageTransformer
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_open import OPeNClassifier

DELTAS = (0, 1 / 6, 1 / 3, 1 / 2)
N_MALIGNANT = 24  # what is left of them in a training part
SCORING = {
    "balanced_accuracy": "balanced_accuracy",
    "geometric_mean": make_scorer(geometric_mean_score),
}


class DeepInsight(TransformerMixin, BaseEstimator):
    """Table (n, n_features) to images (n, pixels, pixels), each feature at a pixel of its own.

    A thin face on ImageTransformer, which cannot be a step of a pipeline itself: its fit_transform
    takes no y, and it has no parameters to get, set or clone.
    """

    def __init__(self, pixels: int = 8, perplexity: float = 5, random_state: int | None = 0):
        self.pixels = pixels
        self.perplexity = perplexity
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the features: similar ones are near each other."""
        embedding = TSNE(
            metric="cosine", perplexity=self.perplexity, random_state=self.random_state
        )
        # "lsa", linear sum assignment: no two features share a pixel
        transformer = ImageTransformer(embedding, discretization="lsa", pixels=self.pixels)
        self.transformer_ = transformer.fit(np.asarray(X))
        return self

    def transform(self, X):
        """Write the values of every row to their pixels; pixels without a feature are 0."""
        return self.transformer_.transform(np.asarray(X), img_format="scalar")


def make_pipeline(epochs: int = 60) -> Pipeline:
    """Return scaler, image maker and classifier as one estimator."""
    clf = OPeNClassifier(
        max_epochs=epochs,
        batch_size=64,
        start_epoch=0.5,
        lr_milestones=(0.5, 0.75),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
    )
    # Values beyond those of the training rows are clipped: pixels lie in [0, 1].
    return Pipeline([("scale", MinMaxScaler(clip=True)), ("image", DeepInsight()), ("clf", clf)])


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
    packages = ("pyDeepInsight", "imbalanced-learn", "scikit-learn", "skorch", "torch", "numpy")
    record = {
        "command": "python examples/tabular_to_image_deepinsight.py",
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
