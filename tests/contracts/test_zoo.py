"""Any torchvision classification model works as `module`, untouched."""

import warnings

import numpy as np
import pytest
import torchvision

from sklearn_open import OPeNClassifier
from sklearn_open.exceptions import NoBatchNormWarning

# The smallest of every family with the smallest images it takes.
SIDES = {
    "alexnet": 64, "convnext_tiny": 32, "densenet121": 32, "efficientnet_b0": 32,
    "efficientnet_v2_s": 32, "googlenet": 32, "inception_v3": 299, "maxvit_t": 224,
    "mnasnet0_5": 32, "mobilenet_v2": 32, "mobilenet_v3_small": 32, "regnet_x_400mf": 32,
    "regnet_y_400mf": 32, "resnet18": 32, "resnext50_32x4d": 32, "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32, "swin_t": 32, "swin_v2_t": 32, "vgg11": 32, "vgg11_bn": 32,
    "vit_b_32": 224, "wide_resnet50_2": 32,
}  # fmt: skip


def test_every_family_is_here():
    names = torchvision.models.list_models(module=torchvision.models)
    # torchvision has a module for every family.
    modules = {name: torchvision.models.get_model_builder(name).__module__ for name in names}
    assert {modules[name] for name in SIDES} == set(modules.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("name", SIDES)
def test_torchvision_model(name):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (8, 3, SIDES[name], SIDES[name]), dtype=np.uint8)
    y = np.array(["a"] * 6 + ["b"] * 2)
    factory = getattr(torchvision.models, name)
    # A larger rate blows up deep networks: three rows of one pixel are too few for batch norm.
    clf = OPeNClassifier(factory, max_epochs=1, batch_size=4, lr=1e-6, random_state=0, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBatchNormWarning)
        clf.fit(X, y)
    assert clf.epoch_plan(0).is_noise.any()
    assert clf.predict_proba(X[:2]).shape == (2, 2)
    assert set(clf.predict(X[:2])) <= {"a", "b"}
