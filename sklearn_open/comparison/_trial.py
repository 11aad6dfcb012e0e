"""One fit on one fold, measured, and kept: a comparison that was ended goes on behind it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_open._inputs.door import some_rows
from sklearn_open._persistence.fingerprint import machine_facts
from sklearn_open._persistence.kept_fits import kept_fit
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.comparison._candidates import Candidate, last_step_of
from sklearn_open.comparison._folds import Fold
from sklearn_open.comparison._measures import FoldMeasures, measure

__all__ = ["Trials", "fitted", "nets_of"]


@dataclass(frozen=True)
class Trials:
    """What all fits of a comparison have in common.

    Attributes
    ----------
    X, y
        All rows, and their labels.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    folds : list of (ndarray, ndarray)
        Rows to train and to test on.
    scoring : str or callable
        What methods are chosen by.
    shared : str or None
        Folder in which fits find the epochs that they have in common.
    kept : str or None
        Folder in which results are kept.
    rows_key : str
        Digest of all rows and their labels.
    """

    X: Any
    y: np.ndarray
    classes: np.ndarray
    folds: list[Fold]
    scoring: Any
    shared: str | None
    kept: str | None
    rows_key: str

    def run(self, group: Sequence[Candidate], fold: int) -> list[FoldMeasures]:
        """Return what candidates that share a fit reach on a fold, from the folder if it is there.

        Raises
        ------
        KeyboardInterrupt
            When Ctrl-C has ended the fit; nothing of it is kept but the epochs that are shared.
        """

        def what() -> list[Any]:
            corrections = [candidate.logit_adjustment for candidate in group]
            rows = [part.tolist() for part in self.folds[fold]]
            return [group[0].key(without_correction=True), corrections, rows]

        try:
            found: list[FoldMeasures] = self.keep(
                what, group[0], lambda: self._measured(group, fold)
            )
        except Exception as error:  # the others go on; nothing of it is kept
            note = f"no score on some folds: {type(error).__name__}: {error}"
            return [FoldMeasures.failed(len(self.classes), note) for _ in group]
        return found

    def keep(self, what: Callable[[], Any], candidate: Candidate, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, from the folder where results are kept if it lies there.

        Parameters
        ----------
        what : callable
            Returns what it is told apart by, besides rows and machine.
        candidate : Candidate
            Of it the device counts.
        make : callable
        """
        if self.kept is None:
            return make()
        net = last_step_of(candidate.estimator)
        facts = {
            "what": what(),
            "rows": self.rows_key,
            "scoring": self.scoring,
            "machine": machine_facts(getattr(net, "estimator", net).device_),
        }
        return kept_fit(self.kept, facts, make)

    def _measured(self, group: Sequence[Candidate], fold: int) -> list[FoldMeasures]:
        train, test = self.folds[fold]
        whole = _knowing_all(group[0].estimator, self.y[train], self.classes)
        with _noted() as notes:
            estimator = fitted(whole, some_rows(self.X, train), self.y[train], self.shared)
        X_test, y_test = some_rows(self.X, test), self.y[test]
        nets = nets_of(estimator)
        seconds = sum(float(epoch["dur"]) for net in nets for epoch in net.history)
        results = []
        for candidate in group:
            if len(group) > 1:
                last_step_of(estimator).set_params(logit_adjustment=candidate.logit_adjustment)
            start = time.perf_counter()
            score, confusion, ranking = measure(
                estimator, X_test, y_test, self.classes, self.scoring
            )
            took = time.perf_counter() - start
            n_epochs = sum(len(net.history) for net in nets)
            measured = (score, confusion, ranking, seconds, took, n_epochs, tuple(notes))
            results.append(FoldMeasures(*measured))
        return results


def fitted(estimator: Any, X: Any, y: Any, shared: str | None, *, silent: bool = True) -> Any:
    """Return a fitted copy of an estimator.

    Parameters
    ----------
    estimator : estimator
        Not changed.
    X, y
        Rows to train on.
    shared : str or None
        As `memory`, where the estimator has none of its own.
    silent : bool, default=True
        Whether it prints nothing.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C has ended it.
    """
    estimator = clone(estimator)
    last = last_step_of(estimator)
    own = last.memory
    if own is None and shared is not None:
        last.set_params(memory=shared)
    if silent:
        for name in ("verbose", "estimator__verbose", "final_estimator__verbose"):
            if name in last.get_params():
                last.set_params(**{name: 0})
    estimator.fit(X, y)
    if getattr(last, "interrupted_", False):
        raise KeyboardInterrupt
    last.set_params(memory=own)  # the folder is this comparison's
    return estimator


def nets_of(estimator: Any) -> list[OPeNClassifier]:
    """Return the classifiers that were trained for a fitted estimator: its stages, its teacher."""
    last = last_step_of(estimator)
    stages = [getattr(last, name, None) for name in ("first_stage_", "final_estimator_")]
    nets = [net for net in stages if net is not None] or [last]
    teachers = [getattr(net, "own_teacher_", None) for net in nets]
    return [net for net in [*nets, *teachers] if isinstance(net, OPeNClassifier)]


@contextmanager
def _noted() -> Iterator[list[str]]:
    """Collect what users are warned of, which is told once for all fits, not by each process."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield notes
    notes += dict.fromkeys(
        str(one.message) for one in caught if issubclass(one.category, UserWarning)
    )


def _knowing_all(estimator: Any, y: np.ndarray, classes: np.ndarray) -> Any:
    """Return the estimator; told of all classes, if the rows lack some."""
    if np.array_equal(np.unique(y), classes):
        return estimator
    estimator = clone(estimator)
    last = last_step_of(estimator)
    name = "classes" if isinstance(last, OPeNClassifier) else "estimator__classes"
    if last.get_params()[name] is None:
        last.set_params(**{name: classes})
    return estimator
