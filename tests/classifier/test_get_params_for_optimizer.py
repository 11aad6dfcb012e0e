"""What the optimiser is given."""

import torch

from sklearn_open import OPeNClassifier


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def test_the_paper_s_delta_momentum_and_decay(images):
    clf = make(max_epochs=1).fit(*images)
    assert clf.resampler_.delta == 1 / 3
    group = clf.optimizer_.param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 2e-4, False)
    clf = make(max_epochs=1, optimizer__momentum=0.5).fit(*images)
    assert clf.optimizer_.param_groups[0]["momentum"] == 0.5


def test_other_optimizers_keep_their_own(images):
    clf = make(max_epochs=1, optimizer=torch.optim.Adam, lr=1e-3).fit(*images)
    assert clf.optimizer_.param_groups[0]["weight_decay"] == 0


def test_sgd_is_fused_unless_told_otherwise(images):
    assert make().fit(*images).optimizer_.defaults["fused"]
    for given in ({"foreach": True}, {"fused": False}, {"differentiable": False}):
        params = {f"optimizer__{name}": value for name, value in given.items()}
        assert not make(**params).fit(*images).optimizer_.defaults["fused"]
