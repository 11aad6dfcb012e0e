"""What the displays take from an estimator: the classifier in it, and its own training rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_open._training.training_set import labelled_rows, take_in
from sklearn_open.batching._dataset import TrainSet
from sklearn_open.calibration import LogitAdjustedClassifier
from sklearn_open.calibration._prior import prior_factors
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling._decoupled import DecoupledClassifier
from sklearn_open.metrics._probabilities import codes_of
from sklearn_open.metrics._scorers import training_labels

__all__ = [
    "adjusted_by",
    "check_predicts",
    "class_counts",
    "fitted_classifier",
    "last_step",
    "layers",
    "open_classifier",
    "training_set",
]


def check_predicts(estimator: Any) -> None:
    """Refuse an estimator that was not fitted, or a search that keeps none.

    Raises
    ------
    NotFittedError
        With what to do.
    """
    if hasattr(estimator, "cv_results_") and not hasattr(estimator, "best_estimator_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} was fitted with refit=False, so it has tried "
            "estimators and kept none. Set refit=True and fit again, or fit an estimator with the "
            "parameters that you choose."
        )
    check_is_fitted(estimator)


def fitted_classifier(estimator: Any) -> OPeNClassifier:
    """Return the fitted `OPeNClassifier` that an estimator is, or that a search has chosen.

    It may be one that was loaded from a file, which has no `planner_`.

    Raises
    ------
    NotFittedError
        When it was not fitted.
    TypeError
        For any other estimator, a pipeline among them, whose steps change what `X` is.
    """
    classifier = open_classifier(estimator)
    check_predicts(estimator)
    if not hasattr(classifier, "transform_"):  # initialized only
        raise NotFittedError(
            f"This {type(classifier).__name__} instance was initialized but never fitted. Call "
            "'fit' with the training data first."
        )
    return classifier


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, also of one that a search has chosen.

    For what is shown of a classifier without any `X`, which the steps before would change.
    """
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(getattr(estimator, "best_estimator_", None), "steps"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def layers(estimator: Any) -> Iterator[Any]:
    """Yield a fitted estimator and whatever predicts for it, the classifier itself last.

    Of a search it is what it has chosen, of a pipeline the last step, of two stages the result;
    frozen estimators are passed over.
    """
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
            continue
        yield estimator
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, DecoupledClassifier):
            estimator = estimator.estimator_
        else:
            return


def class_counts(estimator: Any, classes: np.ndarray, y_train: Any) -> np.ndarray:
    """Return the training rows of each class, or their shares.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, in whatever `layers` looks into.
    classes : ndarray of shape (n_classes,)
        Its classes.
    y_train : array-like or None
        Training labels; None takes what the classifier knows.

    Raises
    ------
    ValueError
        When it does not know, with what to do; for labels that it does not know.
    """
    if y_train is None:
        parts = list(layers(estimator))
        is_adjusted = isinstance(parts[-1], LogitAdjustedClassifier)
        known = getattr(parts[-1], "prior_" if is_adjusted else "class_count_", None)
        fits = known is not None and len(known) == len(classes) and np.any(known)
        if fits and not any(_resamples(part) for part in parts):
            return np.asarray(known, dtype=float)
        y_train = training_labels(parts[0])  # or the error that says what to do
    return np.bincount(codes_of(y_train, classes, "y_train"), minlength=len(classes)).astype(float)


def _resamples(estimator: Any) -> bool:
    steps = getattr(estimator, "steps", [])
    return any(hasattr(step, "fit_resample") for _, step in steps[:-1])


def adjusted_by(estimator: Any) -> Any:
    """Return what a classifier has multiplied the probability of each class by, as it is set.

    Returns
    -------
    ndarray of shape (n_classes,) or float
        1.0 where nothing is known of any adjustment.
    """
    *_, classifier = layers(estimator)
    if isinstance(classifier, LogitAdjustedClassifier):
        return classifier.factors_ * adjusted_by(classifier.estimator_)
    if isinstance(classifier, OPeNClassifier) and classifier.logit_adjustment != 0:
        return prior_factors(classifier.class_count_, classifier.logit_adjustment)
    return 1.0


def open_classifier(estimator: Any) -> OPeNClassifier:
    """Return the classifier that an estimator is, or that a search is for, fitted or not.

    Raises
    ------
    TypeError
        For any other estimator.
    """
    is_search = hasattr(estimator, "cv") and hasattr(estimator, "estimator")
    chosen = getattr(estimator, "best_estimator_", estimator.estimator if is_search else estimator)
    if isinstance(chosen, OPeNClassifier):
        return chosen
    raise TypeError(
        f"{type(chosen).__name__} is not an OPeNClassifier, whose network and plan this is about. "
        "Of a pipeline pass the last step, with X as the steps before return it."
    )


def training_set(estimator: Any, X: Any, y: Any) -> tuple[OPeNClassifier, TrainSet]:
    """Return a copy of a classifier together with the rows that it trains on, as it sees them.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted or not; not changed. One that was not fitted is initialised, not trained. One that
        was loaded from a file has its seed, and makes its plan anew.
    X, y : array-like
        The training data, as given to `fit`.

    Returns
    -------
    classifier : OPeNClassifier
        With `module_`, `transform_` and `planner_`.
    train : TrainSet
        Rows and plans, without those that `train_split` holds out.

    Raises
    ------
    ValueError
        When the labels are not those that the estimator was fitted on. (A file holds no labels to
        compare with.)
    """
    if hasattr(estimator, "planner_"):
        return _with_its_rows(copy.copy(estimator), X, y)
    is_loaded = hasattr(estimator, "transform_")
    classifier = copy.copy(estimator) if is_loaded else clone(estimator)
    data = take_in(classifier, X, y, goes_on=is_loaded)
    if not is_loaded:
        classifier.initialize()
    return classifier, classifier.get_split_datasets(data, data.y)[0]


def _with_its_rows(classifier: OPeNClassifier, X: Any, y: Any) -> tuple[OPeNClassifier, TrainSet]:
    fitted_codes = classifier.planner_.codes
    data = labelled_rows(classifier, X, y)
    train, _ = classifier.get_split_datasets(data, data.y)
    if not np.array_equal(train.planner.codes, fitted_codes):
        raise ValueError(
            "X and y are not the data that the estimator was fitted on: their classes differ. "
            "Pass the training data, in the order they had in fit."
        )
    return classifier, train
