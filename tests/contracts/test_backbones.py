"""What every backbone keeps, found among the public names of `backbones`."""

import pytest
import torch

from sklearn_open import OPeNClassifier, backbones
from sklearn_open.backbones import SmallCNN
from sklearn_open.backbones._names import find_maker, network_names

# Networks for large images, or tables, and what they are tried on.
SHAPES = {"SmallMLP": (5,), "resnet152_cosine": (3, 32, 32), "resnext50_cosine": (3, 32, 32)}
SHAPE = (3, 16, 16)
ALWAYS = {
    "SmallCNN": {"in_channels": 3},
    "SmallMLP": {"in_features": 5},
    "WideResNet": {"depth": 10, "widen_factor": 1},
}


def check_rows_become_logits(name):
    shape = SHAPES.get(name, SHAPE)
    torch.manual_seed(0)
    net = find_maker(name)(num_classes=4, **ALWAYS.get(name, {})).eval()
    with torch.no_grad():
        logits = net(torch.rand(2, *shape))
    assert logits.shape == (2, 4)
    assert torch.isfinite(logits).all()


def check_rows_do_not_see_one_another_in_eval_mode(name):
    shape = SHAPES.get(name, SHAPE)
    torch.manual_seed(0)
    net = find_maker(name)(num_classes=4, **ALWAYS.get(name, {})).eval()
    x = torch.rand(3, *shape)
    with torch.no_grad():
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-5)


CHECKS = [check_rows_become_logits, check_rows_do_not_see_one_another_in_eval_mode]


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(name, check):
    check(name)


def tiny_cnn(num_classes, in_channels=3):
    """Make a throw-away network."""
    return SmallCNN(num_classes=num_classes, in_channels=in_channels)


def test_a_new_one_needs_a_function_and_a_public_name(monkeypatch, images):
    monkeypatch.setattr(backbones, "tiny_cnn", tiny_cnn, raising=False)
    monkeypatch.setattr(backbones, "__all__", [*backbones.__all__, "tiny_cnn"])
    for check in CHECKS:
        check("tiny_cnn")
    clf = OPeNClassifier("tiny_cnn", max_epochs=1, random_state=0, verbose=0).fit(*images)
    assert clf.predict_proba(images[0]).shape == (60, 3)
