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
        Parameters of `OPeNClassifier` in place of either's, or beside them. With another
        ``criterion`` or ``class_weight`` the method's ``criterion__...`` or ``class_weight__...``
        are left out. What a method needs of the network (``module__head``) stays.

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
    parameters = method_parameters(method)
    for part in ("criterion", "class_weight"):
        if part in overrides and overrides[part] != parameters.get(part):
            parameters = {n: v for n, v in parameters.items() if not n.startswith(f"{part}__")}
    if getattr(overrides.get("resampler"), "delta", None) is not None:
        parameters.pop("delta", None)  # whoever brings a sampler brings its delta
    return OPeNClassifier.from_recipe(recipe, **{**parameters, **overrides})
