"""module= by name."""

import pickle
import sys

import numpy as np
import pytest
import torch
import torchvision
from sklearn.base import clone

from sklearn_open import OPeNClassifier, backbones
from sklearn_open._training.building import build_module
from sklearn_open.backbones._names import find_maker


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("wrn28_10", backbones.wrn28_10),
        ("resnext50_cosine", backbones.resnext50_cosine),
        ("SmallCNN", backbones.SmallCNN),
        ("resnet18", torchvision.models.resnet18),
        ("torchvision:resnet18", torchvision.models.resnet18),
    ],
)
def test_names_stand_for_what_makes_the_network(name, maker):
    assert find_maker(name) is maker


@pytest.mark.parametrize("name", sorted(set(backbones.__all__) - {"CosineClassifier", "SmallMLP"}))
def test_every_backbone_has_its_name(name):
    with torch.device("meta"):
        network = build_module(name, {}, (3, 32, 32), 7)
    # A cosine classifier's scale has no dimension.
    assert {len(parameter) for parameter in network.fc.parameters() if parameter.ndim} == {7}


@pytest.mark.parametrize("name", ["SmallCNN", "wrn16_2", "timm:test_resnet"])
def test_fit_clone_and_pickle_keep_the_name(images, name):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    settings = {"precision": "float32", "start_epoch": 0, "random_state": 0, "verbose": 0}
    clf = OPeNClassifier(name, max_epochs=1, **settings)
    copy = clone(clf.fit(*images))
    assert copy.get_params()["module"] == name
    assert pickle.loads(pickle.dumps(clf)).module == name
    assert f"module={name!r}" in repr(copy)
    assert clf.predict_proba(images[0]).shape == (60, 3)
    assert clf.epoch_plan(0).is_noise.any()


def test_a_name_gives_the_same_bits_as_what_it_stands_for(images):
    settings = {"max_epochs": 1, "module__width": 4, "random_state": 0, "verbose": 0}
    by_name = OPeNClassifier("SmallCNN", **settings).fit(*images)
    by_class = OPeNClassifier(backbones.SmallCNN, **settings).fit(*images)
    probabilities = by_name.predict_proba(images[0]), by_class.predict_proba(images[0])
    np.testing.assert_array_equal(*probabilities)


def test_checkpoints_and_memory_know_names(images, tmp_path):
    settings = {"max_epochs": 2, "random_state": 0, "verbose": 0}
    settings |= {"memory": str(tmp_path / "m"), "checkpoint": tmp_path / "c"}
    first = OPeNClassifier("SmallCNN", **settings).fit(*images)
    again = OPeNClassifier("SmallCNN", **settings).fit(*images)
    np.testing.assert_array_equal(first.predict_proba(images[0]), again.predict_proba(images[0]))


def test_a_network_of_torchvision_is_told_the_classes():
    network = build_module("torchvision:squeezenet1_1", {}, (3, 32, 32), 7)
    assert network.classifier[1].out_channels == 7


@pytest.mark.parametrize("name", ["resnet10t", "test_resnet"])
def test_a_network_of_timm_is_told_classes_and_channels(name):
    pytest.importorskip("timm")
    network = build_module(f"timm:{name}", {}, (1, 32, 32), 7)
    assert network.num_classes == 7
    assert next(network.parameters()).shape[1] == 1


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("wrn28-10", r"no network of sklearn_open.backbones or torchvision\. Is it 'wrn28_10'"),
        ("ResNet18", r"Is it .*'resnet18'"),
        ("torchvision:resnet19", r"no network of torchvision\. Is it .*'resnet18'"),
        ("CosineClassifier", "no network of sklearn_open"),
        ("fasterrcnn_resnet50_fpn", "no network of sklearn_open"),
        ("zzzz", r"or torchvision\. Otherwise pass a class or a function"),
        ("", r"module='' is no network"),
        ("keras:resnet", r"Use 'torchvision:<name>', 'timm:<name>'"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name, match):
    with pytest.raises(ValueError, match=match):
        find_maker(name)


def test_unknown_names_of_timm():
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=r"no network of timm\. Is it .*'timm:resnet18'"):
        find_maker("timm:resnet-18")


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"needs timm, .*\. Run pip install timm\.$"):
        find_maker("timm:resnet18")


def test_a_refused_name_leaves_a_fitted_net_as_it_was(images):
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(*images)
    before = clf.predict_proba(images[0])
    clf.module = "no such network"
    with pytest.raises(ValueError, match="is no network"):
        clf.fit(*images)
    np.testing.assert_array_equal(clf.predict_proba(images[0]), before)
