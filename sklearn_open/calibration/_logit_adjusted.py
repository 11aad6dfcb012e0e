"""Post-hoc logit adjustment: any classifier, corrected by the prior that it was trained under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_memory, column_or_1d

from sklearn_open._checks import is_number
from sklearn_open.calibration._prior import divided_by, prior_factors

__all__ = ["LogitAdjustedClassifier"]

TAUS = tuple(np.linspace(0, 2, 21).round(1).tolist())


def _has_probabilities(self: Any) -> bool:
    estimator = getattr(self, "estimator_", self.estimator)
    getattr(estimator, "predict_proba")  # noqa: B009 (raises, saying who lacks it)
    return True


class LogitAdjustedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""Divides a classifier's probabilities by the class prior: a correction without training.

    A classifier that was trained on few rows of a class rarely predicts it. Dividing its
    probabilities by the shares of the classes among the training rows (to the power `tau`) gives
    those that a balanced training set would ask for [1]_.

    Parameters
    ----------
    estimator : estimator
        Any classifier with `predict_proba`. A fitted one, in a `sklearn.frozen.FrozenEstimator`, is
        taken as it is; others are cloned and fitted.
    tau : float or "cv", default=1.0
        Strength. 0 leaves probabilities as they are, bit for bit. 1 is right where probabilities
        are calibrated; networks that are sure of themselves may want more, classifiers that were
        balanced already less. "cv" chooses it from `taus` by cross-validation inside `fit`.
    taus : sequence of float, default=(0.0, 0.1, ..., 2.0)
        What "cv" chooses from; of equal scores, the one that is nearest to 1.
    cv : int, splitter or None, default=None
        Of "cv"; None is stratified, in 5 parts. A frozen estimator is not trained again: pass rows
        to `fit` that it was not trained on.
    scoring : str or callable, default="balanced_accuracy"
        What "cv" chooses by: the mean over the parts.
    prior : array-like of shape (n_classes,) or None, default=None
        Shares of the classes (or counts) that `estimator` was trained under, in the order of its
        `classes_`. None is, of a frozen estimator, its `class_count_` where it has one
        (`OPeNClassifier`), or the prior of scikit-learn's naive Bayes; in all other cases those of
        the labels passed to `fit`, by ``sample_weight`` if that is passed: pass the training
        labels.
    memory : None, str or joblib.Memory, default=None
        Where fitted estimators are kept, as in scikit-learn's `Pipeline`: a search over `tau`
        trains each once. (Of estimators whose `random_state` is fixed.)

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier.
    tau_ : float
        Strength that is used.
    prior_ : ndarray of shape (n_classes,)
        Shares of the classes that are divided by.
    factors_ : ndarray of shape (n_classes,)
        What the probability of each class is multiplied by: ``prior_ ** -tau_``, the largest 1.
    cv_scores_ : ndarray of shape (n_taus,)
        With ``tau="cv"``: the score of each of `taus`.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_features_in_ : int
        Number of features, where `estimator_` has it.

    References
    ----------
    .. [1] A. K. Menon et al., "Long-Tail Learning via Logit Adjustment", ICLR 2021, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_open.calibration import LogitAdjustedClassifier
    >>> X, y = make_classification(weights=[0.9], random_state=0)
    >>> plain = LogisticRegression().fit(X, y)
    >>> adjusted = LogitAdjustedClassifier(FrozenEstimator(plain)).fit(X, y)
    >>> bool((adjusted.predict(X) == 1).sum() > (plain.predict(X) == 1).sum())
    True
    """

    def __init__(
        self,
        estimator: Any,
        tau: float | str = 1.0,
        *,
        taus: Sequence[float] = TAUS,
        cv: Any = None,
        scoring: Any = "balanced_accuracy",
        prior: Any = None,
        memory: Any = None,
    ) -> None:
        self.estimator = estimator
        self.tau = tau
        self.taus = taus
        self.cv = cv
        self.scoring = scoring
        self.prior = prior
        self.memory = memory

    def fit(self, X: Any, y: Any, **fit_params: Any) -> LogitAdjustedClassifier:
        """Fit the classifier, unless it is frozen, and take up the prior.

        Parameters
        ----------
        X : array-like
            As `estimator` takes it.
        y : array-like of shape (n,)
            Labels.
        **fit_params : dict
            Passed on to the `fit` of `estimator`.

        Returns
        -------
        LogitAdjustedClassifier
            Itself.

        Raises
        ------
        ValueError
            For a `tau` or `prior` that is none, before anything is fitted.
        TypeError
            For a classifier without probabilities.
        """
        taus = self._checked_taus()
        self.__dict__.pop("cv_scores_", None)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        _check_prior(self.prior, None)
        if not isinstance(self.scoring, str) and not callable(self.scoring):
            raise ValueError(
                f"scoring={self.scoring!r}: pass a scorer, or the name of one, such as "
                "'balanced_accuracy'."
            )
        if not hasattr(self.estimator, "predict_proba"):
            raise TypeError(
                f"{type(self.estimator).__name__} has no predict_proba, which is what is adjusted. "
                "Use a classifier that has, or one in a CalibratedClassifierCV."
            )
        fit = check_memory(self.memory).cache(_fitted)
        self.estimator_ = fit(clone(self.estimator), X, y, fit_params)
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        counts = self._counts(y, fit_params.get("sample_weight"))
        self.prior_ = counts / counts.sum()
        chosen = self.tau == "cv"
        self.tau_ = self._chosen(taus, X, y, counts, fit_params) if chosen else taus[0]
        self.factors_ = prior_factors(counts, self.tau_)
        return self

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the adjusted probability of each class for each row.

        Parameters
        ----------
        X : array-like
            As `estimator` takes it.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return _adjusted(self.estimator_.predict_proba(X), self.factors_, self.tau_)

    @available_if(_has_probabilities)
    def predict(self, X: Any) -> np.ndarray:
        """Return the label of the largest adjusted probability of each row.

        Parameters
        ----------
        X : array-like
            As `estimator` takes it.

        Returns
        -------
        ndarray of shape (n,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _checked_taus(self) -> list[float]:
        taus = self.taus if self.tau == "cv" else [self.tau]
        good = not isinstance(taus, str) and np.ndim(taus) == 1 and len(taus)
        if not good or not all(is_number(tau) and np.isfinite(tau) for tau in taus):
            raise ValueError(
                f"tau={self.tau!r}, taus={self.taus!r}: pass a number as tau, such as 1.0; or "
                "'cv', and a sequence of numbers as taus."
            )
        return [float(tau) for tau in taus]

    def _counts(self, y: np.ndarray, sample_weight: Any) -> np.ndarray:
        """Return the counts, or shares, of the classes that the estimator was trained under."""
        if self.prior is not None:
            return _check_prior(self.prior, len(self.classes_))
        known = _known_prior(self.estimator_)
        if (
            isinstance(self.estimator_, FrozenEstimator)
            and known is not None
            and len(known) == len(self.classes_)
        ):
            return np.asarray(known, dtype=float)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels that the estimator does not know: {unknown[:3].tolist()}. Pass the "
                "labels that it was trained on, or prior=[...]."
            )
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        return np.array([weight[y == label].sum() for label in self.classes_], dtype=float)

    def _chosen(
        self, taus: list[float], X: Any, y: np.ndarray, counts: np.ndarray, fit_params: Any
    ) -> float:
        """Return the strength of the best score on rows that were held out."""
        score = get_scorer(self.scoring) if isinstance(self.scoring, str) else self.scoring
        scores = []
        for train, test in check_cv(self.cv, y, classifier=True).split(X, y):
            params = {
                name: rows_of(value, train) if np.size(value) == len(y) else value
                for name, value in fit_params.items()
            }
            fold = clone(self.estimator).fit(rows_of(X, train), y[train], **params)
            X_test, y_test = rows_of(X, test), y[test]
            proba = self._in_own_columns(fold.predict_proba(X_test), fold.classes_)
            stand_ins = (
                _Known(_adjusted(proba, prior_factors(counts, tau), tau), self.classes_)
                for tau in taus
            )
            scores.append([score(stand_in, X_test, y_test) for stand_in in stand_ins])
        self.cv_scores_ = np.mean(scores, axis=0)
        best = np.flatnonzero(self.cv_scores_ == self.cv_scores_.max())
        return min((taus[i] for i in best), key=lambda tau: abs(tau - 1))

    def _in_own_columns(self, proba: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return probabilities of a fold in the order of `classes_`; of what it lacked, zeros."""
        columns = np.zeros((len(proba), len(self.classes_)), dtype=proba.dtype)
        for column, label in enumerate(classes):
            columns[:, self.classes_ == label] = proba[:, [column]]
        return columns

    def __sklearn_tags__(self) -> Any:
        """Return what the wrapped classifier takes."""
        tags, of_estimator = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = of_estimator.input_tags
        tags.classifier_tags.multi_class = of_estimator.classifier_tags.multi_class
        return tags


