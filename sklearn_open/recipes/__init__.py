"""The paper's settings for its data sets, and methods for long-tailed data, by name.

Each value says where it comes from. Epochs are shares of `max_epochs`, so that a recipe that is
made shorter keeps its proportions.
"""

from sklearn_open._recipes._methods import Method, get_method, list_methods, method_parameters
from sklearn_open._recipes._names import get_recipe, list_recipes, recipe_parameters
from sklearn_open._recipes._recipe import Recipe, Setting
from sklearn_open.recipes._make import make_classifier

__all__ = [
    "Method",
    "Recipe",
    "Setting",
    "get_method",
    "get_recipe",
    "list_methods",
    "list_recipes",
    "make_classifier",
    "method_parameters",
    "recipe_parameters",
]
