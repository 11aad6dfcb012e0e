"""Refuses stages that could not be trained, before the first of them is."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_open._checks import check_one_of
from sklearn_open._parameters.settings import check_names_of_parts, check_settings
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling._heads import check_tau

__all__ = ["check_stages"]


def check_stages(clf: Any, fit_params: dict[str, Any]) -> None:
    """Check the parameters of a `DecoupledClassifier`.

    Parameters
    ----------
    clf : DecoupledClassifier
    fit_params : dict
        What `fit` was given besides images and labels.

    Raises
    ------
    TypeError, ValueError
        For the first thing that is wrong.
    NotFittedError
        For a frozen first stage that was not fitted.
    """
    check_one_of("head", clf.head, ("kept", "fresh"))
    for name in ("weight_scaling", "shift_norm"):
        if not isinstance(getattr(clf, name), (bool, np.bool_)):
            raise ValueError(f"{name}={getattr(clf, name)!r}: pass True or False.")
    given = clf.estimator
    inner = given.estimator if isinstance(given, FrozenEstimator) else given
    if not isinstance(inner, (OPeNClassifier, str, PathLike)):
        raise TypeError(
            f"estimator={given!r} is no first stage. Pass an OPeNClassifier, a fitted one in a "
            "sklearn.frozen.FrozenEstimator, or the name of a file that one was saved to."
        )
    if isinstance(given, FrozenEstimator):
        check_is_fitted(inner)
    final = clf.final_estimator
    if final is not None and not isinstance(final, OPeNClassifier):
        raise TypeError(
            f"final_estimator={final!r} trains no head. Pass an OPeNClassifier (without a "
            "module), a MetaSampledClassifier, or None."
        )
    if clf.tau is not None:
        check_tau(clf.tau)
    if final is not None:
        _check_final(final)
    if final is None and (clf.head == "fresh" or clf.weight_scaling or clf.shift_norm):
        raise ValueError(
            "head='fresh', weight_scaling=True and shift_norm=True are for a second stage that "
            "is trained, and final_estimator=None. Pass an OPeNClassifier that trains it."
        )
    if (
        fit_params
        and not isinstance(given, OPeNClassifier)
        and not getattr(final, "train_split", 0)
    ):
        raise TypeError(
            f"fit was given {', '.join(fit_params)}, and nothing here takes it: the first stage is "
            "fitted, and final_estimator has no train_split."
        )


def _check_final(final: OPeNClassifier) -> None:
    """Refuse a second stage that could not be trained, before the first one is."""
    params = final.get_params(deep=False)
    own = [name for name in params if name == "module" or name.startswith("module__")]
    if any(params[name] is not None for name in own):
        raise ValueError(
            f"final_estimator has {', '.join(own)}, and the network of the second stage is that of "
            "the first. Leave them out."
        )
    check_settings(final)
    final.check_own_settings()
    check_names_of_parts(final)


def where_it_trains(clf: Any) -> tuple[bool, torch.device]:
    """Return whether a first stage is trained on several ranks, and on which device."""
    first = clf.estimator
    if not isinstance(first, OPeNClassifier):  # it is there
        return False, torch.device("cpu")
    return first.distributed, first.device_