class _Known(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are known, for scorers."""

    def __init__(self, probabilities: Any = None, classes: Any = None) -> None:
        self.probabilities = probabilities
        self.classes = classes

    def fit(self, X: Any = None, y: Any = None) -> _Known:
        return self

    @property
    def classes_(self) -> np.ndarray:
        return np.asarray(self.classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.probabilities)

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.probabilities.argmax(axis=1)]


def _known_prior(estimator: Any) -> Any:
    """Return the shares, or counts, of classes that a fitted estimator knows, if it does."""
    if hasattr(estimator, "class_prior_"):  # of scikit-learn's naive Bayes: what it was told
        return estimator.class_prior_
    if hasattr(estimator, "class_log_prior_"):
        return np.exp(estimator.class_log_prior_)
    return getattr(estimator, "class_count_", None)


def _fitted(estimator: Any, X: Any, y: np.ndarray, fit_params: dict[str, Any]) -> Any:
    """Fit an estimator; joblib keeps what is returned."""
    return estimator.fit(X, y, **fit_params)


def _adjusted(probabilities: Any, factors: np.ndarray, tau: float) -> np.ndarray:
    probabilities = np.asarray(probabilities)
    if tau == 0:
        return probabilities
    adjusted: np.ndarray = divided_by(probabilities, factors.astype(probabilities.dtype))
    return adjusted


def _check_prior(prior: Any, n_classes: int | None) -> np.ndarray:
    if prior is None:
        return np.empty(0)
    try:
        shares = np.asarray(prior, dtype=float)
    except (TypeError, ValueError):
        shares = np.empty(0)
    good = (
        shares.ndim == 1
        and len(shares)
        and np.isfinite(shares).all()
        and (shares >= 0).all()
        and shares.any()
    )
    if not good or (n_classes is not None and len(shares) != n_classes):
        raise ValueError(
            f"prior={prior!r}: pass a share, or a count, for each class"
            f"{'' if n_classes is None else f' ({n_classes} of them)'}, in the order of classes_."
        )
    return shares
