"""Methods by name, with the source of every value."""

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.recipes import Method, get_method, list_methods, method_parameters

BALANCED = [
    "rs",
    "drs",
    "open",
    "open_adjusted",
    "open_all",
    "open_aux",
    "open_standard",
    "mixup_drs",
]
BALANCED += ["open_balanced_softmax", "m2m", "m2m_ldam"]
NOISY = [name for name in list_methods(1) if name.startswith("open")]


@pytest.mark.parametrize("name", list_methods(1))
def test_what_epochs_are_made_of(name, images):
    settings = {"max_epochs": 3, "start_epoch": 2, "batch_size": 16, "random_state": 0}
    params = {**settings, **method_parameters(name)}
    clf = OPeNClassifier(**params, verbose=0).fit(*images)
    plans = [clf.epoch_plan(epoch) for epoch in range(3)]
    balanced = [bool(np.ptp(np.bincount(images[1][plan.index])) < 15) for plan in plans]
    late = [name == "rs"] * 2 + [True]
    assert balanced == [name in BALANCED and is_late for is_late in late]
    noisy = [bool(plan.is_noise.any()) for plan in plans]
    assert noisy == [False, False, name in NOISY]


@pytest.mark.parametrize("name", list_methods())
def test_every_value_has_a_source(name):
    method = get_method(name)
    assert isinstance(method, Method)
    assert method.sources.keys() == method.parameters.keys() == method_parameters(name).keys()
    assert all(method.sources.values())
    assert method.title
    assert method.filled.keys() <= method.parameters.keys()


def test_a_method_prints_as_a_table():
    text = repr(get_method("mixup_drs"))
    assert text.startswith("mixup_drs: mixup, with deferred over-sampling\n\ndelta")
    assert "mixup  [1.0]" in text
    assert text.endswith("[in brackets]: its paper does not say")
    assert "brackets" not in repr(get_method("open"))


def test_they_are_copies_and_unknown_names_are_refused():
    method_parameters("open")["delta"] = 0
    assert method_parameters("open") == {"delta": 1 / 3}
    with pytest.raises(ValueError, match=r"no method 'opem'.*'open'"):
        method_parameters("opem")
