"""MetaSampledClassifier: one epoch against a loop from the paper's formulas, and what it keeps."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open._random import keyed_generator, keyed_random_state
from sklearn_open.backbones import SmallMLP
from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier
from sklearn_open.decoupling._meta_sampler import draw_balanced

SETTINGS = {"batch_size": 12, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def first(images):
    return OPeNClassifier(resampler=None, max_epochs=3, **SETTINGS).fit(*images)


def balms(first, cls=MetaSampledClassifier, **params):
    final = cls(start_epoch=0, max_epochs=3, **SETTINGS).set_params(**params)
    return DecoupledClassifier(FrozenEstimator(first), final, head="fresh")


def test_epochs_of_balms_by_hand(first, images):
    """A fresh linear head on features: closed-form gradients, in float64, for two epochs."""
    X, y = images
    params = {"meta_lr": 0.05, "meta_power": 0.2, "max_epochs": 2, "lr_milestones": ()}
    clf = balms(first, **params).fit(X, y)
    begun = balms(first, **{**params, "max_epochs": 0}).fit(X, y).final_estimator_.module_.head
    second, seed = clf.final_estimator_, clf.final_estimator_.seed_
    features = []
    hook = first.module_.fc.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    first.forward(X)
    hook.remove()
    h, codes = torch.cat(features).double(), torch.from_numpy(y)
    counts = torch.bincount(codes).double()
    W, b = (p.detach().clone().double() for p in (begun.weight, begun.bias))
    a = (counts / counts.sum()) ** -0.2
    rates = a / (a.min() + a.max())
    theta = (rates / (1 - rates)).log().requires_grad_()
    adam = torch.optim.Adam([theta], lr=0.05)
    buffers = [torch.zeros_like(W), torch.zeros_like(b)]

    def step(W, b, buffers, x, y, weights):
        """The optimiser's: momentum 0.9, weight decay 2e-4, rate 0.1, on Balanced Softmax."""
        d = ((x @ W.T + b + counts.log()).softmax(1) - torch.eye(3).double()[y]) / len(x)
        d = d * weights[:, None]
        new = [
            0.9 * m + g + 2e-4 * p
            for m, g, p in zip(buffers, (d.T @ x, d.sum(0)), (W, b), strict=True)
        ]
        return W - 0.1 * new[0], b - 0.1 * new[1], new

    for epoch in range(2):
        for batch in range(60 // 12):
            generator = keyed_generator("cpu", seed, "meta", epoch, batch)
            numbers = torch.empty(12, 60).exponential_(generator=generator).double()
            p = torch.sigmoid(theta)[codes]
            soft = ((p / p.sum()).log() - numbers.log()).softmax(1)
            rows = soft.argmax(1)
            selected = soft[torch.arange(12), rows]
            meta = draw_balanced(y, 12, keyed_random_state(seed, "meta", epoch, batch))
            weights = 1 + selected - selected.detach()
            W_next, b_next, _ = step(W, b, buffers, h[rows], codes[rows], weights)
            adam.zero_grad()
            F.cross_entropy(h[meta] @ W_next.T + b_next, codes[meta]).backward()
            adam.step()
            ones = torch.ones(12, dtype=torch.float64)
            W, b, buffers = step(W, b, buffers, h[rows], codes[rows], ones)
    assert (theta.detach() - (rates / (1 - rates)).log()).abs().min() > 0.05  # they have moved
    np.testing.assert_allclose(second.class_rates_, torch.sigmoid(theta).detach(), rtol=1e-4)
    head = clf.estimator_.module_.fc
    np.testing.assert_allclose(head.weight.detach(), W, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(head.bias.detach(), b, rtol=1e-3, atol=1e-5)


def test_statistics_pass_three_times_a_step(first, images):
    clf = balms(first).set_params(shift_norm=True).fit(*images)
    n_before = first.module_.features[1].num_batches_tracked.item()
    n_after = clf.estimator_.module_.features[1].num_batches_tracked.item()
    assert n_after - n_before == 3 * (3 * (60 // 12))  # train, meta, train again
    for name, own in first.module_.named_parameters():
        if not name.startswith("fc."):
            assert torch.equal(own, clf.estimator_.module_.get_parameter(name)), name


def test_rates_are_noted_and_printed(first, images, capsys):
    clf = balms(first, verbose=1).fit(*images)
    second = clf.final_estimator_
    noted = second.history[:, "class_rates"]
    assert len(noted) == 3
    np.testing.assert_allclose(noted[-1], second.class_shares_)
    np.testing.assert_allclose(np.sum(noted, axis=1), 1)
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1].startswith("Learnt shares of classes in what is drawn: 0.")
    assert "class_rates" not in "".join(shown)


def test_rates_move_from_instances_towards_balance(digits_lt):
    X, y = digits_lt
    plain = OPeNClassifier(resampler=None, max_epochs=10, random_state=0, verbose=0).fit(X, y)
    clf = balms(plain, max_epochs=30, meta_lr=0.05, batch_size=64, criterion="CrossEntropyLoss")
    clf.set_params(final_estimator__criterion=torch.nn.CrossEntropyLoss)
    shares = clf.fit(X, y).final_estimator_.class_shares_
    counts = np.bincount(y)
    by_instance = counts / counts.sum()
    assert shares[counts.argmax()] < by_instance.max()
    assert abs(shares - 0.1).sum() < abs(by_instance - 0.1).sum()


def test_a_network_as_a_whole(images, tmp_path):
    params = {"max_epochs": 4, "start_epoch": 2, **SETTINGS}
    clf = MetaSampledClassifier(SmallMLPOfImages, **params).fit(*images)
    assert np.isfinite(clf.history[:, "train_loss"]).all()
    assert ["class_rates" in epoch for epoch in clf.history] == [False, False, True, True]
    clf.epoch_plan(1)
    with pytest.raises(ValueError, match="drawn while it is trained"):
        clf.epoch_plan(2)
    for twin in (pickle.loads(pickle.dumps(clf)), clone(clf).fit(*images)):
        np.testing.assert_array_equal(twin.predict_proba(images[0]), clf.predict_proba(images[0]))
        np.testing.assert_array_equal(twin.class_rates_, clf.class_rates_)
    clf.save(tmp_path / "clf.safetensors")
    loaded = MetaSampledClassifier.load(tmp_path / "clf.safetensors", SmallMLPOfImages)
    np.testing.assert_array_equal(loaded.predict_proba(images[0]), clf.predict_proba(images[0]))
    loaded.partial_fit(*images)


class SmallMLPOfImages(torch.nn.Sequential):
    """A module at the top level, without batch norm."""

    def __init__(self, num_classes):
        super().__init__(torch.nn.Flatten(), SmallMLP(in_features=3 * 64, num_classes=num_classes))


class Stopped(Exception):
    """A training that dies."""


class Dies(MetaSampledClassifier):
    """One that dies in its third epoch, in the middle of it."""

    def train_step_single(self, batch, **fit_params):
        if len(self.history) == 3 and len(self.history[-1]["batches"]) == 2:
            raise Stopped
        return super().train_step_single(batch, **fit_params)


@pytest.mark.parametrize("shift_norm", [False, True])
def test_one_that_died_ends_with_the_same_bits(first, images, tmp_path, shift_norm):
    def fit(cls=MetaSampledClassifier, **params):
        return balms(first, cls).set_params(shift_norm=shift_norm, **params).fit(*images)

    whole = fit()
    with pytest.raises(Stopped):
        fit(Dies, checkpoint=tmp_path)
    again = fit(checkpoint=tmp_path)
    torch.testing.assert_close(
        again.estimator_.module_.state_dict(), whole.estimator_.module_.state_dict(), rtol=0, atol=0
    )
    np.testing.assert_array_equal(
        again.final_estimator_.class_rates_, whole.final_estimator_.class_rates_
    )


def test_optimizers_of_all_kinds_and_bf16(first, images):
    for params in ({"optimizer": torch.optim.Adam}, {"precision": "bf16"}, {"lr_decay": "cosine"}):
        clf = balms(first, **params).set_params(shift_norm=True).fit(*images)
        assert np.isfinite(clf.predict_proba(images[0])).all()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"meta_power": -1}, "meta_power=-1: pass a number of 0 or more"),
        ({"meta_lr": 0}, "meta_lr=0: pass a number above 0"),
        ({"meta_batch_size": 0}, "meta_batch_size=0"),
        ({"mixup": 0.5}, "mixup=0.5: a MetaSampledClassifier"),
        ({"class_weight": "balanced"}, "class_weight='balanced': a Meta"),
        ({"precision": "fp16"}, "precision='fp16' scales"),
        ({"criterion__prior": "drawn"}, "criterion__prior='train'"),
        ({"optimizer": torch.optim.LBFGS}, "cannot differentiate a step of LBFGS"),
    ],
)
def test_what_is_refused(first, images, params, said):
    for clf in (
        MetaSampledClassifier(**{**SETTINGS, "max_epochs": 1, **params}),
        balms(first, **params),
    ):
        with pytest.raises(ValueError, match=said):
            clf.fit(*images)


