"""A recipe is a value."""

import dataclasses
import pickle

import pytest

from sklearn_open.recipes import get_recipe, list_recipes


def test_recipes_cannot_be_changed():
    recipe = get_recipe("places_lt")
    recipe.parameters["optimizer__param_groups"][0][1]["lr"] = 7
    recipe.parameters["lr"] = 7
    {s.parameter: s.value for s in recipe.settings}["optimizer__param_groups"].clear()
    assert get_recipe("places_lt").parameters["optimizer__param_groups"] == [("fc*", {"lr": 0.05})]
    assert get_recipe("places_lt").parameters["lr"] == 1e-3
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.settings = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.settings[0].value = 7
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_can_be_keys(name):
    assert {get_recipe(name): 1}[get_recipe(name)] == 1
    assert len({get_recipe(name), *map(get_recipe, list_recipes())}) == len(list_recipes())
    assert len(set(get_recipe(name).settings)) == len(get_recipe(name).settings)
