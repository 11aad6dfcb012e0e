"""Recipes by name, and what replaces their parameters."""

import pytest
import torch

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import resnet152_cosine
from sklearn_open.recipes import get_recipe, list_recipes, recipe_parameters

PLAIN = [
    "cifar10_lt_ir100",
    "cifar10_lt_ir50",
    "cifar100_lt_ir100",
    "cifar100_lt_ir50",
    "celeba5",
    "imagenet_lt",
    "places_lt",
]


def test_names():
    assert list_recipes() == [
        *PLAIN,
        *(f"{name}_aa" for name in PLAIN),
        "cifar10_lt_fast",
        "folder",
    ]


def test_overrides_replace_single_values():
    clf = OPeNClassifier.from_recipe("cifar10_lt_ir100", delta=0, module__dropout=0.1)
    recipe = get_recipe("cifar10_lt_ir100").parameters
    changed = {**recipe, "delta": 0, "module__dropout": 0.1}
    assert {name: clf.get_params(deep=False)[name] for name in recipe} == changed


def test_parameters_of_a_replaced_component_are_left_out():
    params = recipe_parameters("places_lt", {"module": "SmallCNN"})
    assert not [name for name in params if name.startswith("module__")]
    params = recipe_parameters("places_lt", {"optimizer": torch.optim.AdamW})
    left = [name for name in params if name.startswith("optimizer__")]
    assert left == ["optimizer__param_groups"]
    params = recipe_parameters("places_lt", {"module": "wrn16_2", "module__dropout": 0.2})
    assert params["module__dropout"] == 0.2


@pytest.mark.parametrize(
    "overrides",
    [
        {"module": "resnet152_cosine"},
        {"module": resnet152_cosine},
        {"optimizer": torch.optim.SGD},
        {"module": "resnet152_cosine", "optimizer": torch.optim.SGD, "module__scale": "ldam"},
    ],
)
def test_the_recipe_s_own_component_keeps_its_parameters(overrides):
    expected = {**get_recipe("places_lt").parameters, **overrides}
    assert recipe_parameters("places_lt", overrides) == expected


@pytest.mark.parametrize("name", ["cifar10-lt-ir100", "cifar10_lt"])
def test_unknown_recipes_are_refused_with_near_ones(name):
    with pytest.raises(ValueError, match=r"no recipe .* Is it .*'cifar10_lt_ir.* Use one of"):
        OPeNClassifier.from_recipe(name)


def test_a_subclass_makes_one_of_its_own():
    class Mine(OPeNClassifier):
        pass

    assert type(Mine.from_recipe("celeba5")) is Mine


def test_a_sampler_brings_its_delta(images):
    sampler = PureNoiseOverSampler(delta=0.5)
    clf = OPeNClassifier.from_recipe(
        "cifar10_lt_ir100", resampler=sampler, module="SmallCNN", max_epochs=1, verbose=0
    ).fit(*images)
    assert clf.resampler_.delta == 0.5
    with pytest.raises(ValueError, match="pass delta=None"):
        clf.set_params(delta=0.3).fit(*images)
