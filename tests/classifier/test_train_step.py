"""One step: routes, losses, precision, gradients."""

import itertools
import pickle
from collections import namedtuple

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open._training.hardware import _shared_casts_have_gradients
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def test_auxiliary_heads_are_trained(images):
    Outputs = namedtuple("Outputs", ["logits", "aux_logits"])

    class WithHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8))
            self.main, self.head = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x):
            z = self.body(x)
            return Outputs(self.main(z), self.head(z)) if self.training else self.main(z)

    clf = make(WithHead())
    clf.fit(*images)
    assert not torch.equal(clf.module_.head.weight, clf.module.head.weight)
    logits, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    loss = clf.get_loss(Outputs(logits, 2 * logits), y)
    expected = F.cross_entropy(logits, y) + 0.3 * F.cross_entropy(2 * logits, y)
    torch.testing.assert_close(loss, expected)


def test_noise_reaches_the_network_on_its_route_only(images):
    seen = []

    class Watch(nn.BatchNorm2d):
        def forward(self, x):
            if self.training:
                seen.append(len(x))
            return super().forward(x)

    net = nn.Sequential(Watch(3), nn.Flatten(), nn.Linear(192, 3))
    clf = make(net, start_epoch=0, max_epochs=1).fit(*images)
    plan = clf.epoch_plan(0)
    routes = []
    for index, n_noise in plan.batches():
        routes += [len(index) - n_noise] + [n_noise] * (n_noise > 0)
    assert seen == routes
    assert plan.is_noise.any()
    assert int(clf.module_[0].num_batches_tracked) == plan.n_batches


def test_lbfgs_sees_one_noise_in_all_calls_of_a_step(images):
    X, y = images
    clf = make(
        tiny_net,
        optimizer=torch.optim.LBFGS,
        precision="float32",
        lr=0.1,
        batch_size=-1,
        start_epoch=0,
        max_epochs=2,
    )
    assert clf.fit(X, y).history[-1, "train_loss"] < clf.history[0, "train_loss"]


@pytest.mark.parametrize("precision", ["float32", "bf16", "auto"])
def test_precision(images, precision):
    proba = make(precision=precision).fit(*images).predict_proba(images[0])
    assert np.isfinite(proba).all()


def test_fp16_scales_gradients_and_clips_true_ones(images):
    norms = []

    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(max(p.grad.abs().max().item() for _, p in named_parameters))

    clf = make(precision="fp16", callbacks=[Norm()], max_epochs=1).fit(*images)
    assert clf.scaler_.is_enabled()
    assert clf.scaler_.get_scale() > 1000
    assert max(norms) < 100
    pickle.loads(pickle.dumps(make(precision="fp16").fit(*images))).predict(images[0])


def test_fp16_cannot_have_lbfgs(images):
    with pytest.raises(ValueError, match="LBFGS"):
        make(precision="fp16", optimizer=torch.optim.LBFGS).fit(*images)


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_routes_share_casts_of_weights(images, count_casts, noise_grad):
    settings = {"start_epoch": 0, "max_epochs": 1, "delta": 1, "batch_size": 20}
    clf = make(tiny_net, precision="bf16", noise_grad=noise_grad, **settings)
    with count_casts((16, 3, 3, 3)) as casts:  # of the first convolution
        clf.fit(*images)
    assert all(n_noise for _, n_noise in clf.epoch_plan(0).batches())
    per_step = 1 if _shared_casts_have_gradients() else 2
    assert casts.n == per_step * clf.epoch_plan(0).n_batches == per_step * 3


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


def test_gradients_may_be_accumulated_over_batches(images):
    k = 2

    class Accumulates(OPeNClassifier):
        def get_loss(self, *args, **kwargs):
            return super().get_loss(*args, **kwargs) / k

        def train_step(self, batch, **fit_params):
            b = len(self.history[-1, "batches"])  # skorch began this batch's record
            if (b - 1) % k == 0:
                self.optimizer_.zero_grad()
            step = self.train_step_single(batch, **fit_params)
            if b % k == 0:
                self.optimizer_.step()
            return step

    class Gradients(Callback):
        def on_batch_end(self, net, training, **kwargs):
            if training:
                found.append(torch.cat([p.grad.flatten() for p in net.module_.parameters()]))

    plain = {"optimizer__momentum": 0, "optimizer__weight_decay": 0, "precision": "float32"}
    settings = {"max_epochs": 1, "start_epoch": 0, "batch_size": 30, "warmup_epochs": 0,
                "lr_milestones": (), **plain}  # fmt: skip
    found = []
    still = make(tiny_net, **settings, callbacks=[Gradients()]).set_params(lr=0).fit(*images)
    assert still.epoch_plan(0).noise_share > 0
    assert len(found) == k
    before = weights(still)
    clf = Accumulates(tiny_net, random_state=0, verbose=0, lr=0.05, **settings).fit(*images)
    expected = before - 0.05 * sum(found) / k
    torch.testing.assert_close(weights(clf), expected, rtol=1e-5, atol=1e-7)
    assert (weights(clf) - before).abs().max() > 1e-4


def test_all_calls_of_an_lbfgs_step_see_the_same_batch(images):
    clf = watched(
        tiny_net,
        optimizer=torch.optim.LBFGS,
        optimizer__max_iter=4,
        precision="float32",
        lr=0.1,
        batch_size=30,
        delta=0.5,
    ).fit(*images)
    sums = [(float(x.sum()), n_noise) for x, n_noise in clf.given_]
    steps = [next(group) for _, group in itertools.groupby(sums)]
    assert len(steps) == clf.epoch_plan(0).n_batches == 2
    assert len(sums) > 4
    assert [n for _, n in steps] == [n for _, n in clf.epoch_plan(0).batches()]
    assert all(n > 0 for _, n in steps)
    assert torch.isfinite(weights(clf)).all()
