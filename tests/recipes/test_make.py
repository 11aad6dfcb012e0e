"""Recipes and methods make classifiers."""

import pytest
from sklearn.base import clone

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._parameters.settings import check_names_of_parts, check_settings
from sklearn_open.recipes import (
    get_recipe,
    list_methods,
    list_recipes,
    make_classifier,
    method_parameters,
)


@pytest.mark.parametrize("method", list_methods(1))
@pytest.mark.parametrize("recipe", ["cifar10_lt_ir100", "imagenet_lt", "places_lt"])
def test_every_method_goes_with_every_recipe(recipe, method):
    clf = make_classifier(recipe, method)
    check_settings(clf)
    check_names_of_parts(clf)
    params = clone(clf).get_params(deep=False)
    for name, value in method_parameters(method).items():
        assert params[name] == value
    assert params["max_epochs"] == get_recipe(recipe).parameters["max_epochs"]


def test_the_default_is_the_paper_s():
    for recipe in list_recipes():
        assert repr(make_classifier(recipe)) == repr(OPeNClassifier.from_recipe(recipe))


def test_overrides_come_first(images):
    clf = make_classifier(
        "cifar10_lt_ir100",
        method="ldam_drw",
        module="SmallCNN",
        criterion__scale=10.0,
        module__scale=10.0,
        max_epochs=2,
        augment=None,
        verbose=0,
    )
    assert clf.fit(*images).criterion_.scale == 10
    assert clf.module_.fc.scale == 10


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"no method 'ldam'.*'ldam_drw'"):
        make_classifier("cifar10_lt_ir100", "ldam")
    with pytest.raises(ValueError, match="no recipe"):
        make_classifier("cifar10", "erm")


def test_parameters_of_a_replaced_part_are_left_out():
    clf = make_classifier("cifar10_lt_ir100", "lade", criterion="focal")
    check_names_of_parts(clf)
    assert not [name for name in clf.get_params(deep=False) if name.startswith("criterion__")]
    clf = make_classifier("cifar10_lt_ir100", "drw", class_weight="balanced")
    check_names_of_parts(clf)
    sampler = PureNoiseOverSampler(delta=0.5)
    assert make_classifier("cifar10_lt_ir100", "open", resampler=sampler).delta is None
