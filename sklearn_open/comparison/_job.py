"""The fits of a comparison: in which order, how many at once, and what is printed on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from joblib import Parallel, delayed

from sklearn_open._warnings import warn_user
from sklearn_open.comparison._candidates import Candidate
from sklearn_open.comparison._measures import FoldMeasures
from sklearn_open.comparison._pace import measure_pace
from sklearn_open.comparison._plan import MARGIN, Plan, as_time, costs_in_order, make_plan
from sklearn_open.comparison._trial import Trials, fitted

__all__ = ["Job"]

OF_THE_PLAN = 0.2  # how much the plan counts, in shares of the work
Done = tuple[int, int, list[FoldMeasures]]


@dataclass(frozen=True)
class Job:
    """All fits of a comparison.

    Attributes
    ----------
    trials : Trials
        Rows and folds.
    groups : list of list of Candidate
        Each is one fit a fold.
    n_jobs : int
        Fits at once.
    seed : int
        Of the rows that are measured with.
    verbose : int
    """

    trials: Trials
    groups: Sequence[Sequence[Candidate]]
    n_jobs: int
    seed: int
    verbose: int

    def plan(self, minutes: float | None, n_folds: int | None, refit: bool) -> Plan:
        """Return how many folds and epochs it will be; measured once, where results are kept."""
        trials, first = self.trials, self.groups[0][0]

        def made() -> Plan:
            data = (trials.X, trials.y, self.seed, trials.scoring)
            precise = minutes is not None
            paces = [measure_pace(group[0], *data, precise=precise) for group in self.groups]
            seconds = None if minutes is None else 60 * minutes
            n_rows = len(trials.y)
            return make_plan(self.groups, paces, n_rows, seconds, n_folds, self.n_jobs, refit)

        def what() -> list[Any]:
            keys = [[candidate.key() for candidate in group] for group in self.groups]
            return ["plan", keys, minutes, n_folds, self.n_jobs, refit, self.seed]

        plan: Plan = trials.keep(what, first, made)
        if self.verbose:
            methods = sum(len(group) for group in self.groups)
            print(f"{methods} methods ({len(self.groups)} fits a fold), {plan}.", flush=True)
        return plan

    def run(self, plan: Plan) -> dict[str, list[FoldMeasures]]:
        """Return what every method reaches, by name, fold by fold."""
        n_folds = len(self.trials.folds)
        found: dict[str, list[Any]] = {
            candidate.name: [None] * n_folds for group in self.groups for candidate in group
        }
        left = _TimeLeft(costs_in_order(plan.works), n_folds, self.n_jobs)
        for group, fold, measures in self._done(n_folds):
            for candidate, measured in zip(self.groups[group], measures, strict=True):
                found[candidate.name][fold] = measured
            left.after(group)
            if self.verbose:
                self._tell(group, fold, measures, left)
        _pass_on_notes(found)
        return found

    def _done(self, n_folds: int) -> Iterator[Done]:
        """Yield results as they come.

        All folds of one method before the next: of fits at once none waits for epochs that another
        is training.
        """
        tasks = [(group, fold) for group in range(len(self.groups)) for fold in range(n_folds)]
        run = delayed(_run_one)
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")
        yield from parallel(run(self.trials, self.groups[g], g, fold) for g, fold in tasks)

    def _tell(self, group: int, fold: int, measures: list[FoldMeasures], left: _TimeLeft) -> None:
        scores = ", ".join(
            f"{candidate.name} {measured.score:.3f}"
            for candidate, measured in zip(self.groups[group], measures, strict=True)
        )
        print(f"  {left.counted}  fold {fold + 1}: {scores}  ({left})", flush=True)

    def refit(self, candidate: Candidate) -> Any:
        """Return a method fitted on all rows."""
        trials = self.trials
        if self.verbose:
            print(f"Training {candidate.name} on all {len(trials.y)} images ...", flush=True)

        def fit() -> Any:
            return fitted(candidate.estimator, trials.X, trials.y, trials.shared, silent=False)

        return trials.keep(lambda: ["refit", candidate.key()], candidate, fit)


def _run_one(trials: Trials, group: Sequence[Candidate], number: int, fold: int) -> Done:
    return number, fold, trials.run(group, fold)


def _pass_on_notes(found: dict[str, list[FoldMeasures]]) -> None:
    """Warn of what fits warned of, each once, with the methods that it came up in."""
    methods: dict[str, dict[str, None]] = {}
    for name, of_folds in found.items():
        for note in (note for measured in of_folds for note in measured.notes):
            methods.setdefault(note, {})[name] = None
    for note, names in methods.items():
        warn_user(f"{', '.join(names)}: {note}")


class _TimeLeft:
    """The time that is left, by what the fits that are done have taken of what was expected."""

    def __init__(self, costs: Sequence[float], n_folds: int, n_jobs: int = 1) -> None:
        self._costs = costs
        self._expected = MARGIN * n_folds * sum(costs) / n_jobs
        self._all = n_folds * sum(self._costs)
        self._n = n_folds * len(self._costs)
        self._done, self._n_done = 0.0, 0
        self._start = time.perf_counter()

    def after(self, group: int) -> None:
        """Count a fit."""
        self._done += self._costs[group]
        self._n_done += 1

    @property
    def counted(self) -> str:
        """As "[3/15]"."""
        return f"[{self._n_done:{len(str(self._n))}}/{self._n}]"

    def __str__(self) -> str:
        if self._n_done == self._n:
            return "done"
        elapsed = time.perf_counter() - self._start
        share = self._done / self._all
        # The first fits begin with processes that start; until more are done the plan counts, too.
        whole = (elapsed + OF_THE_PLAN * self._expected) / (share + OF_THE_PLAN)
        return f"about {as_time(whole * (1 - share))} left"
