"""Mixup: which rows are mixed with which, and what becomes of the loss."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.batching._mixing import Mix, draw_mix

SETTINGS = {"max_epochs": 3, "start_epoch": 1, "batch_size": 16, "random_state": 0, "verbose": 0}


def test_published_numbers():
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    mix = Mix(torch.tensor([1, 0]), 0.3, torch.tensor([2, 0]))
    torch.testing.assert_close(mix.rows(x), torch.tensor([[0.3, 1.4], [0.7, 0.6]]))
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.2, -0.1, 0.4]])
    loss = 0.3 * F.cross_entropy(logits, torch.tensor([0, 2]))
    loss += 0.7 * F.cross_entropy(logits, mix.codes)
    torch.testing.assert_close(loss, torch.tensor(1.42015), rtol=2e-5, atol=0)


def test_noise_rows_keep_their_labels():
    codes = torch.arange(10)
    mix = draw_mix(1.0, codes, 7, seed=0, epoch=3, batch=2)
    assert sorted(mix.order.tolist()) == list(range(7))
    assert mix.codes[:7].tolist() == mix.order.tolist()
    assert mix.codes[7:].tolist() == [7, 8, 9]
    again = draw_mix(1.0, codes, 7, seed=0, epoch=3, batch=2)
    assert again.share == mix.share
    assert torch.equal(again.order, mix.order)
    assert draw_mix(1.0, codes, 7, seed=0, epoch=3, batch=3).share != mix.share


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_follow_the_beta_law(alpha):
    codes = torch.zeros(2, dtype=torch.int64)
    shares = [draw_mix(alpha, codes, 2, 0, 0, b).share for b in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


class Recorder(OPeNClassifier):
    """Keeps what every step was trained on, and its loss."""

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        rows, codes = batch
        self.__dict__.setdefault("seen", []).append(
            (rows.clone(), codes.clone(), batch.n_noise, batch.mix, step)
        )
        return step


class Twice(nn.Module):
    """A criterion of one's own that gives one number."""

    def forward(self, logits, codes):
        return 2 * F.cross_entropy(logits, codes)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, Twice, "balanced_softmax", "lade"])
def test_rows_and_losses_are_mixed(images, criterion):
    plain = Recorder(criterion=criterion, **SETTINGS).fit(*images)
    mixed = Recorder(criterion=criterion, mixup=1.0, **SETTINGS).fit(*images)
    assert len(plain.seen) == len(mixed.seen)
    for (x, y, n_noise, none, _), (z, codes, n_mixed, mix, step) in zip(
        plain.seen, mixed.seen, strict=True
    ):
        assert none is None
        assert n_noise == n_mixed
        assert torch.equal(y, codes)  # the same rows are drawn
        natural = len(x) - n_noise
        torch.testing.assert_close(z[:natural], mix.rows(x[:natural]), rtol=1e-4, atol=1e-5)
        assert torch.equal(z[natural:], x[natural:])  # noise is not mixed, and drawn as before
        if criterion is nn.CrossEntropyLoss:
            logits = step["y_pred"]
            expected = mix.share * F.cross_entropy(logits, codes)
            expected += (1 - mix.share) * F.cross_entropy(logits, mix.codes)
            torch.testing.assert_close(step["loss"], expected)
    assert any(n for _, _, n, _, _ in mixed.seen)


def test_class_weights_are_those_of_the_mixed_labels(images):
    clf = Recorder(
        mixup=1.0, class_weight={0: 1, 1: 2, 2: 5}, **{**SETTINGS, "start_epoch": 0}
    ).fit(*images)
    weights = torch.tensor([1.0, 2, 5])
    for _, codes, _, mix, step in clf.seen:
        first, second = (
            F.cross_entropy(step["y_pred"], labels, weights) for labels in (codes, mix.codes)
        )
        torch.testing.assert_close(step["loss"], mix.share * first + (1 - mix.share) * second)


def test_a_data_loader_of_one_s_own_is_mixed_too(images):
    clf = Recorder(mixup=1.0, resampler=None, iterator_train__drop_last=True, **SETTINGS)
    clf.fit(*images)
    assert all(mix is not None for _, _, _, mix, _ in clf.seen)


def test_predictions_and_rows_held_out_are_not_mixed(images):
    from skorch.dataset import ValidSplit

    clf = OPeNClassifier(mixup=1.0, train_split=ValidSplit(3), **SETTINGS).fit(*images)
    assert np.isfinite(clf.history[:, "valid_loss"]).all()
    np.testing.assert_array_equal(clf.predict_proba(images[0]), clf.predict_proba(images[0]))


def test_tables_are_mixed(images):
    table = images[0].reshape(60, -1).astype(np.float32)
    clf = OPeNClassifier(mixup=0.5, **SETTINGS).fit(table, images[1])
    assert np.isfinite(clf.history[:, "train_loss"]).all()
