"""From the command line to parameters."""

import pytest
import torch
import torchvision

from sklearn_open import OPeNClassifier
from sklearn_open._command.arguments import parse
from sklearn_open._command.estimator import RECIPE, check_training, settings_of


def given(*options):
    return parse(["train", "photos", *options])


def test_what_is_given_is_set():
    settings = settings_of(given("--module", "resnet20", "--lr", "0.05", "--augment", "none"))
    assert settings == {
        "random_state": 0,
        "device": "auto",
        "augment": None,
        "module": "resnet20",
        "lr": 0.05,
    }
    clf = OPeNClassifier.from_recipe(RECIPE, **settings_of(given("--seed", "3")))
    assert (clf.random_state, clf.max_epochs) == (3, "auto")


def test_weights_make_a_network_to_tune(tmp_path):
    file = tmp_path / "resnet18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), file)
    options = ["--module", "resnet18", "--weights", str(file), "--freeze", "layer1*"]
    settings = settings_of(given(*options, "--lr", "0.1", "--backbone-lr", "0.002"))
    clf = OPeNClassifier.from_recipe(RECIPE, **settings)
    assert clf.module == "resnet18"
    assert clf.normalize[0] == (0.485, 0.456, 0.406)
    assert "0.002" in str(clf.get_params(deep=False))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--weights", "resnet18.pth"], "--weights needs --module"),
        (["--freeze", "layer1*"], "pass --module and --weights"),
        (["--module", "resnet18", "--backbone-lr", "0.1"], "pass --module and --weights"),
        (["--module", "resnet81"], "resnet81"),
        (["--augment", "flip"], "flip"),
        (["--device", "foo"], "--device foo: torch says"),
    ],
)
def test_what_does_not_go_together_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_training(given(*options))
