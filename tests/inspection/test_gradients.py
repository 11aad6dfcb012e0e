"""Gradients of each class."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open.batching import EpochBatches
from sklearn_open.inspection import GradientDisplay, class_gradients
from sklearn_open.inspection._estimators import training_set
from sklearn_open.inspection._gradients import _both_arms, _Spread
from sklearn_open.nn import convert_norm, forward_mixed


def direct_gradients(clf, X, y, n_batches, noise_grad, with_noise):
    """Each batch's gradients by class, one forward pass for each of them."""
    codes = np.searchsorted(clf.classes_, y)
    found = [[] for _ in clf.classes_]
    left = n_batches
    for epoch in range(2, 99):
        for b, (rows, n_noise) in enumerate(clf.epoch_plan(epoch).batches()):
            if not left:
                return found
            left -= 1
            n_natural = len(rows) - n_noise if with_noise else len(rows)
            images = torch.as_tensor(X[rows[:n_natural], None])
            noise_codes = torch.as_tensor(codes[rows[n_natural:]])
            x = clf.transform_.train(images, noise_codes, epoch, b)
            for c in np.unique(codes[rows]):
                network = convert_norm(copy.deepcopy(clf.module_), noise_grad=noise_grad).train()
                logits = forward_mixed(network, x, np.arange(len(rows)) >= n_natural)
                of_class = torch.as_tensor(np.flatnonzero(codes[rows] == c))
                loss = F.cross_entropy(
                    logits[of_class], torch.as_tensor(codes[rows])[of_class], reduction="sum"
                )
                (loss / len(rows)).backward()
                parts = [
                    (torch.zeros_like(p) if p.grad is None else p.grad).ravel()
                    for p in network.parameters()
                ]
                found[c].append(torch.cat(parts).double().numpy())
    return found


@pytest.mark.parametrize("noise_grad", ["head", "all"])
def test_against_direct_computation(fitted, named_digits, noise_grad):
    X, y = named_digits
    got = class_gradients(fitted, X, y, n_batches=4, noise_grad=noise_grad)
    for row, with_noise in enumerate((False, True)):
        found = direct_gradients(fitted, X, y, 4, noise_grad, with_noise)
        for c, gradients in enumerate(found):
            sizes = [np.linalg.norm(g) for g in gradients]
            units = np.array([g / size for g, size in zip(gradients, sizes, strict=True)])
            assert got.magnitude[row, c] == pytest.approx(np.mean(sizes), rel=1e-4)
            spread = units.var(axis=0, ddof=1).sum()
            assert got.direction_variance[row, c] == pytest.approx(spread, rel=1e-4, abs=1e-6)
    np.testing.assert_array_equal(got.class_sizes, np.unique(y, return_counts=True)[1])
    assert got.classes.tolist() == fitted.classes_.tolist()


@pytest.mark.parametrize("augment", [None, "flip_crop", "simclr", "callable"])
def test_arms_differ_in_noise_rows_only(images, augment):
    """Natural rows are the same bits in both, and those of a training batch."""
    if augment == "callable":
        augment = shifted_at_random
    clf = OPeNClassifier(augment=augment, max_epochs=2, start_epoch=1, batch_size=16, verbose=0)
    clf, train = training_set(clf.set_params(random_state=0).fit(*images), *images)
    fed = EpochBatches(train, clf.transform_, clf.device_, lambda: 1)
    for b, ((rows, n_noise), batch) in enumerate(
        zip(clf.epoch_plan(1).batches(), fed, strict=True)
    ):
        without, with_noise = _both_arms(clf, train, 1, b, rows, n_noise)
        assert n_noise > 0
        assert torch.equal(with_noise, batch[0])
        assert torch.equal(without[:-n_noise], with_noise[:-n_noise])
        assert not torch.equal(without[-n_noise:], with_noise[-n_noise:])
        unchanged = clf.transform_.evaluate(torch.as_tensor(images[0][rows[-n_noise:]]))
        assert torch.equal(without[-n_noise:], unchanged) == (augment is None)


