"""Which method for these images: methods trained and tested on the same folds."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_memory, column_or_1d

from sklearn_open._checks import is_number
from sklearn_open._inputs.door import own_labels
from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._persistence.fingerprint import hash_of, rows_digest
from sklearn_open._training.training_set import take_in
from sklearn_open._warnings import warn_user
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.comparison._candidates import (
    DEFAULT_METHODS,
    Candidate,
    last_step_of,
    make_candidates,
    that_share_a_fit,
)
from sklearn_open.comparison._copies import tell_of_copies
from sklearn_open.comparison._folds import make_folds
from sklearn_open.comparison._job import Job
from sklearn_open.comparison._plan import FOLDS, with_share
from sklearn_open.comparison._result import MethodComparison
from sklearn_open.comparison._trial import Trials
from sklearn_open.datasets import ListedImages

__all__ = ["compare_methods"]


def compare_methods(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    methods: Any = DEFAULT_METHODS,
    cv: Any = None,
    groups: Any = None,
    scoring: Any = "balanced_accuracy",
    minutes: float | None = None,
    refit: bool = True,
    memory: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> MethodComparison:
    """Compare methods for imbalanced images on the same folds, and say what can be told apart.

    Every method trains the same network from the same initial weights on the same rows. What
    methods have in common is trained once a fold: the epochs before `start_epoch`, and fits that
    differ by a correction of predictions alone.

    Parameters
    ----------
    estimator : OPeNClassifier or Pipeline
        What all methods have in common: network, augmentation, schedule. Not changed. A pipeline
        ends in an `OPeNClassifier`.
    X : array-like, torch.Tensor, data frame or data set
        Images, as for `OPeNClassifier.fit`; for a pipeline, what it takes.
    y : array-like of shape (n,) or None, default=None
        Labels; None takes those of a data set.
    methods : "all" or sequence, default=DEFAULT_METHODS
        Names of `sklearn_open.recipes.list_methods`; pairs (name, parameters), as ``("open",
        {"delta": 0.5})``, whose parameters take the place of the method's or join them; or pairs of
        a name of one's own and parameters, which are set on `estimator` as it is. The default is
        plain training and five that share its epochs: "erm", "logit_adjusted", "drs", "open",
        "deferred_balanced_softmax", and OPeN corrected by half of the prior.
    cv : int, splitter, iterable or None, default=None
        Folds, as for scikit-learn's searches. A number of folds are stratified, shuffled, and with
        `groups` keep these together. None is 5, or, with `minutes`, or 3 where there is no time
        for so many.
    groups : array-like of shape (n,) or None, default=None
        Rows of one group (pictures of one object, of one patient) are never trained on and tested
        at once.
    scoring : str or callable, default="balanced_accuracy"
        What methods are compared by, as in scikit-learn; greater is better.
    minutes : float or None, default=None
        How long all of it may take. A few steps of each method are measured, and folds and
        `max_epochs` chosen to fit; `plan_` says which. Nothing is cut off: it is a plan.
    refit : bool, default=True
        Whether the best method is trained on all rows, as `best_estimator_`.
    memory : None, str, path or joblib.Memory, default=None
        Folder in which shared epochs, teachers and results are kept. A comparison that was ended
        in whatever way goes on from it when called again, to the same table. None shares epochs
        while it runs, and keeps nothing. Data sets that are read while training share no epochs.
    n_jobs : int or None, default=None
        Fits at once, each in a process of its own, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Shuffles folds, and takes the place of the estimator's where that is None. None takes the
        estimator's; with `memory`, and none there either, 0.
    verbose : int, default=0
        1 prints the plan, and a line for each fit with the time that is left.

    Returns
    -------
    MethodComparison
        Prints as a table with what can be said of it.

    Raises
    ------
    TypeError, ValueError
        For arguments that do not go together, before anything is trained; for a method that cannot
        be trained with this network or these images, after a few steps of it.
    KeyboardInterrupt
        When Ctrl-C has ended it; with `memory` the same call goes on.

    Warns
    -----
    UserWarning
        When copies of images are on both sides of a split, exact ones or near ones, and when folds
        lack a class.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52,
       2003.
    .. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
       of Statistics 6, 1979.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.comparison import compare_methods
    >>> from sklearn_open.datasets import make_long_tailed
    >>> digits = load_digits()
    >>> X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=10)
    >>> clf = OPeNClassifier(max_epochs=4, start_epoch=0.5, random_state=0, verbose=0)
    >>> found = compare_methods(clf, X, y, methods=["erm", "drs"], cv=3, refit=False)
    >>> found.scores_.shape
    (2, 3)
    """
    minutes = _checked_minutes(minutes)
    if random_state is None:
        random_state = getattr(last_step_of(estimator), "random_state", None)
    if random_state is None and memory is not None:
        random_state = 0  # or nothing that is kept would be found again
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    estimator = _with_seed(estimator, seed)
    candidates = make_candidates(estimator, methods)
    if not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(f"scoring={scoring!r}: pass one name of scikit-learn's, or one callable.")
    check_scoring(estimator, scoring=scoring)
    y = column_or_1d(own_labels(X, y), warn=True)
    rows = _in_internal_form(estimator, X, y)
    fixed = minutes is None or cv is not None
    folds = make_folds(y, cv if fixed else FOLDS[-1], groups, seed)  # or it says what is wrong
    with ExitStack() as at_end:
        places = _Places.of(memory, rows, candidates, at_end)
        trials = Trials(
            *(X, y, np.unique(y), folds, scoring),
            shared=places.shared,
            kept=places.kept,
            rows_key="" if places.kept is None else _digest(rows, X, y),
        )
        job = Job(trials, that_share_a_fit(candidates), effective_n_jobs(n_jobs), seed, verbose)
        plan = job.plan(minutes, len(folds) if fixed else None, refit)
        if not fixed:
            trials = replace(trials, folds=make_folds(y, plan.n_folds, groups, seed))
        n_rows = len(y) * (plan.n_folds - 1) // plan.n_folds
        candidates = [with_share(one, plan.share, n_rows) for one in candidates]
        copies = None if rows is None else tell_of_copies(rows.X, y, trials.folds, groups)
        job = replace(job, trials=trials, groups=that_share_a_fit(candidates))
        measures = job.run(plan)
        counts = np.array([np.count_nonzero(y == label) for label in trials.classes])
        result = MethodComparison(
            candidates,
            [measures[candidate.name] for candidate in candidates],
            trials.folds,
            trials.classes,
            counts,
            scoring,
        )
        result.plan_ = plan
        if copies is not None:
            result.copies_, result.copy_pairs_ = copies
        if refit:
            result.best_estimator_ = job.refit(candidates[result.best_index_])
    return result


def _checked_minutes(minutes: Any) -> float | None:
    if minutes is None:
        return None
    if not is_number(minutes) or not 0 < minutes < np.inf:
        raise ValueError(f"minutes={minutes!r}: pass a number above 0, or None for no limit.")
    return float(minutes)


def _with_seed(estimator: Any, seed: int) -> Any:
    """Return a copy whose fits are the same whenever they are made."""
    estimator = clone(estimator)
    last = last_step_of(estimator)
    if getattr(last, "random_state", None) is None and isinstance(last, OPeNClassifier):
        last.set_params(random_state=seed)
    return estimator


def _in_internal_form(estimator: Any, X: Any, y: Any) -> ImageDataset | None:
    """Return rows as a fit would take them, and refuse what it would refuse; None of pipelines."""
    if isinstance(estimator, Pipeline):
        return None
    return take_in(clone(estimator), X, y, goes_on=False)


@dataclass(frozen=True)
class _Places:
    """Folders: where fits find what they have in common, and where results are kept."""

    shared: str | None
    kept: str | None

    @classmethod
    def of(
        cls, memory: Any, rows: ImageDataset | None, candidates: list[Candidate], at_end: ExitStack
    ) -> _Places:
        memory = check_memory(str(memory) if isinstance(memory, Path) else memory)
        kept = None if memory.location is None else str(memory.location)
        if rows is not None and isinstance(rows.X, LazyImages):
            return cls(None, kept)  # such rows are not compared
        if kept is not None:
            return cls(kept, kept)
        try:
            for candidate in candidates:
                candidate.key()
        except ValueError as error:
            warn_user(
                f"Every method trains alone, as epochs are not shared with such parameters. {error}"
            )
            return cls(None, None)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return cls(at_end.enter_context(folder), None)


def _digest(rows: ImageDataset | None, X: Any, y: Any) -> str:
    """Return a digest of all rows.

    Raises
    ------
    ValueError
        For data sets, of which only the files of a `ListedImages` can be compared.
    """
    if rows is None:
        return hash_of([X, y])
    if not isinstance(rows.X, LazyImages):
        return rows_digest(rows)
    if not isinstance(X, ListedImages):
        raise ValueError(
            f"memory= keeps results under a digest of the images, and a {type(X).__name__} is read "
            "while training. Pass an array, the images of list_image_folder, or memory=None."
        )
    return hash_of([X.fingerprint(), y])
