"""The values are the paper's, and train."""

import inspect
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from skorch.callbacks import Callback
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier, datasets
from sklearn_open.backbones import SmallCNN
from sklearn_open.callbacks import StepSchedule
from sklearn_open.plan import resolve_epoch
from sklearn_open.recipes import get_recipe, list_recipes

PLAIN = [
    "cifar10_lt_ir100",
    "cifar10_lt_ir50",
    "cifar100_lt_ir100",
    "cifar100_lt_ir50",
    "celeba5",
    "imagenet_lt",
    "places_lt",
]


TINY = {
    "module": SmallCNN,
    "module__width": 4,
    "max_epochs": 2,
    "batch_size": 16,
    "random_state": 0,
    "verbose": 0,
}


# As the paper's appendix D.1 has them, in epochs; in brackets there: what it does not say.
CIFAR = {
    "module": "wrn28_10", "epochs": 200, "open_from": 160, "drops": {160: 1e-2, 180: 1e-4},
    "warmup": 5, "lr": 0.1, "weight_decay": 2e-4, "batch_size": 128, "augment": "simclr",
}  # fmt: skip


EXPECTED = {name: CIFAR for name in PLAIN if name.startswith("cifar")} | {
    "celeba5": {
        "module": "wrn28_10", "epochs": 90, "open_from": 60, "drops": {30: 0.1, 60: 0.01},
        "warmup": 5, "lr": 0.1, "weight_decay": 2e-4, "batch_size": 128,
        "augment": "simclr_cutout16",
    },
    "imagenet_lt": {
        "module": "resnext50_cosine", "epochs": 220, "open_from": 180,
        "drops": {160: 0.1, 170: 0.01}, "warmup": 0, "lr": 0.05, "weight_decay": 5e-4,
        "batch_size": 256, "augment": "color_rotation",
    },
    "places_lt": {
        "module": "resnet152_cosine", "epochs": 30, "open_from": 15, "drops": {10: 0.1, 15: 0.01},
        "warmup": 0, "lr": 1e-3, "weight_decay": 5e-4, "batch_size": 128,
        "augment": "color_rotation",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_values_are_the_paper_s(name):
    clf, paper = OPeNClassifier.from_recipe(name), EXPECTED[name]
    assert clf.max_epochs == paper["epochs"]
    assert resolve_epoch(clf.start_epoch, clf.max_epochs) == paper["open_from"]
    for parameter in ("module", "lr", "batch_size", "augment"):
        assert getattr(clf, parameter) == paper[parameter]
    assert clf.optimizer__weight_decay == paper["weight_decay"]
    assert (clf.delta, clf.noise_grad, clf.optimizer__momentum) == (1 / 3, "head", 0.9)
    assert clf.optimizer is torch.optim.SGD

    schedule = StepSchedule(clf.warmup_epochs, clf.lr_milestones, clf.lr_decay)
    factors = [schedule.factor(epoch, clf.max_epochs) for epoch in range(clf.max_epochs)]
    expected = np.ones(clf.max_epochs)
    for epoch, factor in paper["drops"].items():
        expected[epoch:] = factor
    expected[: paper["warmup"]] = np.arange(1, paper["warmup"] + 1) / max(paper["warmup"], 1)
    np.testing.assert_allclose(factors, expected)


@pytest.mark.parametrize("name", PLAIN)
def test_autoaugment_replaces_the_augmentation_only(name):
    plain, changed = get_recipe(name).parameters, get_recipe(f"{name}_aa").parameters
    large = name in ("imagenet_lt", "places_lt")
    assert changed == {**plain, "augment": "autoaugment_imagenet" if large else "autoaugment"}


@pytest.mark.parametrize("name", list_recipes())
def test_every_value_has_a_source_and_is_printed(name):
    recipe = get_recipe(name)
    lines = {line.split()[0]: line for line in str(recipe).splitlines()[3:-2]}
    assert list(lines) == list(recipe.parameters) == list(recipe.sources)
    for setting in recipe.settings:
        line = lines[setting.parameter]
        assert setting.source
        assert line.endswith(f"  {setting.source}")
        assert line[len(setting.parameter) :].lstrip().startswith("[") == setting.filled
        assert (setting.parameter in recipe.filled) == setting.filled
    assert str(recipe).startswith(f"{name}: {recipe.title}\ndata: {recipe.dataset}, ")
    assert max(map(len, str(recipe).splitlines())) <= 100
    assert repr(recipe) == str(recipe)


# How, where and with what seed it is computed, and facts about the data at hand.
NOT_OF_THE_PAPER = {
    "checkpoint", "checkpoint_every", "classes", "compile", "device", "distributed", "image_shape",
    "memory", "random_state",
}  # fmt: skip


@pytest.mark.parametrize("name", list_recipes())
def test_nothing_is_hidden(name):
    parameters = inspect.signature(OPeNClassifier).parameters
    named = {p for p in parameters if parameters[p].kind is not inspect.Parameter.VAR_KEYWORD}
    assert named - set(get_recipe(name).parameters) == NOT_OF_THE_PAPER


def test_what_recipes_list_are_the_defaults_of_the_classifier():
    clf = OPeNClassifier()
    for parameter in ("resampler", "composition", "norm", "precision", "criterion", "train_split"):
        for name in list_recipes():
            assert get_recipe(name).parameters[parameter] == getattr(clf, parameter)


@pytest.mark.parametrize("name", list_recipes())
def test_the_data_set_is_one_of_the_package(name):
    assert callable(getattr(datasets, get_recipe(name).dataset.partition("(")[0]))


@pytest.mark.parametrize("name", list_recipes())
def test_every_step_of_the_paper_s_augmentation_is_done_once(name):
    recipe = get_recipe(name)
    crops = "RandomResizedCrop(224)" in recipe.dataset
    if name.startswith(("imagenet", "places")):
        assert crops == (recipe.parameters["augment"] == "color_rotation")
        assert crops != name.endswith("_aa")  # which "replaces all"
    else:
        assert not crops


@pytest.mark.parametrize("name", ["imagenet_lt", "places_lt", "places_lt_aa"])
def test_the_data_call_can_be_made(name, tmp_path):
    file, path = {
        "imagenet_lt": ("ImageNet_LT_train.txt", "train/n01440764/n01440764_1.JPEG"),
        "places_lt": ("Places_LT_train.txt", "data_256/a/airfield/00000001.jpg"),
    }[name.removesuffix("_aa")]
    (tmp_path / file).write_text(f"{path} 0\n")
    (tmp_path / path).parent.mkdir(parents=True)
    Image.new("RGB", (300, 260)).save(tmp_path / path)
    call = get_recipe(name).dataset
    loader = call.partition("(")[0]
    load = partial(getattr(datasets, loader), list_dir=tmp_path, image_root=tmp_path)
    bunch = eval(call, {loader: load, "v2": v2})
    assert bunch.data[0][0].size == (224, 224)


@pytest.mark.parametrize("name", list_recipes())
def test_constructs_and_clones(name):
    clf, recipe = OPeNClassifier.from_recipe(name, random_state=3), get_recipe(name)
    assert isinstance(clf, OPeNClassifier)
    params = clone(clf).get_params(deep=False)
    assert params["random_state"] == 3
    assert {parameter: params[parameter] for parameter in recipe.parameters} == recipe.parameters


@pytest.mark.parametrize("name", list_recipes())
def test_two_tiny_epochs(images, name):
    clf = OPeNClassifier.from_recipe(name, **TINY).fit(*images)
    assert len(clf.history) == 2
    assert not clf.epoch_plan(0).is_noise.any()
    assert clf.epoch_plan(1).is_noise.any()
    assert clf.predict(images[0]).shape == (60,)
    for group in clf.optimizer_.param_groups:
        parameters = get_recipe(name).parameters
        for setting in ("weight_decay", "momentum", "nesterov"):
            assert group[setting] == parameters[f"optimizer__{setting}"]


@pytest.mark.parametrize(
    ("name", "rates", "sizes"),
    [
        ("imagenet_lt", [0.05], [25_028_904 - 2_049_000 + 3 * 2048 + 1]),
        ("places_lt", [0.05, 0.001], [3 * 2048 + 1, 60_192_808 - 2_049_000]),
    ],
)
def test_one_step_of_the_large_networks(name, rates, sizes):
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, (8, 3, 64, 64), dtype=np.uint8), [0, 0, 0, 0, 0, 1, 1, 2]
    here = {"module__weights": None} if name == "places_lt" else {}
    clf = OPeNClassifier.from_recipe(
        name, max_epochs=1, start_epoch=0, precision="float32", random_state=0, verbose=0, **here
    ).fit(X, y)
    groups = clf.optimizer_.param_groups
    assert clf.epoch_plan(0).is_noise.any()
    assert [group["lr"] for group in groups] == rates
    assert [sum(p.numel() for p in group["params"]) for group in groups] == sizes
    head = {id(parameter) for parameter in clf.module_.fc.parameters()}
    assert head <= {id(parameter) for parameter in groups[0]["params"]}
    assert np.isfinite(clf.predict_proba(X)).all()


class Rates(Callback):
    """Keeps the learning rates of every epoch."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("rates", [group["lr"] for group in net.optimizer_.param_groups])


def test_head_and_backbone_follow_the_schedule_together(images):
    short = {**TINY, "max_epochs": 6}  # 10 and 15 of 30 are 2 and 3 of 6
    clf = OPeNClassifier.from_recipe("places_lt", **short, callbacks=[Rates()]).fit(*images)
    factors = [[1], [1], [0.1], [0.01], [0.01], [0.01]]
    np.testing.assert_allclose(clf.history[:, "rates"], factors * np.array([[0.05, 0.001]]))
