"""A search with Optuna: trials that lag behind are ended early, and share their first epochs.

Optuna proposes values (ask), a fit on one split is scored after every epoch, and the trial is told
how it ended (tell): whole, or pruned after some epochs. `memory=` keeps the epochs before
`start_epoch`, so that all trials of one learning rate train them once; pruning begins behind them.
Any number of processes may run this with the same `--storage` and `--memory` (fifteen seconds):

    python examples/search_optuna.py
    python examples/search_optuna.py --storage sqlite:///search.db --memory shared --trials 20
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed

SCORE = "valid_balanced_accuracy"


class Pruning(Callback):
    """Reports a score of every epoch to a trial, and ends the fit if others were ahead by then.

    What `memory=` keeps of callbacks, fits have in common; a trial is of one fit. So it is neither
    a parameter (an attribute without an underscore at the end) nor part of the state.
    """

    def __init__(self, trial: optuna.Trial, score: str = SCORE) -> None:
        self.trial_ = trial
        self.score = score

    def __getstate__(self) -> dict[str, Any]:
        return {"score": self.score}

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        epoch = len(net.history)
        self.trial_.report(net.history[-1, self.score], epoch)
        if self.trial_.should_prune():
            raise optuna.TrialPruned(f"pruned after epoch {epoch}")


def run(trial: optuna.Trial, data: list, memory: str, epochs: int) -> float:
    """Train with the values of a trial, and return the score of the last epoch."""
    X, X_valid, y, y_valid = data
    clf = OPeNClassifier(
        lr=trial.suggest_categorical("lr", [0.02, 0.1]),
        delta=trial.suggest_float("delta", 0, 0.6),
        noise_grad=trial.suggest_categorical("noise_grad", ["head", "all"]),
        max_epochs=epochs,
        start_epoch=0.5,
        batch_size=32,
        train_split=predefined_split(Dataset(X_valid, y_valid)),
        callbacks=[
            EpochScoring("balanced_accuracy", lower_is_better=False, name=SCORE),
            Pruning(trial),
        ],
        memory=memory,
        random_state=0,
        verbose=0,
    )
    clf.fit(X, y)
    return float(balanced_accuracy_score(y_valid, clf.predict(X_valid)))


def search(study: optuna.Study, n_trials: int, **settings: Any) -> None:
    """Ask and tell: what `study.optimize` does, with the loop in your hands."""
    for _ in range(n_trials):
        trial = study.ask()
        try:
            study.tell(trial, run(trial, **settings))
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def main(argv: Sequence[str] | None = None) -> None:
    """Search, and print every trial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", help="where processes share their trials; None is this one")
    parser.add_argument("--memory", help="folder in which they share epochs")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    digits = load_digits()
    X, X_valid, y, y_valid = train_test_split(
        digits.images, digits.target, test_size=0.3, stratify=digits.target, random_state=0
    )
    X, y = make_long_tailed(X, y, imbalance_ratio=20)
    study = optuna.create_study(
        storage=args.storage,
        study_name="open",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        # Trials have the epochs before start_epoch in common: nothing is to be compared there.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=args.epochs // 2 + 1),
    )
    with tempfile.TemporaryDirectory() as scratch:
        data, memory = [X, X_valid, y, y_valid], args.memory or scratch
        search(study, args.trials, data=data, memory=memory, epochs=args.epochs)
        n_phases = len(list(Path(memory).glob("phase-*.lock")))
    for trial in study.trials:
        reached = max(trial.intermediate_values, default=0)
        score = trial.intermediate_values.get(reached, float("nan"))
        print(f"{trial.number:3} {trial.state.name:9} epoch {reached:3} {score:.3f} {trial.params}")
    print(f"epochs before start_epoch were trained {n_phases} times")
    print(f"best: {study.best_value:.3f} {study.best_params}")


if __name__ == "__main__":
    main()
