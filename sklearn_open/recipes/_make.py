"""A classifier from two names: a recipe for the data set, and a method."""

from __future__ import annotations

from typing import Any

from sklearn_open._recipes._methods import get_method
from sklearn_open._recipes._names import get_recipe
from sklearn_open._recipes._recipe import Method
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier

__all__ = ["is_for_both_stages", "make_classifier"]

FINAL = {"OPeNClassifier": OPeNClassifier, "MetaSampledClassifier": MetaSampledClassifier}
# What a second stage has of a recipe: how steps are made. What is trained, for how long and on
# which rows is the method's.
OF_RECIPE = ("augment", "batch_size", "optimizer", "optimizer__momentum", "optimizer__weight_decay")
# Overrides that are for both stages: how it is computed and shown, and the images.
FOR_BOTH = ("augment", "batch_size", "compile", "device", "precision", "random_state", "verbose")
LR = 0.1  # the classifier's, which rates of parameter groups were chosen for
OWN = ("head", "weight_scaling", "shift_norm", "tau", "memory", "checkpoint")


def make_classifier(
    recipe: str | None = None, method: str = "open", **overrides: Any
) -> OPeNClassifier | DecoupledClassifier:
    """Return a classifier that trains a method by the recipe for a data set.

    Parameters
    ----------
    recipe : str or None, default=None
        One of `list_recipes`: network, augmentation, schedule. None takes the classifier's
        defaults.
    method : str, default="open"
        One of `list_methods`: what is done about the imbalance.
    **overrides : dict
        Parameters of `OPeNClassifier` in place of either's, or beside them. With another
        ``criterion`` or ``class_weight`` the method's ``criterion__...`` or ``class_weight__...``
        are left out. What a method needs of the network (``module__head``) stays. With a method of
        two stages they are for the first, but for ``final_estimator__...``; `augment`,
        `batch_size`, `compile`, `device`, `precision`, `random_state`, `verbose` and
        ``iterator_...`` are for both; `memory` and `checkpoint` are the whole's. With another
        ``final_estimator__lr`` the rates of its parameter groups keep their ratio to it.

    Returns
    -------
    OPeNClassifier or DecoupledClassifier
        Not fitted; the second for methods of two stages.

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
    >>> clf = make_classifier("imagenet_lt", method="mislas")
    >>> clf.estimator.mixup, clf.weight_scaling, clf.shift_norm
    (0.2, True, True)
    """
    found = get_method(method)
    for stage in ("estimator", "final_estimator"):
        if stage in overrides:
            raise ValueError(
                f"{stage}= is made here, of recipe and method. Pass its parameters as "
                f"{stage}__<name>=..., or set it on what is returned: set_params({stage}=...)."
            )
    parameters = found.parameters if recipe is None else found.with_recipe(recipe)
    if found.n_stages == 2:
        return _two_stages(recipe, found, parameters, overrides)
    return _one_stage(recipe, parameters, overrides)


def _one_stage(
    recipe: str | None, parameters: dict[str, Any], overrides: dict[str, Any]
) -> OPeNClassifier:
    for part in ("criterion", "class_weight", "resampler"):
        if part in overrides and overrides[part] != parameters.get(part):
            parameters = {n: v for n, v in parameters.items() if not n.startswith(f"{part}__")}
    if getattr(overrides.get("resampler"), "delta", None) is not None:
        parameters = {n: v for n, v in parameters.items() if n != "delta"}  # it brings its own
    params = {**parameters, **overrides}
    return (
        OPeNClassifier(**params) if recipe is None else OPeNClassifier.from_recipe(recipe, **params)
    )


def _two_stages(
    recipe: str | None, method: Method, parameters: dict[str, Any], overrides: dict[str, Any]
) -> DecoupledClassifier:
    own = {name: value for name, value in parameters.items() if "__" not in name}
    own |= {name: value for name, value in overrides.items() if name in OWN}
    of_first = {
        n: v for n, v in overrides.items() if n not in OWN and not _is_of(n, "final_estimator")
    }
    of_first = {name.removeprefix("estimator__"): value for name, value in of_first.items()}
    first = _one_stage(recipe, _part(parameters, "estimator"), of_first)
    if method.final_estimator not in FINAL:
        return DecoupledClassifier(first, **own)
    of_both = {name: value for name, value in overrides.items() if is_for_both_stages(name)}
    of_recipe = {} if recipe is None else get_recipe(recipe).parameters
    final = {name: value for name, value in of_recipe.items() if name in OF_RECIPE}
    of_final = _part(overrides, "final_estimator")
    settings = _part(parameters, "final_estimator")
    if "criterion" in of_final and of_final["criterion"] != settings.get("criterion"):
        settings = {n: v for n, v in settings.items() if not n.startswith("criterion__")}
    if "lr" in of_final and "optimizer__param_groups" in settings:
        settings["optimizer__param_groups"] = [
            (pattern, {**group, "lr": group["lr"] * of_final["lr"] / settings.get("lr", LR)})
            for pattern, group in settings["optimizer__param_groups"]
        ]
    made = FINAL[method.final_estimator](**{**final, **settings, **of_both, **of_final})
    return DecoupledClassifier(first, made, **own)


def is_for_both_stages(name: str) -> bool:
    """Whether a parameter that is given without a prefix is for both stages."""
    return name in FOR_BOTH or name.startswith("iterator_")


def _is_of(name: str, part: str) -> bool:
    return name.startswith(f"{part}__")


def _part(parameters: dict[str, Any], part: str) -> dict[str, Any]:
    """Return the parameters of a part, under their own names."""
    return {n.removeprefix(f"{part}__"): v for n, v in parameters.items() if _is_of(n, part)}
