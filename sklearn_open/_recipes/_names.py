"""Recipes by name, and what they set."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sklearn_open._checks import listed, near_names
from sklearn_open._parameters.table import names_where
from sklearn_open._recipes._fast import FAST
from sklearn_open._recipes._folder import FOLDER
from sklearn_open._recipes._paper import PAPER_RECIPES
from sklearn_open._recipes._recipe import Recipe
from sklearn_open.backbones._names import find_maker

__all__ = ["RECIPES", "get_recipe", "list_recipes", "recipe_parameters"]

RECIPES = {**PAPER_RECIPES, FAST.name: FAST, FOLDER.name: FOLDER}
COMPONENTS = names_where(kept="name")  # whoever takes another has no use for its parameters


def list_recipes() -> list[str]:
    """Return the names of all recipes.

    Returns
    -------
    list of str
        Those of the paper's data sets, of which the ones that end in "_aa" augment by AutoAugment
        alone; "cifar10_lt_fast", of few passes; and "folder", for images of one's own.
    """
    return list(RECIPES)


def get_recipe(name: str) -> Recipe:
    """Return a recipe.

    Parameters
    ----------
    name : str
        One of `list_recipes`.

    Returns
    -------
    Recipe
        A copy: changing what is in it changes no other.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> from sklearn_open.recipes import get_recipe
    >>> get_recipe("places_lt").parameters["optimizer__param_groups"]
    [('fc*', {'lr': 0.05})]
    """
    if name in RECIPES:
        return copy.deepcopy(RECIPES[name])
    near = near_names(str(name), RECIPES)
    raise ValueError(f"There is no recipe {name!r}.{near} Use one of {listed(RECIPES)}.")


def recipe_parameters(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's parameters with some replaced.

    Parameters
    ----------
    name : str
        One of `list_recipes`.
    overrides : mapping of str to object
        Parameters of `OPeNClassifier`. With another ``module`` or ``optimizer`` the recipe's
        ``module__...`` or ``optimizer__...`` are left out, except for parameter groups.

    Returns
    -------
    dict of str to object
        Parameters of `OPeNClassifier`.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    parameters = get_recipe(name).parameters
    for component in COMPONENTS:
        if component not in overrides or component not in parameters:
            continue
        if not _is_same(overrides[component], parameters[component]):
            groups = f"{component}__param_groups"
            own = [p for p in parameters if p.startswith(f"{component}__") and p != groups]
            parameters = {p: v for p, v in parameters.items() if p not in own}
    if getattr(overrides.get("resampler"), "delta", None) is not None:
        parameters = {**parameters, "delta": None}  # whoever brings a sampler brings its delta
    return {**parameters, **overrides}


def _is_same(given: Any, own: Any) -> bool:
    """Whether an override is the recipe's own value, which for a network is a name."""
    return given is own or given == own or (isinstance(own, str) and given is find_maker(own))
