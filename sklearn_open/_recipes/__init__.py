"""Recipes and methods as data; `sklearn_open.recipes` has what is public of them."""
