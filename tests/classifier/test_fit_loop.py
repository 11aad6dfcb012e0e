"""Whole trainings, bit by bit."""

import pickle
import random

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_it_equals_a_loop_written_out(images, noise_grad):
    """Plan, noise, two routes and optimiser, against the paper's listing with masks."""
    X, y = images
    clf = make(tiny_net, start_epoch=1, precision="float32", noise_grad=noise_grad)
    clf.fit(X, y)

    net = make(tiny_net, max_epochs=0).fit(X, y).module_  # the same initial weights
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = Listing
            layer.noise_grad = noise_grad
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-4)
    pixels, labels = torch.from_numpy(X), torch.from_numpy(y)
    for epoch in range(3):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 if epoch < 2 else 0.05 * 0.01
        for b, (index, n_noise) in enumerate(clf.epoch_plan(epoch).batches()):
            natural = index[: len(index) - n_noise]
            codes = labels[index]
            x = clf.transform_.train(pixels[natural], codes[len(natural) :], epoch, b)
            Listing.mask = torch.arange(len(index)) >= len(natural)
            optimizer.zero_grad()
            F.cross_entropy(net(x), codes).backward()
            optimizer.step()
    for got, expected in zip(clf.module_.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    for got, expected in zip(clf.module_.buffers(), net.buffers(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_before_the_start_all_methods_are_one(images):
    methods = [{"resampler": None}, {"delta": 0}, {"delta": 1}, {"composition": "bernoulli"}]
    losses = [make(start_epoch=2, **m).fit(*images).history[:, "train_loss"] for m in methods]
    assert all(loss[:2] == losses[0][:2] for loss in losses)
    assert len({loss[2] for loss in losses}) == 4


def test_random_state_fixes_everything_and_nothing_else_is_touched(images):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    dropout = {"module__depth": 10, "module__widen_factor": 1, "module__dropout": 0.5}
    first, second, other = (
        make(WideResNet, augment="cutout", random_state=seed, **dropout).fit(*images)
        for seed in (0, 0, 1)
    )
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


@pytest.mark.parametrize(
    "resampler", [RandomUnderSampler, SMOTE(k_neighbors=2), PureNoiseOverSampler(delta=0.5)]
)
def test_other_resamplers(images, resampler):
    X, y = images
    clf = make(resampler=resampler).fit(X, np.array(["a", "b", "c"])[y])
    assert clf.predict(X).shape == (60,)
    plan = clf.epoch_plan(2)
    if isinstance(resampler, SMOTE):
        assert plan.index.min() >= 60  # rows that the sampler made
    assert plan.is_noise.any() == isinstance(resampler, PureNoiseOverSampler)


@pytest.mark.parametrize("augment", ["flip_crop", "cutout", "simclr", lambda x: x.flip(3)])
def test_augmentation(images, augment):
    assert make(augment=augment, max_epochs=2).fit(*images).predict(images[0]).shape == (60,)


class Listing(nn.BatchNorm2d):
    """Masked DAR-BN, from the paper's formulas."""

    mask = None

    def forward(self, x):
        if not self.training or not self.mask.any():
            return super().forward(x)
        natural = super().forward(x[~self.mask])
        with torch.set_grad_enabled(self.noise_grad == "all"):
            noise, shape = x[self.mask], (1, -1, 1, 1)
            mean, var = noise.mean((0, 2, 3)), noise.var((0, 2, 3), unbiased=False)
            noise = (noise - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
            noise = noise * self.weight.detach().view(shape) + self.bias.detach().view(shape)
        return torch.cat([natural, noise])


def test_an_error_in_training_leaves_something_that_pickles(images):
    class Fails(Callback):
        def on_batch_end(self, net, **kwargs):
            raise RuntimeError("stop")

    clf = make(callbacks=[Fails()], verbose=2)
    with pytest.raises(RuntimeError, match="stop"):
        clf.fit(*images)
    clf.set_params(callbacks=None).callbacks_ = [
        pair for pair in clf.callbacks_ if not isinstance(pair[1], Fails)
    ]
    pickle.dumps(clf)


def test_an_interrupt_leaves_a_usable_estimator(images):
    class Stops(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    clf = make(callbacks=[Stops()], start_epoch=0).fit(*images)
    assert len(clf.history) == 2
    assert clf.predict(images[0]).shape == (60,)


class StopAfter(Callback):
    """Ends training as early stopping does."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.n_epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_training_that_ends_before_it_is_rebalanced_is_told_of(images, n_epochs):
    clf = make(max_epochs=6, start_epoch=3, callbacks=[StopAfter(n_epochs)])
    with pytest.warns(UserWarning, match=rf"ended after epoch {n_epochs}, .*start_epoch=3") as told:
        clf.fit(*images)
    assert len(told) == 1
    assert not clf.interrupted_


@pytest.mark.parametrize(
    ("n_epochs", "params"),
    [(4, {}), (2, {"resampler": None}), (2, {"start_epoch": 6}), (6, {})],
)
def test_training_that_lost_nothing_is_not_told_of(images, n_epochs, params):
    settings = {"max_epochs": 6, "start_epoch": 3, "callbacks": [StopAfter(n_epochs)], **params}
    assert len(make(**settings).fit(*images).history) == n_epochs


def test_early_stopping_of_skorch_s(images):
    stop = EarlyStopping(patience=1, threshold=1e9, threshold_mode="abs", monitor="train_loss")
    with pytest.warns(UserWarning, match="before rebalancing sets in"):
        make(max_epochs=6, start_epoch=5, callbacks=[stop]).fit(*images)


def test_weights_of_an_early_epoch_that_are_put_back_are_told_of(images):
    best = EarlyStopping(
        patience=9, threshold=1e9, threshold_mode="abs", monitor="train_loss", load_best=True
    )
    with pytest.warns(UserWarning, match="put back the weights of epoch 1, before rebalancing"):
        make(max_epochs=4, start_epoch=3, callbacks=[best]).fit(*images)
