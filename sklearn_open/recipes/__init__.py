"""The paper's settings for its data sets, by name, each value with where it comes from."""

from sklearn_open.recipes._recipe import (
    Recipe,
    Setting,
    get_recipe,
    list_recipes,
    recipe_parameters,
)

__all__ = ["Recipe", "Setting", "get_recipe", "list_recipes", "recipe_parameters"]
