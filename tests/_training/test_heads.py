"""Pretrained networks for other classes."""

import numpy as np
import pytest
import torch
import torchvision
from torchvision import models

from sklearn_open import OPeNClassifier


def make(module, **params):
    settings = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "lr": 0}
    return OPeNClassifier(module, **{**settings, **params}, verbose=0)


@pytest.fixture
def offline_weights(monkeypatch):
    """Weights that torchvision would fetch; they are the same for every call."""
    kept = {}

    def state(self, *args, **kwargs):
        name = type(self).__name__.removesuffix("_Weights")
        if name not in kept:
            flat = name.lower().replace("_", "")
            known = {n.replace("_", ""): n for n in models.list_models(module=models)}
            with torch.random.fork_rng():
                kept[name] = models.get_model(known[flat]).state_dict()
        return kept[name]

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", state)
    return kept


@pytest.fixture
def photographs(images):
    X, y = images
    return np.repeat(np.repeat(X, 4, axis=2), 4, axis=3), y


@pytest.mark.parametrize(
    ("name", "weights", "head"),
    [
        ("resnet18", "IMAGENET1K_V1", "fc"),
        ("resnet18", "DEFAULT", "fc"),
        ("squeezenet1_1", models.SqueezeNet1_1_Weights.IMAGENET1K_V1, "classifier.1"),
        ("mobilenet_v3_small", "DEFAULT", "classifier.3"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn_open.exceptions.NoBatchNormWarning")
def test_a_fresh_head_is_told_by_name(photographs, offline_weights, name, weights, head):
    with pytest.warns(UserWarning, match=rf"for 1000 classes, and y has 3: '{head}' is fresh"):
        clf = make(name, module__weights=weights).fit(*photographs)
    (state,) = offline_weights.values()
    own = clf.module_.state_dict()
    for key, value in state.items():
        if not key.startswith(head) and "running" not in key and "num_batches" not in key:
            torch.testing.assert_close(own[key], value, rtol=0, atol=0)
    assert clf.predict_proba(photographs[0]).shape == (60, 3)


def test_the_fresh_head_follows_the_random_state_and_saves(photographs, offline_weights, tmp_path):
    with pytest.warns(UserWarning, match="is fresh"):
        first, second = (
            make("resnet18", module__weights="DEFAULT").fit(*photographs) for _ in range(2)
        )
    torch.testing.assert_close(first.module_.fc.weight, second.module_.fc.weight, rtol=0, atol=0)
    first.save(tmp_path / "a.safetensors")
    again = OPeNClassifier.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(
        again.predict_proba(photographs[0]), first.predict_proba(photographs[0])
    )


def test_unknown_weights_are_torchvision_s_matter(photographs):
    with pytest.raises((ValueError, KeyError), match="IMAGENET1K_V9"):
        make("resnet18", module__weights="IMAGENET1K_V9").fit(*photographs)


def test_checkpoints_of_timm(photographs, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    whole = timm.create_model("resnet10t", num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "seven.pth")
    params = {"module__checkpoint_path": str(tmp_path / "seven.pth")}
    with pytest.warns(UserWarning, match="for 7 classes, and y has 3: 'fc' is fresh"):
        clf = make("timm:resnet10t", **params).fit(*photographs)
    torch.testing.assert_close(
        clf.module_.layer1[0].conv1.weight, whole.layer1[0].conv1.weight, rtol=0, atol=0
    )
    other = timm.create_model("resnet18", num_classes=7)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    params = {"module__checkpoint_path": str(tmp_path / "other.pth")}
    with pytest.raises(RuntimeError, match="state_dict"):
        make("timm:resnet10t", **params).fit(*photographs)


def test_a_factory_whose_file_is_gone(images, tmp_path):
    path = tmp_path / "weights.pth"

    def factory(num_classes=3, in_channels=3):
        from sklearn_open.backbones import SmallCNN

        net = SmallCNN(num_classes=num_classes, in_channels=in_channels)
        net.load_state_dict(torch.load(path))
        return net

    from sklearn_open.backbones import SmallCNN

    torch.save(SmallCNN(num_classes=3, in_channels=3).state_dict(), path)
    clf = make(factory).fit(*images)
    clf.save(tmp_path / "clf.safetensors")
    path.unlink()
    with pytest.raises(ValueError, match=r"weights\.pth.*pass what makes the network without"):
        OPeNClassifier.load(tmp_path / "clf.safetensors", module=factory)
