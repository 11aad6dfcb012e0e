"""How many folds and epochs fit into the time that there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from sklearn_open._checks import is_whole
from sklearn_open._parameters.table import component, names_where, parameter
from sklearn_open._training.budget import auto_epochs
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.comparison._candidates import Candidate, last_step_of
from sklearn_open.comparison._pace import Pace, batch_rows
from sklearn_open.losses._deferred import DeferredLoss
from sklearn_open.losses._names import find_loss
from sklearn_open.over_sampling._m2m import M2mOverSampler
from sklearn_open.plan import resolve_epoch

__all__ = [
    "MARGIN",
    "Plan",
    "Work",
    "as_time",
    "costs_in_order",
    "epochs_for",
    "make_plan",
    "with_share",
    "work_of",
]

FOLDS = (5, 3)  # of these as many as the time is enough for
LEAST_STEPS = 100  # of a training; fewer tell nothing
MARGIN = 1.2  # of the time: predictions, reading, what a few steps cannot show
START = 10.0  # seconds until processes work


@dataclass(frozen=True)
class Work:
    """What one fit on one fold costs, in seconds.

    Attributes
    ----------
    shared : str
        Name of the epochs that other fits have in common with it.
    before : float
        Of these.
    after : float
        Of all that it trains besides.
    """

    shared: str
    before: float
    after: float


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes
    ----------
    n_folds : int
    max_epochs : int
        Of the first method.
    wanted_epochs : int
        As many as it would be, had there been time.
    seconds : float
        That all of it is expected to take.
    share : float
        Of their epochs that methods train, in all stages; 1 for all.
    works : tuple of Work
        What each fit costs on a fold.
    """

    n_folds: int
    max_epochs: int
    wanted_epochs: int
    seconds: float
    share: float = 1.0
    works: tuple[Work, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, for JSON."""
        names = ("n_folds", "max_epochs", "wanted_epochs", "seconds", "share")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        of_wanted = f" (of {self.wanted_epochs} that it would be)" if self.share < 1 else ""
        return (
            f"{self.n_folds} folds, {self.max_epochs} epochs{of_wanted}: about "
            f"{as_time(self.seconds)}"
        )


def as_time(seconds: float) -> str:
    """Return a time as it is said: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def first_of(candidate: Candidate) -> OPeNClassifier:
    """Return the classifier that trains, or that trains first."""
    last = last_step_of(candidate.estimator)
    net: OPeNClassifier = last if isinstance(last, OPeNClassifier) else last.estimator
    return net


def epochs_for(net: OPeNClassifier, n_rows: int) -> int:
    """Return for how many epochs a classifier trains on a number of rows."""
    if net.max_epochs != "auto":
        return int(net.max_epochs)
    return auto_epochs(n_rows, batch_rows(net.batch_size, n_rows))


def with_share(candidate: Candidate, share: float, n_rows: int) -> Candidate:
    """Return a candidate that trains a share of its epochs, in all stages, in proportion.

    Parameters
    ----------
    candidate : Candidate
    share : float
        At most 1, which changes nothing.
    n_rows : int
        What it trains on.
    """
    if share >= 1:
        return candidate
    estimator = clone(candidate.estimator)
    last = last_step_of(estimator)
    if isinstance(last, OPeNClassifier):
        last.set_params(**_cut(last, share, n_rows))
    else:
        for stage in ("estimator", "final_estimator"):
            net = getattr(last, stage)
            if net is not None:
                cut = _cut(net, share, n_rows)
                last.set_params(**{f"{stage}__{name}": value for name, value in cut.items()})
    return replace(candidate, estimator=estimator)


def _cut(net: OPeNClassifier, share: float, n_rows: int) -> dict[str, Any]:
    """Return fewer epochs, and with them whatever is a number of epochs; shares stretch alone."""
    cut: dict[str, Any] = {"max_epochs": max(1, int(epochs_for(net, n_rows) * share))}
    params = net.get_params(deep=False)
    for name in names_where(in_epochs=True):
        value = params[name]
        if isinstance(value, (list, tuple)):
            cut[name] = tuple(round(one * share) if is_whole(one) else one for one in value)
        elif is_whole(value):
            cut[name] = round(value * share)
    return cut


def work_of(candidate: Candidate, pace: Pace, n_rows: int) -> Work:
    """Return what a fit on some rows costs."""
    net, last = first_of(candidate), last_step_of(candidate.estimator)
    n_epochs = epochs_for(net, n_rows)
    start = min(n_epochs, resolve_epoch(net.start_epoch, n_epochs))
    after = (n_epochs - start) * pace.after
    sampler = net.resampler
    is_m2m = isinstance(sampler, M2mOverSampler) or sampler is M2mOverSampler
    if is_m2m and getattr(sampler, "teacher", None) is None:
        after += n_epochs * pace.before  # it trains its teacher
    second = getattr(last, "final_estimator", None)
    if second is not None:
        after += epochs_for(second, n_rows) * pace.second
    return Work(_shared_key(net), n_rows * start * pace.before, n_rows * after)


def _shared_key(net: OPeNClassifier) -> str:
    """Return a name for what the epochs before `start_epoch` depend on, as far as times go."""
    params = net.get_params(deep=False)
    criterion = find_loss(net.criterion)
    if criterion is DeferredLoss:
        criterion = find_loss(params.get("criterion__early", "cross_entropy"))
    network = {n: v for n, v in params.items() if component(n) == "module"}
    same = {n: v for n, v in params.items() if parameter(n).shared}
    return repr([sorted(same.items()), sorted(network.items()), net.start_epoch, criterion])


def costs_in_order(works: Sequence[Work]) -> list[float]:
    """Return the seconds of each fit on a fold; epochs in common are the first's."""
    seen: set[str] = set()
    costs = []
    for work in works:
        costs.append(work.after + (0.0 if work.shared in seen else work.before))
        seen.add(work.shared)
    return costs


def make_plan(
    groups: Sequence[Sequence[Candidate]],
    paces: Sequence[Pace],
    n_rows: int,
    seconds: float | None,
    n_folds: int | None,
    n_jobs: int,
    refit: bool,
) -> Plan:
    """Return how many folds and epochs there is time for.

    Parameters
    ----------
    groups : list of list of Candidate
        Each trained once a fold.
    paces : list of Pace
        Of each group.
    n_rows : int
        All rows.
    seconds : float or None
        The time that there is; None for as long as it takes.
    n_folds : int or None
        Fixed, or to be chosen.
    n_jobs : int
        Fits at once.
    refit : bool
        Whether one more is trained on all rows.

    Raises
    ------
    ValueError
        Where the time is not enough for trainings that tell anything.
    """
    start = START if n_jobs > 1 else 0.0

    def plan(folds: int, share: float) -> Plan:
        rows = n_rows * (folds - 1) // folds
        cut = [with_share(group[0], share, rows) for group in groups]
        works = [work_of(one, pace, rows) for one, pace in zip(cut, paces, strict=True)]
        spent = folds * sum(costs_in_order(works)) / max(1, min(n_jobs, folds))
        if refit:
            spent += max(work.before + work.after for work in works) * n_rows / rows
        epochs, wanted = (epochs_for(first_of(one), rows) for one in (cut[0], groups[0][0]))
        return Plan(folds, epochs, wanted, MARGIN * spent + start, share, tuple(works))

    choices = FOLDS if n_folds is None else (n_folds,)
    whole = [plan(folds, 1.0) for folds in choices]
    if seconds is None:
        return whole[0]
    for one in whole:
        if one.seconds <= seconds:
            return one
    fewest = whole[-1]
    cut = plan(fewest.n_folds, _step_below(max(0.0, seconds - start) / (fewest.seconds - start)))
    _check_enough(cut, first_of(groups[0][0]), n_rows, seconds)
    return cut


def _step_below(share: float) -> float:
    """Return the largest of 1, 0.71, 0.5, 0.35, ... that is no larger.

    In so coarse steps the same command mostly plans the same, though no two measurements are equal.
    """
    if share <= 0:
        return 0.0
    return min(1.0, 2.0 ** (math.floor(2 * math.log2(share) + 1e-9) / 2))


def _check_enough(plan: Plan, net: Any, n_rows: int, seconds: float) -> None:
    rows = n_rows * (plan.n_folds - 1) // plan.n_folds
    steps = plan.max_epochs * max(1, -(-rows // batch_rows(net.batch_size, rows)))
    if steps < min(LEAST_STEPS, plan.wanted_epochs):
        needed = seconds * LEAST_STEPS / max(1, steps)
        raise ValueError(
            f"In {as_time(seconds)} there is time for trainings of {steps} steps, and after fewer "
            f"than {LEAST_STEPS} nothing can be told. Give it {as_time(needed)} or more, or "
            "compare fewer methods, on smaller images, or with a smaller network."
        )