def test_a_loader_of_ones_own_and_losses_without_rows_are_refused(images):
    class Own(torch.utils.data.DataLoader):
        pass

    params = {"max_epochs": 1, **SETTINGS}
    with pytest.raises(ValueError, match="so does a MetaSampledClassifier"):
        MetaSampledClassifier(iterator_train=Own, **params).fit(*images)

    class Whole(torch.nn.Module):
        def forward(self, logits, codes):
            return F.cross_entropy(logits, codes)

    with pytest.raises(ValueError, match="MetaSampledClassifier weights the rows of a batch"):
        MetaSampledClassifier(criterion=Whole, **params).fit(*images)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RMSprop])
def test_columns_that_never_move_do_not_spoil_the_others(digits_lt, optimizer):
    X, y = digits_lt
    X = X.reshape(len(X), -1)
    assert (X.std(0) == 0).any()
    clf = MetaSampledClassifier(
        SmallMLP, optimizer=optimizer, lr=1e-3, start_epoch=0, max_epochs=2, **SETTINGS
    ).fit(X, y)
    assert np.isfinite(clf.class_rates_).all()
    assert not np.allclose(clf.class_rates_, 0.5)


def test_rates_of_a_training_that_goes_on(images, tmp_path):
    params = {"meta_power": 1.0, "start_epoch": 0, "max_epochs": 1, **SETTINGS}
    clf = MetaSampledClassifier(**params).fit(*images)
    reached = clf.class_rates_
    clf.set_params(meta_lr=1e-9).partial_fit(*images)
    np.testing.assert_allclose(clf.class_rates_, reached, atol=1e-6)
    clf.save(tmp_path / "clf.safetensors")
    loaded = MetaSampledClassifier.load(tmp_path / "clf.safetensors").partial_fit(*images)
    begun = MetaSampledClassifier(**{**params, "meta_lr": 1e-9}).fit(*images)
    np.testing.assert_allclose(loaded.class_rates_, begun.class_rates_, atol=1e-6)


def test_the_inner_loss_is_that_of_the_step(images):
    """What a subclass, or an auxiliary head, makes of the loss counts."""

    class Nothing(MetaSampledClassifier):
        def get_loss(self, *args, **kwargs):
            return 0 * super().get_loss(*args, **kwargs)

    params = {"start_epoch": 0, "max_epochs": 2, "optimizer__weight_decay": 0.0, **SETTINGS}
    clf = Nothing(**params).fit(*images)
    np.testing.assert_allclose(clf.class_rates_, 0.5, atol=1e-6)
    assert not np.allclose(
        MetaSampledClassifier(**params).fit(*images).class_rates_, 0.5, atol=1e-6
    )
