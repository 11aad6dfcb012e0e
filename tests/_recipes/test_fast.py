"""The recipe of few passes."""

import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import StepSchedule
from sklearn_open.recipes import get_recipe, list_methods, list_recipes, make_classifier


def test_is_open_with_another_schedule_and_network():
    clf = OPeNClassifier.from_recipe("cifar10_lt_fast")
    assert "cifar10_lt_fast" in list_recipes()
    assert (clf.delta, clf.norm, clf.noise_grad) == (1 / 3, "dar", "head")
    assert clf.module == "ResNet9"


def test_the_rate_rises_and_falls_to_almost_nothing():
    clf = OPeNClassifier.from_recipe("cifar10_lt_fast")
    schedule = StepSchedule(clf.warmup_epochs, clf.lr_milestones, clf.lr_decay)
    factors = [schedule.factor(epoch, clf.max_epochs) for epoch in range(clf.max_epochs)]
    top = factors.index(1)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert factors[-1] < 0.02


def test_every_value_says_where_it_is_from():
    recipe = get_recipe("cifar10_lt_fast")
    assert all(recipe.sources.values())
    assert "docs/fast_recipe.md" in recipe.sources["lr"]


@pytest.mark.parametrize("method", [m for m in list_methods() if m not in ("m2m", "m2m_ldam")])
def test_every_method_goes_with_it(method):
    clf = make_classifier("cifar10_lt_fast", method)
    stage = clf if isinstance(clf, OPeNClassifier) else clf.estimator
    assert (stage.module, stage.lr_decay) == ("ResNet9", "cosine")
