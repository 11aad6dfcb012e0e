"""Parameters: defaults, copies, searches over them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import WideResNet


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
