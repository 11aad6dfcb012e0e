"""Parameters: defaults, copies, searches over them, how they are printed."""

import pickle
import re

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EarlyStopping

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import SmallCNN, WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def test_the_paper_s_recipe():
    params = OPeNClassifier().get_params()
    expected = {
        "delta": None,  # the resampler's own, 1/3
        "resampler": PureNoiseOverSampler,
        "start_epoch": 0.8,
        "noise_grad": "head",
        "composition": "even",
        "max_epochs": 200,
        "batch_size": 128,
        "lr": 0.1,
        "warmup_epochs": 5 / 200,
        "lr_milestones": (160 / 200, 180 / 200),
        "lr_decay": 0.01,
        "train_split": None,
        "device": "auto",
        "precision": "auto",
    }
    assert {name: params[name] for name in expected} == expected


def test_grid_search_over_delta(images):
    X, y = images
    names = np.array(["a", "b", "c"])[y]
    search = GridSearchCV(make(tiny_net), {"delta": [0, 1 / 3, 1]}, cv=2, error_score="raise")
    search.fit(X, names)
    assert len({params["delta"] for params in search.cv_results_["params"]}) == 3
    assert set(search.predict(X)) <= set("abc")


def test_clone_and_parameters(images):
    clf = make(delta=0.2, resampler__noise="uniform", device="cpu").fit(*images)
    twin = clone(clf)
    assert not hasattr(twin, "module_")
    for name in ("delta", "resampler__noise", "device", "start_epoch", "lr_milestones"):
        assert twin.get_params()[name] == clf.get_params()[name]
    assert clone(OPeNClassifier()).get_params()["device"] == "auto"


def test_a_misspelt_parameter(images):
    with pytest.raises(ValueError, match="resampler_noise, did you mean resampler__noise"):
        make(resampler_noise="uniform").fit(*images)


# --- how they are printed ---


class WithTemperature(OPeNClassifier):
    def __init__(self, module=None, *, temperature=1.0, lr=0.3, **kwargs):
        super().__init__(module, lr=lr, **kwargs)
        self.temperature = temperature


class Inherits(WithTemperature):
    pass


def forgetful(module=None):
    clf = OPeNClassifier(module, delta=0.5)
    del clf.max_epochs
    return clf


@pytest.mark.parametrize(
    ("clf", "shown"),
    [
        (OPeNClassifier(), "OPeNClassifier()"),
        (OPeNClassifier(delta=0.5, max_epochs=5), "OPeNClassifier(delta=0.5, max_epochs=5)"),
        (OPeNClassifier(delta=None, lr=0.1), "OPeNClassifier()"),
        (OPeNClassifier("wrn16_2", verbose=0), "OPeNClassifier(module='wrn16_2', verbose=0)"),
        (OPeNClassifier(module__width=8), "OPeNClassifier(module__width=8)"),
        (OPeNClassifier(resampler=None), "OPeNClassifier(resampler=None)"),
        (OPeNClassifier(verbose=1, warm_start=False, callbacks=None), "OPeNClassifier()"),
        (OPeNClassifier(callbacks__print_log=None), "OPeNClassifier(callbacks__print_log=None)"),
        (OPeNClassifier().set_params(norm="aux"), "OPeNClassifier(norm='aux')"),
        (WithTemperature(), "WithTemperature()"),
        (WithTemperature(lr=0.1, warm_start=True), "WithTemperature(lr=0.1, warm_start=True)"),
        (Inherits(temperature=2), "Inherits(temperature=2)"),
        (forgetful(), "OPeNClassifier(delta=0.5)"),
    ],
)
def test_what_differs_from_the_defaults_is_printed(clf, shown):
    assert repr(clf) == str(clf) == shown
    assert repr(clone(clf)) == shown
    assert shown.partition("(")[0] in clf._repr_html_()


def test_fitted_ones_are_printed_as_they_were_made(images):
    clf = OPeNClassifier(SmallCNN, module__in_channels=3, module__num_classes=3, delta=0.5)
    shown = repr(clf)
    assert repr(clf.initialize()) == shown
    clf = make(delta=0.5, module__width=4)
    shown = repr(clf)
    assert "delta=0.5" in shown
    assert "module__width=4" in shown
    clf.fit(*images)
    for one in (clf, pickle.loads(pickle.dumps(clf)), clone(clf)):
        assert repr(one) == shown
        assert "delta" in one._repr_html_()


def test_it_is_printed_inside_of_others():
    clf = OPeNClassifier(delta=0.5, module__width=4)
    assert "OPeNClassifier(delta=0.5, module__width=4))" in repr(make_pipeline(clf))
    assert f"estimator={clf!r}" in repr(GridSearchCV(clf, {}))


def test_html_tells_what_was_set():
    page = OPeNClassifier(delta=0.5, module__width=4)._repr_html_()
    row = r'<tr class="(user-set|default)">.*?copyToClipboard\(\'(\w+)'
    rows = re.findall(row, page, re.DOTALL)
    if rows:  # older versions of scikit-learn have no table of parameters
        given = {name for kind, name in rows if kind == "user-set"}
        own = {name for name in given if not name.startswith("callbacks__")}
        assert own == {"delta", "module__width"}
        assert ("default", "warm_start") in rows


@pytest.mark.parametrize(
    "params",
    [
        {"classes": list(range(1000))},
        {"normalize": (np.zeros(2000), np.ones(2000))},
        {"module": torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(200)))},
        {"callbacks": [("early", EarlyStopping())] * 100},
        {"module": "x" * 5000},
    ],
)
def test_long_values_are_shortened(params):
    shown = repr(OPeNClassifier(**params))
    assert shown.startswith("OPeNClassifier(")
    assert "..." in shown
    assert len("".join(shown.split())) < 800


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def test_it_never_fails():
    assert repr(OPeNClassifier(augment=Unprintable())) == "OPeNClassifier(...)"
    assert repr(OPeNClassifier.__new__(OPeNClassifier)) == "OPeNClassifier(...)"


def test_all_are_printed_where_scikit_learn_is_told_so():
    with sklearn.config_context(print_changed_only=False):
        shown = repr(OPeNClassifier())
    assert "batch_size=128" in shown
    assert "delta=None" in shown