def test_a_batch_without_noise_is_the_same_in_both_arms(fitted, named_digits):
    clf, train = training_set(fitted, *named_digits)
    rows, n_noise = next(clf.epoch_plan(0).batches())
    without, with_noise = _both_arms(clf, train, 0, 0, rows, n_noise)
    assert torch.equal(without, with_noise)


def shifted_at_random(x):
    return x.roll(int(torch.randint(1, 8, ())), dims=3)


def test_the_largest_class_has_no_noise_of_its_own(fitted, named_digits):
    """Section 3.3: what noise does to a class grows with what it lacks."""
    X, y = named_digits
    got = class_gradients(fitted, X, y, n_batches=6, noise_grad="all")
    order = np.argsort(got.class_sizes)
    gain = got.direction_variance[1] - got.direction_variance[0]
    assert gain[order[:5]].mean() > gain[order[-1]]


def test_the_spread_of_directions():
    rng = np.random.default_rng(0)
    spread = _Spread(4)
    directions = torch.as_tensor(rng.standard_normal((50, 2000)))
    for direction in directions:
        spread.add(0, direction)  # at random
        spread.add(1, 3 * directions[0])  # one way
    spread.add(2, directions[0])
    spread.add(3, torch.zeros(2000))
    spread.add(3, torch.zeros(2000))
    assert spread.direction_variance[0] == pytest.approx(1, abs=0.02)
    assert spread.direction_variance[1] == pytest.approx(0, abs=1e-12)
    assert spread.magnitude[1] == pytest.approx(3 * float(directions[0].norm()))
    assert np.isnan(spread.magnitude[2:]).all()  # one gradient, and none
    assert np.isnan(spread.direction_variance[2:]).all()


def test_it_is_repeatable_with_dropout_and_augmentation(unfitted, named_digits):
    X, y = named_digits
    clf = clone(unfitted).set_params(
        module=DropoutNet, augment="flip_crop", max_epochs=1, callbacks=None
    )
    clf.fit(X, y)
    runs = [class_gradients(clf, X, y, n_batches=2) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].magnitude, runs[1].magnitude)


class DropoutNet(nn.Sequential):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__(
            nn.Conv2d(in_channels, 4, 3),
            nn.BatchNorm2d(4),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(144, num_classes),
        )


def test_what_is_refused(fitted, unfitted, named_digits):
    X, y = named_digits
    for n_batches in (1, 2.5, True):
        with pytest.raises(ValueError, match=rf"n_batches={n_batches}: .* number of 2 or more"):
            class_gradients(fitted, X, y, n_batches=n_batches)
    with pytest.raises(ValueError, match="not the data that the estimator was fitted on"):
        class_gradients(fitted, X[::-1], y[::-1])
    with pytest.raises(ValueError, match="noise_grad='none' is unknown"):
        class_gradients(fitted, X, y, noise_grad="none")
    drs = clone(unfitted).set_params(delta=0, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="trains without noise"):
        class_gradients(drs, X, y)


def test_a_criterion_without_reduction_is_refused(unfitted, named_digits):
    clf = clone(unfitted).set_params(criterion=OwnLoss, max_epochs=1, callbacks=None)
    with pytest.raises(ValueError, match="OwnLoss gives no loss for each row"):
        class_gradients(clf.fit(*named_digits), *named_digits)


class OwnLoss(nn.Module):
    def forward(self, logits, codes):
        return F.cross_entropy(logits, codes)


def test_bars():
    display = GradientDisplay(
        [[1, 2], [3, 4]], [[0.1, 0.2], [0.3, 0.4]], class_sizes=[5, 9], classes=["a", "b"]
    ).plot()
    for ax, values in zip(
        display.ax_, (display.magnitude, display.direction_variance), strict=True
    ):
        heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
        np.testing.assert_array_equal(heights, values[:, ::-1])
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["b", "a"]
