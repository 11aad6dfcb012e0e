"""What every recipe keeps, found by `RECIPES`."""

import pytest
from sklearn.base import clone

from sklearn_open import OPeNClassifier
from sklearn_open._parameters.settings import check_settings
from sklearn_open._parameters.table import parameter
from sklearn_open._recipes._names import RECIPES
from sklearn_open.recipes import Recipe, Setting, get_recipe, list_recipes


def check_parameters_can_be_used(name):
    clf = OPeNClassifier.from_recipe(name)
    check_settings(clf)
    again = clone(clf).get_params()
    for key, value in get_recipe(name).parameters.items():
        assert again[key] == value


def check_every_value_has_a_source(name):
    recipe = get_recipe(name)
    assert recipe.sources.keys() == recipe.parameters.keys()
    assert all(recipe.sources.values())


def check_epochs_are_shares(name):
    """So that a recipe that is made shorter keeps its proportions."""
    for key, value in get_recipe(name).parameters.items():
        if parameter(key).in_epochs:
            if parameter(key).settled and value == "auto":
                continue
            values = value if isinstance(value, (list, tuple)) else [value]
            assert all(one == 0 or (isinstance(one, float) and 0 < one <= 1) for one in values)


CHECKS = [check_parameters_can_be_used, check_every_value_has_a_source, check_epochs_are_shares]


@pytest.mark.parametrize("name", list_recipes())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(name, check):
    check(name)


def test_a_new_one_needs_settings_and_a_line(monkeypatch, images):
    settings = (
        Setting("module", "SmallCNN", "a throw-away recipe"),
        Setting("max_epochs", 4, "section 1"),
        Setting("start_epoch", 3 / 4, "section 2"),
    )
    recipe = Recipe("tiny_lt", "Tiny images, SmallCNN", "make_long_tailed(X, y)", 8, settings)
    monkeypatch.setitem(RECIPES, "tiny_lt", recipe)
    for check in CHECKS:
        check("tiny_lt")
    assert "tiny_lt" in list_recipes()
    clf = OPeNClassifier.from_recipe("tiny_lt", random_state=0, verbose=0).fit(*images)
    assert [clf.epoch_plan(epoch).is_noise.any() for epoch in (2, 3)] == [False, True]
