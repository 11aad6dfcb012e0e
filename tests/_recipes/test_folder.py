"""Settings for images of one's own, with every method."""

import pytest

from sklearn_open._training import settled
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.recipes import get_recipe, list_methods, make_classifier


def test_all_that_is_about_time_is_found_with_the_rows():
    parameters = get_recipe("folder").parameters
    for name in ("max_epochs", "batch_size", "warmup_epochs"):
        assert parameters[name] == "auto"
    assert "docs/budget.md" in get_recipe("folder").sources["max_epochs"]


@pytest.mark.parametrize("method", list_methods())
def test_every_method_trains_all_of_its_stages_as_long(images, monkeypatch, method):
    monkeypatch.setattr(settled, "auto_epochs", lambda *rows: 4)
    monkeypatch.setattr(settled, "auto_batch_size", lambda *rows: 30)
    clf = make_classifier("folder", method, random_state=0, verbose=0).fit(*images)
    stages = [clf]
    if isinstance(clf, DecoupledClassifier):
        stages = [one for one in (clf.first_stage_, clf.final_estimator_) if one is not None]
    for stage in stages:
        assert (stage.max_epochs_, stage.batch_size_, len(stage.history)) == (4, 30, 4)
    assert clf.predict(images[0]).shape == (60,)
