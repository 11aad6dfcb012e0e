"""What every loss keeps, found by its name; and what else `criterion=` takes."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open._persistence import facts
from sklearn_open.losses import BalancedSoftmaxLoss, ClassCountLoss, FocalLoss, LADELoss, LDAMLoss
from sklearn_open.losses._names import LOSSES, find_loss

SETTINGS = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0, "verbose": 0}
NAMES = sorted(LOSSES)
OF_COUNTS = [name for name in NAMES if issubclass(find_loss(name), ClassCountLoss)]
# What a loss needs of the network.
NETWORKS = {"ldam": {"module__head": "cosine"}}


def rows(n=6, n_classes=4, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randint(n_classes, (n,), generator=generator)


def made(name, **params):
    counts = {"late__class_counts": [50, 20, 7, 2]} if name == "deferred" else {}
    if issubclass(find_loss(name), ClassCountLoss):
        counts = {"class_counts": [50, 20, 7, 2]}
    loss = find_loss(name)(**{**counts, **params})
    if name == "deferred":
        loss.is_late = True
    return loss


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_gradients_are_those_of_the_loss(self, name):
        logits, codes = rows()
        loss = made(name)
        assert torch.autograd.gradcheck(lambda z: loss(z, codes), logits.requires_grad_())

    @pytest.mark.parametrize(
        ("dtype", "rtol"), [(torch.float32, 2e-6), (torch.float16, 3e-3), (torch.bfloat16, 2e-2)]
    )
    def test_lower_precisions_are_near_float64(self, name, dtype, rtol):
        logits, codes = rows()
        expected = made(name)(logits, codes)
        found = made(name)(logits.to(dtype), codes).double()
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol)

    def test_under_autocast_it_is_the_same(self, name):
        logits, codes = rows(dtype=torch.float32)
        expected = made(name)(logits, codes)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(made(name)(logits, codes), expected)

    def test_it_is_finite_for_logits_of_any_size(self, name):
        logits, codes = rows(dtype=torch.float32)
        logits = (300 * logits).requires_grad_()
        loss = made(name)(logits, codes)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()

    def test_the_order_of_rows_does_not_matter(self, name):
        logits, codes = rows()
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        loss = made(name)
        torch.testing.assert_close(loss(logits[order], codes[order]), loss(logits, codes))

    def test_copies_and_pickles(self, name):
        logits, codes = rows()
        loss = made(name)
        for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
            assert torch.equal(twin(logits, codes), loss(logits, codes))

    def test_in_the_classifier(self, name, images, tmp_path):
        """By name and by class, under memory= and checkpoint=, saved and loaded."""
        X, y = images[0], np.array(["b", "c", "a"])[images[1]]
        params = {**SETTINGS, **NETWORKS.get(name, {})}
        by_name = OPeNClassifier(criterion=name, memory=tmp_path / "memory", **params).fit(X, y)
        by_class = OPeNClassifier(
            criterion=find_loss(name), checkpoint=tmp_path / "checkpoint", **params
        )
        for _ in range(2):  # the second takes the end from the folder
            clone(by_class).fit(X, y)
        by_class = clone(by_class).fit(X, y)
        assert np.isfinite(by_name.history[:, "train_loss"]).all()
        proba = by_name.predict_proba(X)
        for other in (by_class, clone(by_name).fit(X, y), pickle.loads(pickle.dumps(by_name))):
            np.testing.assert_array_equal(other.predict_proba(X), proba)
        for clf in (by_name, by_class):
            clf.save(tmp_path / "clf.safetensors")
            loaded = OPeNClassifier.load(tmp_path / "clf.safetensors")
            assert find_loss(loaded.criterion) is find_loss(name)
            np.testing.assert_array_equal(loaded.predict_proba(X), proba)
            loaded.partial_fit(X, y)  # it goes on, with counts that it is told anew

    def test_mistyped_parameters_are_refused_before_training(self, name, images):
        clf = OPeNClassifier(criterion=name, criterion__reduktion="mean", **SETTINGS)
        with pytest.raises((ValueError, TypeError), match="reduktion"):
            clf.fit(*images)
        assert not clf.initialized_


@pytest.mark.parametrize("name", OF_COUNTS)
class TestOfCounts:
    def test_reductions_agree(self, name):
        logits, codes = rows()
        if name == "lade":  # a regulariser that rows share
            return
        each = made(name, reduction="none")(logits, codes)
        torch.testing.assert_close(made(name)(logits, codes), each.mean())
        torch.testing.assert_close(made(name, reduction="sum")(logits, codes), each.sum())

    def test_it_scales_with_the_counts(self, name):
        """Ten times the rows of every class change nothing."""
        logits, codes = rows()
        tenfold = made(name, class_counts=[500, 200, 70, 20])(logits, codes)
        torch.testing.assert_close(tenfold, made(name)(logits, codes))

    def test_equal_counts_are_cross_entropy(self, name):
        logits, codes = rows()
        off = {"focal": {"gamma": 0}, "lade": {"alpha": 0}, "ldam": {"max_margin": 0, "scale": 1}}
        loss = made(name, class_counts=[9] * 4, **off.get(name, {}))
        torch.testing.assert_close(loss(logits, codes), F.cross_entropy(logits, codes))

    def test_classes_without_rows(self, name):
        logits, codes = rows()
        loss = made(name, class_counts=[9, 0, 3, 0])
        assert torch.equal(
            loss(logits, codes), made(name, class_counts=[9, 1, 3, 1])(logits, codes)
        )


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=100).filter(any), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_counts_give_a_finite_loss_and_gradient(counts, seed):
    logits, codes = rows(5, len(counts), torch.float32, seed)
    for name in OF_COUNTS:
        z = logits.clone().requires_grad_()
        loss = find_loss(name)(class_counts=counts)(z, codes)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize(
    ("params", "same_as"),
    [
        ({"criterion": "balanced_softmax", "criterion__tau": 0}, {}),
        ({"class_weight": {0: 1, 1: 1.0}}, {}),
        ({"class_weight": "balanced", "class_weight__reduction": "mean"}, None),
        ({"criterion": LADELoss, "criterion__alpha": 0}, {"criterion": "balanced_softmax"}),
        (
            {"criterion": "balanced_softmax", "criterion__prior": "drawn"},
            {"criterion": BalancedSoftmaxLoss},
        ),
    ],
    ids=str,
)
def test_what_is_switched_off_has_the_bits_of_what_is_left(images, params, same_as):
    X, y = images
    if same_as is None:  # equal classes: no weights
        rows_of_each = np.concatenate([np.flatnonzero(y == c)[:6] for c in range(3)])
        X, y, same_as = X[rows_of_each], y[rows_of_each], {}
    common = {**SETTINGS, "resampler": None}
    one = OPeNClassifier(**common, **params).fit(X, y)
    other = OPeNClassifier(**common, **same_as).fit(X, y)
    torch.testing.assert_close(one.module_.state_dict(), other.module_.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"criterion": "balanced_softmaks"}, r"no loss.*Is it 'balanced_softmax'"),
        ({"criterion": LDAMLoss}, r"no CosineClassifier"),
        ({"criterion": 3}, r"criterion=3 is no loss"),
        ({"criterion": "deferred", "criterion__late": "lde"}, "criterion='lde' is no loss"),
        (
            {"criterion": FocalLoss, "criterion__class_counts": [1, 2]},
            r"criterion__class_counts has 2 numbers, and there are 3 classes",
        ),
        ({"criterion": "focal", "criterion__weight": [1, 2, 3, 4]}, r"criterion__weight has 4"),
        ({"class_weight": "effective", "class_weight__beta": 1}, "beta=1"),
        ({"class_weight": "effective", "class_weight__betta": 0.9}, r"class_weight__beta"),
        ({"class_weight": "balanced", "class_weight__beta": 0.9}, r"class_weight__beta is no"),
        ({"class_weight__reduction": "sum"}, "class_weight__reduction='sum' is unknown"),
        ({"class_weight": {5: 2}}, "weights for '5', and the labels are 0, 1, 2"),
        ({"class_weight": "balanced", "criterion__weight": [1.0, 2, 3]}, "both weight classes"),
        (
            {"class_weight": "balanced", "criterion__reduction": "sum"},
            "CrossEntropyLoss has reduction='sum'",
        ),
        ({"mixup": 0}, "mixup=0"),
        ({"mixup": "yes"}, "mixup='yes'"),
        ({"averaging": "mean"}, "averaging='mean' is unknown"),
        ({"logit_adjustment": None}, "logit_adjustment=None is not a number"),
        ({"logit_adjustment": 1, "predict_nonlinearity": None}, "makes none"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_before_training(images, params, message):
    clf = OPeNClassifier(**SETTINGS, **params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*images)
    assert not clf.initialized_
    assert not hasattr(clf, "class_count_")


class SmoothedLoss(nn.Module):
    """A throw-away loss: cross entropy with labels that are never sure."""

    def __init__(self, amount=0.1):
        super().__init__()
        self.amount = amount

    def forward(self, logits, codes):
        """Return the loss of a batch."""
        return nn.functional.cross_entropy(logits, codes, label_smoothing=self.amount)


def test_a_new_one_needs_a_class(images, tmp_path):
    clf = OPeNClassifier(criterion=SmoothedLoss, criterion__amount=0.2, **SETTINGS).fit(*images)
    same = OPeNClassifier(criterion__label_smoothing=0.2, **SETTINGS).fit(*images)
    torch.testing.assert_close(clf.module_.state_dict(), same.module_.state_dict(), rtol=0, atol=0)
    np.testing.assert_array_equal(clf.predict_proba(images[0]), same.predict_proba(images[0]))

    clf.save(tmp_path / "clf.safetensors")
    with pytest.raises(ValueError, match=r"criterion \(.*SmoothedLoss\).*criterion=\.\.\."):
        OPeNClassifier.load(tmp_path / "clf.safetensors")
    again = OPeNClassifier.load(tmp_path / "clf.safetensors", criterion=SmoothedLoss)
    np.testing.assert_array_equal(again.predict_proba(images[0]), clf.predict_proba(images[0]))


class Sharpened(ClassCountLoss):
    """A throw-away loss of ours: it writes the losses of rows, and nothing else."""

    def losses(self, logits, codes):
        """Return the loss of each row, less of it for larger classes."""
        counts = torch.as_tensor(self.counts(logits), dtype=logits.dtype)
        return F.cross_entropy(logits, codes, reduction="none") / counts.sqrt()[codes]


def test_a_new_one_of_counts_needs_the_losses_of_rows_and_a_line(monkeypatch, images, tmp_path):
    monkeypatch.setitem(LOSSES, "sharpened", Sharpened)
    monkeypatch.setattr(facts, "known", facts.known.__wrapped__)  # what it has read before
    contract = TestContract()
    contract.test_gradients_are_those_of_the_loss("sharpened")
    contract.test_in_the_classifier("sharpened", images, tmp_path)
    clf = OPeNClassifier(criterion="sharpened", class_weight="effective", mixup=1.0, **SETTINGS)
    assert clf.fit(*images).criterion_.class_counts.tolist() == [36, 18, 6]
