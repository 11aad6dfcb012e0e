"""How long epochs of a method take here: a few steps of each, before anything is trained."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring

from sklearn_open._inputs.door import some_rows
from sklearn_open._training.budget import auto_batch_size
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.comparison._candidates import Candidate, last_step_of
from sklearn_open.comparison._trial import fitted, nets_of

__all__ = ["Pace", "batch_rows", "measure_pace"]

N_BATCHES = 2  # in an epoch; more, if these take no time
MORE, ENOUGH = 8, 0.25  # times as many; seconds that can be measured
SETTINGS = {
    **{"max_epochs": 3, "start_epoch": 2, "warmup_epochs": 0, "lr_milestones": ()},
    **{"callbacks": None, "train_split": None, "averaging": None},
}
PER_CLASS = 2


@dataclass(frozen=True)
class Pace:
    """Seconds that a row takes.

    Attributes
    ----------
    before : float
        In an epoch before `start_epoch`.
    after : float
        In an epoch from `start_epoch` on.
    second : float
        In an epoch of a second stage; 0 of methods that have none.
    """

    before: float
    after: float
    second: float = 0.0


def measure_pace(
    candidate: Candidate,
    X: Any,
    y: np.ndarray,
    seed: int,
    scoring: Any = "accuracy",
    *,
    precise: bool = False,
) -> Pace:
    """Train a method for three short epochs.

    What it cannot be trained with comes up here, not after hours of training other methods.

    Parameters
    ----------
    candidate : Candidate
    X, y
        Rows, of which a few of each class are taken.
    seed : int
        Chooses them.
    scoring : str or callable, default="accuracy"
        What is tried on the result.
    precise : bool, default=False
        Whether epochs that are too fast to measure are made longer.

    Raises
    ------
    ValueError
        For a method that cannot be trained, with its name; for scores that cannot be had.
    """
    pace, seconds = _measured(candidate, X, y, seed, scoring, N_BATCHES)
    if precise and seconds < ENOUGH:
        pace, _ = _measured(candidate, X, y, seed, scoring, MORE * N_BATCHES)
    return pace


def _measured(
    candidate: Candidate, X: Any, y: np.ndarray, seed: int, scoring: Any, n_batches: int
) -> tuple[Pace, float]:
    """Return the pace, and the seconds of an epoch that it was measured by."""
    estimator = clone(candidate.estimator)
    last = last_step_of(estimator)
    two_stages = not isinstance(last, OPeNClassifier)
    size = batch_rows((last.estimator if two_stages else last).batch_size, len(y))
    rows = _some_rows(y, n_batches * size, seed)
    prefix = "estimator__" if two_stages else ""
    settings = {**SETTINGS, "batch_size": size}
    last.set_params(**{f"{prefix}{name}": value for name, value in settings.items()})
    if two_stages and last.final_estimator is not None:
        last.set_params(final_estimator__max_epochs=2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so short a training
            result = fitted(estimator, some_rows(X, rows), y[rows], None)
    except Exception as error:
        raise ValueError(
            f"The method {candidate.name!r} cannot be trained here. {error}"
        ) from error
    _check_scores(result, some_rows(X, rows), y[rows], scoring)
    nets = nets_of(result)
    seconds = [[float(epoch["dur"]) / len(rows) for epoch in one.history] for one in nets]
    second = seconds[1][-1] if len(nets) > 1 else 0.0
    return Pace(seconds[0][1], seconds[0][2], second), seconds[0][1] * len(rows)


def _check_scores(estimator: Any, X: Any, y: np.ndarray, scoring: Any) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            float(check_scoring(estimator, scoring=scoring)(estimator, X, y))
    except Exception as error:
        raise ValueError(
            f"scoring={scoring!r} does not go with these labels, of {len(np.unique(y))} classes. "
            "Scores for several classes are called 'balanced_accuracy', 'f1_macro', "
            f"'roc_auc_ovr' and the like. It said: {error}"
        ) from error


def batch_rows(batch_size: Any, n_rows: int) -> int:
    """Return how many rows a batch of a training has."""
    size = auto_batch_size(n_rows) if batch_size == "auto" else batch_size
    return n_rows if size == -1 else int(size)


def _some_rows(y: np.ndarray, n_rows: int, seed: int) -> np.ndarray:
    """Return rows drawn at random, with a few of each class among them."""
    order = np.random.RandomState(seed).permutation(len(y))
    of_each = [order[y[order] == label][:PER_CLASS] for label in np.unique(y)]
    chosen = np.unique(np.concatenate([*of_each, order[: max(0, n_rows)]]))
    return order[np.isin(order, chosen)]
