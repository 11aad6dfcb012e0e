"""Rates of head and backbone, frozen layers: spellings, and that they work in full."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Freezer
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.recipes import fine_tuning_parameters, head_patterns

FREEZE = ("features.0", "features.1")  # the first convolution, and its batch norm


def make(cls=OPeNClassifier, module="SmallCNN", freeze=FREEZE, **params):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 30, "random_state": 0}
    settings |= {"verbose": 0, "lr": 0.05, "module__width": 4}
    return cls(**fine_tuning_parameters(module, freeze=freeze, **settings | params))


def frozen_of(clf):
    return {name for name, p in clf.module_.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("resnet18", ["fc.*"]),
        ("vit_b_16", ["heads.head.*"]),
        ("wrn16_2", ["fc.*"]),
        (None, ["fc.*"]),
        ("timm:convnext_atto", ["head.fc.*"]),
    ],
)
def test_the_head_by_whatever_name(name, patterns):
    if str(name).startswith("timm"):
        pytest.importorskip("timm")
    assert head_patterns(name) == patterns


def test_a_network_without_a_number_of_classes():
    with pytest.raises(ValueError, match=r"no layer of module=.*parameter num_classes, or write"):
        head_patterns(nn.Identity)


def test_rates_of_head_and_backbone(images):
    clf = make(lr=0.04, backbone_lr=0.004, freeze=(), lr_milestones=(), warmup_epochs=0)
    clf.fit(*images)
    head, backbone = clf.optimizer_.param_groups
    assert (head["lr"], backbone["lr"]) == (0.04, 0.004)
    assert len(head["params"]) == 2


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"freeze='layer1' fits no.*'features', 'fc'; pass names"):
        make(freeze="layer1")
    with pytest.raises(ValueError, match=r"freeze=\['\*'\] leaves nothing to train"):
        make(freeze="*")
    with pytest.raises(ValueError, match=r"lr=0: pass a learning rate above 0"):
        make(lr=0)
    with pytest.raises(ValueError, match=r"backbone_lr=-1: pass"):
        make(backbone_lr=-1)
    with pytest.raises(ValueError, match="both say which layers"):
        make(backbone_lr=0.1, optimizer__param_groups=[("fc*", {"lr": 1})])


def test_callbacks_stay():
    given = [("other", Freezer("fc*"))]
    assert [name for name, _ in make(callbacks=given).callbacks] == ["other", "freeze"]
    assert [name for name, _ in given] == ["other"]


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_frozen_weights_stay_under_noise(images, norm, noise_grad):
    if norm != "dar" and noise_grad == "all":
        pytest.skip("other norms do not read it")
    settings = {"norm": norm, "noise_grad": noise_grad, "delta": 1, "start_epoch": 0}
    fresh = make(max_epochs=0, **settings).fit(*images).module_.state_dict()
    clf = make(**settings).fit(*images)
    assert clf.epoch_plan(0).is_noise.any()
    for name, p in clf.module_.named_parameters():
        is_frozen = name.startswith(("features.0.", "features.1."))
        assert p.requires_grad == (not is_frozen)
        assert torch.equal(p, fresh[name]) == is_frozen, name


def test_freezer_alone_lets_statistics_move(images):
    before = make(max_epochs=0).fit(*images).module_.features[1].running_mean
    after = make(resampler=None).fit(*images).module_.features[1].running_mean
    assert not torch.equal(before, after)


class HeldNorm(SmallCNN):
    """The first batch norm is in eval mode in training as well."""

    def train(self, mode=True):
        super().train(mode)
        self.features[1].eval()
        return self


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_a_network_may_hold_its_statistics(images, noise_grad):
    settings = {"delta": 1, "start_epoch": 0, "noise_grad": noise_grad}
    clf = make(module=HeldNorm, **settings).fit(*images)
    first = clf.module_.features[1]
    assert first.running_mean.eq(0).all()
    assert first.running_var.eq(1).all()
    assert not clf.module_.features[5].running_mean.eq(0).all()


def test_noise_trains_the_head_of_a_frozen_backbone(images):
    clf = make(freeze="features", delta=1, start_epoch=0).fit(*images)
    assert {name.split(".")[0] for name in frozen_of(clf)} == {"features"}
    assert torch.isfinite(clf.module_.fc.weight).all()
    assert np.isfinite(clf.history[-1, "train_loss"])


def test_checkpoints_go_on_with_frozen_layers(images, tmp_path):
    whole = make(max_epochs=3).fit(*images)
    folder = tmp_path / "checkpoint"

    class Dies(OPeNClassifier):
        dies = True

        def run_single_epoch(self, iterator, training, *args, **kwargs):
            if self.dies and len(self.history) == 3:
                raise KeyError("power")
            super().run_single_epoch(iterator, training, *args, **kwargs)

    with pytest.raises(KeyError, match="power"):
        make(Dies, max_epochs=3, checkpoint=folder).fit(*images)
    again = make(Dies, max_epochs=3, checkpoint=folder)
    Dies.dies = False
    again.fit(*images)
    assert frozen_of(again) == frozen_of(whole)
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, again.module_.state_dict()[name]), name


@pytest.mark.parametrize("again", [False, True])
def test_memory_keeps_frozen_layers(images, tmp_path, counted, again):
    params = {"max_epochs": 3, "start_epoch": 2, "memory": tmp_path / "memory"}
    first = make(counted, delta=0.5, **params).fit(*images)
    before = counted.epochs_run
    estimator = first.set_params(delta=0) if again else make(counted, delta=0, **params)
    second = estimator.fit(*images)
    assert counted.epochs_run - before == 1
    assert frozen_of(second) == frozen_of(make(delta=0).fit(*images))


def test_files_know_which_layers_are_frozen(images, tmp_path):
    clf = make().fit(*images)
    clf.save(tmp_path / "clf.safetensors")
    with pytest.warns(UserWarning, match="could not hold these parameters.*callbacks"):
        loaded = OPeNClassifier.load(tmp_path / "clf.safetensors")
    assert frozen_of(loaded) == frozen_of(clf)
