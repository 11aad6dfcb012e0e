"""The paper's settings for its data sets, by name, each value with where it comes from.

Epochs are shares of `max_epochs`, so that a recipe that is made shorter keeps its proportions.
"""

from sklearn_open.recipes._methods import list_methods, method_parameters
from sklearn_open.recipes._names import get_recipe, list_recipes, recipe_parameters
from sklearn_open.recipes._recipe import Recipe, Setting

__all__ = [
    "Recipe",
    "Setting",
    "get_recipe",
    "list_methods",
    "list_recipes",
    "method_parameters",
    "recipe_parameters",
]
