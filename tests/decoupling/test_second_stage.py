"""The second stage: MiSLAS against a loop from its formulas, and when features stand for rows."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import StepSchedule
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.over_sampling import M2mOverSampler
from sklearn_open.recipes import make_classifier

SETTINGS = {"batch_size": 16, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def first(images):
    return OPeNClassifier(resampler=None, max_epochs=3, mixup=1.0, **SETTINGS).fit(*images)


def mislas(first, **params):
    clf = make_classifier(None, "mislas", **SETTINGS, **params)
    return clf.set_params(estimator=FrozenEstimator(first))


# --- published numbers ---


def test_published_learning_rates(first, images):
    clf = mislas(first).fit(*images)
    second = clf.final_estimator_
    rates = [
        0.1,
        0.0975528,
        0.0904508,
        0.0793893,
        0.0654508,
        0.05,
        0.0345492,
        0.0206107,
        0.00954915,
    ]
    rates.append(0.00244717)
    # The layer under the scale learns at half of that.
    np.testing.assert_allclose(second.history[:, "lr"], np.array(rates) / 2, rtol=2e-5)
    groups = {len(g["params"]): g["lr"] for g in second.optimizer_.param_groups}
    assert groups[2] == pytest.approx(0.00122359, rel=2e-5)
    assert max(groups.values()) == pytest.approx(0.00244717, rel=2e-5)


def test_an_epoch_of_mislas_by_hand(first, images):
    """Label-aware smoothing on scaled logits, SGD with momentum and decay on v, W and b."""
    X, y = images
    clf = mislas(first, final_estimator__max_epochs=2, final_estimator__lr_decay="cosine").fit(X, y)
    assert clf.on_features_
    second, counts = clf.final_estimator_, np.bincount(y)
    network = first.module_
    features = []
    hook = network.fc.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    first.forward(X)
    hook.remove()
    h = torch.cat(features).double()
    W, b = (p.detach().clone().double() for p in (network.fc.weight, network.fc.bias))
    v = torch.ones(3, dtype=torch.float64)
    u = (counts - counts.min()) / (counts.max() - counts.min())
    eps = torch.tensor([0.3 * math.sin(math.pi / 2 * one) for one in u])
    buffers = [torch.zeros_like(part) for part in (v, W, b)]
    for epoch in range(2):
        rate = 0.1 * (1 + math.cos(math.pi * epoch / 2)) / 2
        for rows, _ in second.epoch_plan(epoch).batches():
            x, codes = h[rows], torch.from_numpy(y[rows])
            layer = x @ W.T + b
            z = v * layer
            p = z.softmax(1)
            own, n = torch.eye(3, dtype=torch.float64)[codes], len(rows)
            e = eps[codes][:, None]
            # The gradient of (1 - e) CE(z, y) + e mean_c(-log p_c).
            d = (p - (1 - e) * own - e / 3) / n
            gradients = [(d * layer).sum(0), (d * v).T @ x, (d * v).sum(0)]
            for i, (part, factor) in enumerate(((v, 1.0), (W, 0.5), (b, 0.5))):
                buffers[i] = 0.9 * buffers[i] + gradients[i] + 2e-4 * part
                part -= rate * factor * buffers[i]
    np.testing.assert_allclose(clf.scale_, v.numpy(), rtol=1e-4)
    head = clf.estimator_.module_.fc
    np.testing.assert_allclose(head.weight.detach(), (v[:, None] * W).numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(head.bias.detach(), (v * b).numpy(), rtol=1e-3, atol=1e-5)


# --- features ---


def same_rows(x):
    return x


class TestFeatures:
    def clf(self, first, **params):
        final = OPeNClassifier(delta=0, start_epoch=0, max_epochs=3, **SETTINGS)
        return DecoupledClassifier(FrozenEstimator(first), final.set_params(**params), head="fresh")

    @pytest.mark.parametrize("params", [{}, {"resampler": None}, {"criterion": "balanced_softmax"}])
    def test_they_give_what_rows_give(self, first, images, params):
        clf = self.clf(first, **params).fit(*images)
        on_rows = clone(clf).set_params(final_estimator__augment=same_rows).fit(*images)
        assert clf.on_features_
        assert not on_rows.on_features_
        np.testing.assert_allclose(
            clf.predict_proba(images[0]), on_rows.predict_proba(images[0]), rtol=1e-3, atol=1e-5
        )
        losses = (c.final_estimator_.history[:, "train_loss"] for c in (clf, on_rows))
        np.testing.assert_allclose(*losses, rtol=1e-3)

    @pytest.mark.parametrize(
        "params",
        [
            {"augment": "flip_crop"},
            {"mixup": 0.5},
            {"delta": 0.5},
            {"resampler": M2mOverSampler(threshold=0.4), "delta": None},
            {"train_split": ValidSplit(3, stratified=True)},
            {"callbacks": [("schedule", LRScheduler("StepLR", step_size=1))]},
        ],
    )
    def test_they_do_not_stand_for_what_looks_at_pixels(self, first, images, params):
        clf = self.clf(first, **params)
        if params.get("resampler") is not None:
            clf.set_params(final_estimator__resampler__teacher=first.to_torch())
        clf.fit(*images)
        assert not clf.on_features_
        assert np.isfinite(clf.predict_proba(images[0])).all()

    def test_nor_where_statistics_shift(self, first, images):
        clf = self.clf(first).set_params(shift_norm=True).fit(*images)
        assert not clf.on_features_

    def test_they_are_computed_once(self, first, images):
        calls = []
        hook = first.module_.register_forward_hook(lambda *_: calls.append(1))
        try:
            self.clf(first).set_params(final_estimator__max_epochs=20).fit(*images)
        finally:
            hook.remove()
        assert len(calls) <= 3  # to find the head, and all rows once


# --- what changes in stage two ---


@pytest.mark.parametrize("shift_norm", [False, True])
@pytest.mark.parametrize("head", ["kept", "fresh"])
def test_the_backbone_keeps_its_bits(first, images, head, shift_norm):
    clf = mislas(first, head=head, shift_norm=shift_norm, final_estimator__augment="flip_crop")
    clf.fit(*images)
    before = {name: tensor.clone() for name, tensor in first.module_.state_dict().items()}
    after = clf.estimator_.module_.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {name for name in before if "running" in name or "tracked" in name}
    assert changed == {"fc.weight", "fc.bias"} | (statistics if shift_norm else set())
    assert after.keys() == before.keys()


def test_shifted_statistics_go_on_from_the_first_stage(first, images):
    """With momentum 0.1, from where they were, and not anew."""
    X, y = images
    clf = mislas(first, shift_norm=True, final_estimator__max_epochs=1).fit(X, y)
    norm = first.module_.features[1]
    reached = clf.estimator_.module_.features[1]
    mean = norm.running_mean.clone()
    for rows, _ in clf.final_estimator_.epoch_plan(0).batches():
        x = first.transform_.evaluate(torch.from_numpy(X[rows]))
        mean = 0.9 * mean + 0.1 * first.module_.features[0](x).mean((0, 2, 3)).detach()
    torch.testing.assert_close(reached.running_mean, mean, rtol=1e-4, atol=1e-5)


def test_learnable_weight_scaling_alone_keeps_the_directions(first, images):
    clf = make_classifier(None, "lws", **SETTINGS).set_params(estimator=FrozenEstimator(first))
    clf.fit(*images)
    scale = torch.from_numpy(clf.scale_)
    assert not torch.allclose(scale, torch.ones(3))
    old, new = first.module_.fc, clf.estimator_.module_.fc
    torch.testing.assert_close(new.weight, old.weight * scale[:, None], rtol=0, atol=0)
    torch.testing.assert_close(new.bias, old.bias * scale, rtol=0, atol=0)


def test_published_learning_rates_of_stage_one():
    schedule = StepSchedule(warmup_epochs=5, milestones=(160, 180), decay=0.1)
    rates = {0: 0.02, 4: 0.1, 5: 0.1, 159: 0.1, 160: 0.01, 179: 0.01, 180: 0.001, 199: 0.001}
    for epoch, rate in rates.items():
        assert 0.1 * schedule.factor(epoch, 200) == pytest.approx(rate)


# --- networks of all kinds ---


class Aliased(torch.nn.Module):
    """Its head has two names, and is called by the second."""

    def __init__(self, num_classes):
        super().__init__()
        self.a, self.fc = torch.nn.Linear(3 * 64, 10), torch.nn.Linear(10, num_classes)
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), self.a, torch.nn.ReLU(), self.fc)

    def forward(self, x):
        return self.layers(x)


class AsksItsHead(Aliased):
    """Reads an attribute of its head."""

    def forward(self, x):
        return self.fc(self.layers[:3](x).to(self.fc.weight.dtype))


class Tied(torch.nn.Module):
    """Two layers share a weight."""

    def __init__(self, num_classes):
        super().__init__()
        self.a = torch.nn.Linear(3 * 64, num_classes)
        self.b, self.fc = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
        self.fc.weight = self.b.weight

    def forward(self, x):
        return self.fc(self.b(self.a(x.flatten(1))).relu())


@pytest.mark.parametrize("network", [Aliased, AsksItsHead])
@pytest.mark.parametrize("params", [{"head": "fresh"}, {"head": "kept", "weight_scaling": True}])
def test_what_is_trained_is_what_predicts(images, network, params):
    X, y = images
    first = OPeNClassifier(network, resampler=None, max_epochs=2, **SETTINGS).fit(X, y)
    results = []
    for augment in (None, same_rows):
        final = OPeNClassifier(delta=0, start_epoch=0, max_epochs=3, augment=augment, **SETTINGS)
        clf = DecoupledClassifier(FrozenEstimator(first), final, **params).fit(X, y)
        stage = clf.final_estimator_
        given = torch.from_numpy(X) if augment else None
        if given is not None:
            expected = stage.predict_proba(X)
            np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
        results.append(clf.predict_proba(X))
    np.testing.assert_allclose(*results, rtol=1e-3, atol=1e-5)
    assert not np.allclose(results[0], first.predict_proba(X))


def test_a_head_that_is_called_twice_is_refused(images):
    class Twice(Aliased):
        def forward(self, x):
            return self.layers[3](torch.cat([self.layers(x), self.layers[:3](x)[:, 3:]], 1))

    first = OPeNClassifier(Twice, resampler=None, max_epochs=1, **SETTINGS).fit(*images)
    with pytest.raises(ValueError, match="more than once"):
        mislas(first).fit(*images)


def test_parametrized_heads_are_kept_or_refused(images):
    torch.manual_seed(0)
    network = Aliased(3)
    torch.nn.utils.parametrizations.weight_norm(network.fc)
    first = OPeNClassifier(network, resampler=None, max_epochs=1, **SETTINGS).fit(*images)
    final = OPeNClassifier(delta=0, start_epoch=0, max_epochs=1, **SETTINGS)
    DecoupledClassifier(FrozenEstimator(first), final).fit(*images)
    for params in ({"head": "fresh"}, {"weight_scaling": True}, {"tau": 0.5}):
        with pytest.raises(ValueError, match="is parametrized"):
            DecoupledClassifier(FrozenEstimator(first), final, **params).fit(*images)


class Noisy(torch.utils.data.Dataset):
    """Images that are drawn anew whenever they are read."""

    def __init__(self, X, y):
        self.X, self.y, self.n_read = X, y, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.n_read += 1
        noise = torch.randint(0, 20, self.X[i].shape, dtype=torch.uint8)
        return torch.from_numpy(self.X[i]) + noise, int(self.y[i])


def test_data_sets_are_read_in_every_epoch(images):
    data = Noisy(*images)
    first = OPeNClassifier(resampler=None, max_epochs=1, **SETTINGS).fit(data)
    before = data.n_read
    final = OPeNClassifier(delta=0, start_epoch=0, max_epochs=5, **SETTINGS)
    clf = DecoupledClassifier(FrozenEstimator(first), final).fit(data)
    assert not clf.on_features_
    assert data.n_read - before >= 5 * 60
