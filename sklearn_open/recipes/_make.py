"""A classifier from two names: a recipe for the data set, and a method."""

from __future__ import annotations

from typing import Any

from sklearn_open._recipes._methods import method_parameters
from sklearn_open.classifier import OPeNClassifier

__all__ = ["make_classifier"]


def make_classifier(recipe: str, method: str = "open", **overrides: Any) -> OPeNClassifier:
    """Return a classifier that trains a method by the recipe for a data set.

    Parameters
    ----------
    recipe : str
        One of `list_recipes`: network, augmentation, schedule.
    method : str, default="open"
        One of `list_methods`: what is done about the imbalance.
    **overrides : dict
        Parameters of `OPeNClassifier` in place of either's, or beside them.

    Returns
    -------
    OPeNClassifier
        Not fitted.

    Raises
    ------
    ValueError
        If there is no such recipe or method.

    Examples
    --------
    >>> from sklearn_open.recipes import make_classifier
    >>> clf = make_classifier("cifar10_lt_ir100", method="ldam_drw", random_state=0)
    >>> clf.criterion, clf.class_weight, clf.max_epochs
    ('ldam', 'effective', 200)
    """
    return OPeNClassifier.from_recipe(recipe, **{**method_parameters(method), **overrides})
