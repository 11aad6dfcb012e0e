"""The paper's settings for its data sets, and methods for long-tailed data, by name.

Each value says where it comes from. Epochs are shares of `max_epochs`, so that a recipe that is
made shorter keeps its proportions.
"""

from sklearn_open._recipes._methods import Method, get_method, list_methods, method_parameters
from sklearn_open._recipes._names import get_recipe, list_recipes, recipe_parameters
from sklearn_open._recipes._recipe import Recipe, Setting
from sklearn_open.recipes._fine_tuning import fine_tuning_parameters, head_patterns
from sklearn_open.recipes._make import make_classifier

__all__ = [
    "Method",
    "Recipe",
    "Setting",
    "fine_tuning_parameters",
    "get_method",
    "get_recipe",
    "head_patterns",
    "list_methods",
    "list_recipes",
    "make_classifier",
    "method_parameters",
    "recipe_parameters",
]
