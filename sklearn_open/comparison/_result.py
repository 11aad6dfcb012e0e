"""What a comparison has found: scores, differences, the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from sklearn_open.comparison._candidates import Candidate
from sklearn_open.comparison._folds import Fold
from sklearn_open.comparison._measures import MEASURES, FoldMeasures
from sklearn_open.comparison._sentences import note, sentences, table
from sklearn_open.comparison._statistics import (
    PairedDifference,
    corrected_standard_error,
    holm,
    paired_difference,
)
from sklearn_open.metrics._groups import equal_groups, mean_of_known

__all__ = ["MethodComparison"]

FEW_CLASSES = 8  # each is shown by name


class MethodComparison:
    """What `compare_methods` has found.

    Prints as a table with what can, and what cannot, be said of it.

    Parameters
    ----------
    candidates : list of Candidate
        Methods.
    measures : list of list of FoldMeasures
        Of each method, on each fold.
    folds : list of (ndarray, ndarray)
        Rows that were trained and tested on.
    classes : ndarray of shape (n_classes,)
        Labels.
    class_count : ndarray of shape (n_classes,)
        Images of each class.
    scoring : str or callable
        What methods were chosen by.

    Attributes
    ----------
    methods_ : list of str
        Names, in the order in which they were given.
    scores_ : ndarray of shape (n_methods, n_folds)
        By `scoring`, in the units of the scorer.
    measures_ : dict of str to ndarray of shape (n_methods, n_folds)
        "balanced_accuracy", "macro_f1", "accuracy" (each in [0, 1]), "false_alarms" (share of the
        images of the largest class that are called another) and "ranking" (mean area under the
        ROC curves, each class against the rest).
    recalls_ : ndarray of shape (n_methods, n_folds, n_classes)
        Recall of each class; nan where a fold tests none of it.
    confusion_ : ndarray of shape (n_methods, n_classes, n_classes)
        Tested images of all folds: of which class they are, and which was predicted.
    fit_times_ : ndarray of shape (n_methods, n_folds)
        Seconds of training, epochs that methods have in common counted for each.
    n_epochs_ : ndarray of shape (n_methods, n_folds)
        Epochs that were trained.
    classes_, class_names_, class_count_ : ndarray of shape (n_classes,)
        Labels, what they are called, and images of each.
    best_index_ : int
        Position of the method of the best mean score; of equal ones the first.
    best_method_ : str
        Its name.
    best_score_ : float
        Its mean score.
    best_params_ : dict
        What it sets.
    best_estimator_ : estimator
        It, fitted on all rows. Not with ``refit=False``.
    cv_results_ : dict of str to ndarray
        As of scikit-learn's searches: "params", "param_method", "split0_test_score" and so on,
        "mean_test_score", "std_test_score", "rank_test_score", "mean_fit_time"; and the same for
        each of `measures_`, as "mean_test_macro_f1".
    differences_to_best_, differences_to_plain_ : dict of str to PairedDifference
        Of each other method; p-values are Holm's, for as many as are compared. Plain training is
        the method "erm"; without it the second is empty.
    copies_ : dict of str to int
        Images that were tested while an "exact", or a "near", copy was trained on.
    copy_pairs_ : ndarray of shape (n_pairs, 2)
        Rows of these, each with a copy.
    plan_ : Plan
        How many folds and epochs it was, and how long it was expected to take.
    """

    best_estimator_: Any

    def __init__(
        self,
        candidates: Sequence[Candidate],
        measures: Sequence[Sequence[FoldMeasures]],
        folds: Sequence[Fold],
        classes: np.ndarray,
        class_count: np.ndarray,
        scoring: Any,
    ) -> None:
        self.methods_ = [candidate.name for candidate in candidates]
        self.params_ = [candidate.parameters for candidate in candidates]
        self.classes_ = self.class_names_ = classes
        self.class_count_ = class_count
        self.scoring = scoring
        self.scores_ = np.array([[one.score for one in of_method] for of_method in measures])
        values = [[one.values(int(class_count.argmax())) for one in row] for row in measures]
        self.measures_ = {
            name: np.array([[one[name] for one in row] for row in values]) for name in MEASURES
        }
        self.recalls_ = np.array([[one.recalls for one in row] for row in measures])
        self.confusion_ = np.array([sum(one.confusion for one in row) for row in measures])
        self.fit_times_ = np.array([[one.fit_time for one in row] for row in measures])
        self.score_times_ = np.array([[one.score_time for one in row] for row in measures])
        self.n_epochs_ = np.array([[one.n_epochs for one in row] for row in measures])
        self.test_share_ = float(np.mean([len(test) / len(train) for train, test in folds]))
        self.n_folds_ = len(folds)
        self._notes = [
            (name, note)
            for name, row in zip(self.methods_, measures, strict=True)
            for one in row
            for note in one.notes
        ]
        self._choose()
        self.copies_: dict[str, int] = {"exact": 0, "near": 0}
        self.copy_pairs_ = np.empty((0, 2), dtype=np.int64)
        self.plan_: Any = None

    def _choose(self) -> None:
        means = self.scores_.mean(axis=1)
        if np.isnan(means).all():
            raise ValueError(f"No method has a score on every fold. {self._first_failure()}")
        self.best_index_ = int(np.nanargmax(means))
        self.best_method_ = self.methods_[self.best_index_]
        self.best_score_ = float(means[self.best_index_])
        self.best_params_ = self.params_[self.best_index_]
        self.differences_to_best_ = self._differences(self.best_index_, from_all=False)
        plain = self.methods_.index("erm") if "erm" in self.methods_ else None
        self.differences_to_plain_ = (
            {} if plain is None else self._differences(plain, from_all=True)
        )

    def _first_failure(self) -> str:
        return next((f"{name}: {note}" for name, note in self._notes), "")

    def _differences(self, one: int, *, from_all: bool) -> dict[str, PairedDifference]:
        """Return differences of one method and all others: theirs minus its, or the reverse."""
        others = [i for i in range(len(self.methods_)) if i != one]
        found = []
        for other in others:
            first, second = (other, one) if from_all else (one, other)
            found.append(
                paired_difference(self.scores_[first], self.scores_[second], self.test_share_)
            )
        p_values = holm([difference.p_value for difference in found])
        return {
            self.methods_[i]: PairedDifference(d.mean, d.standard_error, float(p), d.interval)
            for i, d, p in zip(others, found, p_values, strict=True)
        }

    @property
    def standard_errors_(self) -> np.ndarray:
        """Of the mean scores, corrected for rows trained on in common; shape (n_methods,)."""
        return np.array([corrected_standard_error(row, self.test_share_) for row in self.scores_])

    @property
    def cv_results_(self) -> dict[str, Any]:
        """Scores as scikit-learn's searches have them; see the class."""
        found: dict[str, Any] = {
            "params": list(self.params_),
            "param_method": np.ma.array(self.methods_, dtype=object),
            **_of_folds("fit_time", self.fit_times_, split=""),
            **_of_folds("score_time", self.score_times_, split=""),
            **_of_folds("test_score", self.scores_),
        }
        for name, values in self.measures_.items():
            found |= _of_folds(f"test_{name}", values)
        ranks = rankdata(-np.nan_to_num(found["mean_test_score"], nan=-np.inf), method="min")
        return found | {"rank_test_score": ranks.astype(np.int32)}

    @property
    def group_accuracy_(self) -> np.ndarray:
        """Mean recall of groups of classes, smallest first; shape (n_methods, n_folds, n_groups).

        See `sklearn_open.metrics.equal_group_accuracy`.
        """
        groups = equal_groups(self.class_count_, None)
        return np.array(
            [
                [[mean_of_known(of_fold[group]) for group in groups] for of_fold in of_method]
                for of_method in self.recalls_
            ]
        )

    def to_frame(self) -> Any:
        """Return the table as a data frame, a row for each method, the best first.

        Returns
        -------
        pandas.DataFrame
            Columns "score", "standard_error", "to_best", "to_best_se", "to_best_p", "to_plain",
            "to_plain_se", "to_plain_p", those of `measures_`, "recall_<class>" of each class where
            there are at most 8, else "smallest_fifth", and "fit_time" in seconds. Shares are in
            [0, 1].

        Raises
        ------
        ImportError
            Without pandas.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame makes a data frame of pandas, which is not installed. Run pip install "
                "pandas, or take cv_results_."
            ) from error
        return pd.DataFrame(self.rows(), index=pd.Index(self.ranked(), name="method"))

    def ranked(self) -> list[str]:
        """Return the names of the methods, the best mean first."""
        order = np.argsort(-np.nan_to_num(self.scores_.mean(axis=1), nan=-np.inf), kind="stable")
        return [self.methods_[i] for i in order]

    def rows(self) -> list[dict[str, float]]:
        """Return the rows of `to_frame`, in its order."""
        return [self._row(self.methods_.index(name)) for name in self.ranked()]

    def _row(self, i: int) -> dict[str, float]:
        name = self.methods_[i]
        row = {
            "score": float(self.scores_[i].mean()),
            "standard_error": float(self.standard_errors_[i]),
        }
        for which, differences, sign in (
            ("best", self.differences_to_best_, -1),
            ("plain", self.differences_to_plain_, 1),
        ):
            found = differences.get(name)
            row[f"to_{which}"] = np.nan if found is None else sign * found.mean
            row[f"to_{which}_se"] = np.nan if found is None else found.standard_error
            row[f"to_{which}_p"] = np.nan if found is None else found.p_value
        row |= {measure: _mean(values[i]) for measure, values in self.measures_.items()}
        if len(self.classes_) <= FEW_CLASSES:
            for c, called in enumerate(self.class_names_):
                row[f"recall_{called}"] = _mean(self.recalls_[i, :, c])
        else:
            row["smallest_fifth"] = _mean(self.group_accuracy_[i, :, 0])
        return row | {"fit_time": float(self.fit_times_[i].mean())}

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as JSON can hold them; what is not known is None."""
        return {
            "methods": self.methods_,
            "params": [{n: str(v) for n, v in params.items()} for params in self.params_],
            "scoring": str(self.scoring),
            "best_method": self.best_method_,
            "classes": [str(name) for name in self.class_names_],
            "class_count": self.class_count_.tolist(),
            "scores": _plain(self.scores_),
            "measures": {name: _plain(values) for name, values in self.measures_.items()},
            "recalls": _plain(self.recalls_),
            "confusion": self.confusion_.tolist(),
            "fit_times": _plain(self.fit_times_),
            "n_epochs": self.n_epochs_.tolist(),
            "test_share": self.test_share_,
            "table": [
                {"method": name, **{n: _plain(np.asarray(v)) for n, v in row.items()}}
                for name, row in zip(self.ranked(), self.rows(), strict=True)
            ],
            "sentences": [*sentences(self), *filter(None, [note(self)])],
            "copies": self.copies_,
            "plan": None if self.plan_ is None else self.plan_.to_dict(),
        }

    def __str__(self) -> str:
        return "\n".join(filter(None, [table(self) + "\n", *sentences(self), note(self)]))

    def __repr__(self) -> str:
        return (
            f"MethodComparison({len(self.methods_)} methods, {self.n_folds_} folds, "
            f"best_method_={self.best_method_!r})"
        )


def _of_folds(what: str, values: np.ndarray, split: str = "split") -> dict[str, np.ndarray]:
    each = {f"split{fold}_{what}": values[:, fold] for fold in range(values.shape[1])}
    mean = np.array([_mean(row) for row in values])
    std = np.array([np.nanstd(row) if not np.isnan(row).all() else np.nan for row in values])
    return {**(each if split else {}), f"mean_{what}": mean, f"std_{what}": std}


def _mean(values: np.ndarray) -> float:
    return mean_of_known(np.asarray(values, dtype=float))


def _plain(values: np.ndarray) -> Any:
    """Return numbers as lists; what JSON has no word for is None."""
    if values.ndim:
        return [_plain(np.asarray(part)) for part in values]
    number = float(values)
    return number if np.isfinite(number) else None
