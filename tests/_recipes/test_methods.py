"""Methods by name."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklearn_open import OPeNClassifier
from sklearn_open.recipes import list_methods, method_parameters


def noise_epochs(name, images):
    settings = {"max_epochs": 3, "start_epoch": 2, "batch_size": 16, "random_state": 0}
    params = {**settings, **method_parameters(name)}
    clf = OPeNClassifier(**params, verbose=0).fit(*images)
    plans = [clf.epoch_plan(epoch) for epoch in range(3)]
    balanced = [bool(np.ptp(np.bincount(images[1][plan.index])) < 15) for plan in plans]
    return balanced, [bool(plan.is_noise.any()) for plan in plans]


@pytest.mark.parametrize(
    ("name", "balanced", "noisy"),
    [
        ("erm", [False] * 3, [False] * 3),
        ("rs", [True] * 3, [False] * 3),
        ("drs", [False, False, True], [False] * 3),
        *((name, [False, False, True], [False, False, True]) for name in list_methods()[3:]),
    ],
)
def test_what_epochs_are_made_of(name, balanced, noisy, images):
    assert noise_epochs(name, images) == (balanced, noisy)


def test_they_are_cells_of_a_grid(images):
    grid = [{key: [value] for key, value in method_parameters(m).items()} for m in list_methods()]
    clf = OPeNClassifier(max_epochs=1, start_epoch=0, random_state=0, verbose=0)
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(clf, grid, cv=cv, error_score="raise").fit(*images)
    assert len(search.cv_results_["params"]) == len(list_methods())


def test_they_are_copies_and_unknown_names_are_refused():
    method_parameters("open")["delta"] = 0
    assert method_parameters("open") == {"delta": 1 / 3}
    with pytest.raises(ValueError, match=r"no method 'opem'.*'open'"):
        method_parameters("opem")
