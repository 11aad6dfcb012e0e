"""Activations around norm layers."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sklearn_open import OPeNClassifier
from sklearn_open._random import keyed_generator
from sklearn_open.backbones import SmallCNN
from sklearn_open.exceptions import NoBatchNormWarning
from sklearn_open.inspection import ActivationDistributionDisplay, activation_distribution


def rows_fed(clf, X, n_noise, random_state=0):
    """Natural and noise rows in float64, written out from section 3.1."""
    seed = np.random.RandomState(random_state).randint(2**31 - 1)
    generator = keyed_generator("cpu", seed, "noise", 0, 0)
    mean, std = clf.transform_.mean, clf.transform_.std
    noise = torch.randn((n_noise, 1, 8, 8), generator=generator).numpy() * std + mean
    rows = np.concatenate([X[:, None] / 16, noise.clip(0, 1)])
    return torch.as_tensor((rows - mean) / std)


def normed(x, layer):
    x = F.batch_norm(x, None, None, layer.weight.double(), layer.bias.double(), True, 0, layer.eps)
    return x.detach().numpy()


def test_the_first_layer_written_out(fitted, named_digits):
    X = named_digits[0][:30]
    conv, norm = fitted.module_.features[0], fitted.module_.features[1]
    x = rows_fed(fitted, X, n_noise=12)
    before = F.conv2d(x, conv.weight.double(), padding=1).detach()
    plain = normed(before, norm)
    routed = np.concatenate([normed(before[:30], norm), normed(before[30:], norm)])

    got = activation_distribution(fitted, X, n_noise=12, random_state=0)
    assert got.layer == "features.1"
    for p, values in enumerate((before.numpy(), plain, routed)):
        for density, rows in ((got.natural[p], values[:30]), (got.noise[p], values[30:])):
            expected = np.histogram(rows, got.bin_edges[p], density=True)[0]
            one_value = 1 / (rows.size * np.diff(got.bin_edges[p])[0])
            # Values next to an edge may fall on either side of it in float32.
            np.testing.assert_allclose(density, expected, atol=5 * one_value)
    np.testing.assert_array_equal(got.bin_edges[1], got.bin_edges[2])
    np.testing.assert_allclose((got.natural * np.diff(got.bin_edges)).sum(axis=1), 1)


def test_dar_bn_brings_the_kinds_together(fitted, named_digits):
    """Fig. 4: after DAR-BN both kinds have mean beta and deviation gamma."""
    X = named_digits[0][:60]
    for layer in (0, 1, 2):
        for channel in (0, 5):
            got = activation_distribution(
                fitted, X, layer=layer, channel=channel, n_bins=400, random_state=0
            )
            centre = (got.bin_edges[:, 1:] + got.bin_edges[:, :-1]) / 2
            norm = fitted.module_.get_submodule(got.layer)
            beta, gamma = norm.bias[channel].item(), norm.weight[channel].item()
            for density in (got.natural[2], got.noise[2]):
                weight = density * np.diff(got.bin_edges[2])
                mean = (weight * centre[2]).sum()
                deviation = np.sqrt((weight * (centre[2] - mean) ** 2).sum())
                assert mean == pytest.approx(beta, abs=0.05)
                assert deviation == pytest.approx(abs(gamma), rel=0.05)


def test_the_network_s_own_layers_are_used_deep_inside(fitted, named_digits):
    """The last layer's DAR-BN output is what a training step computes there."""
    X = named_digits[0][:30]
    x = rows_fed(fitted, X, n_noise=30).float()
    layers = list(fitted.module_.features)
    natural, noise = x[:30], x[30:]
    with torch.no_grad():
        for layer in layers[:9]:
            if isinstance(layer, nn.BatchNorm2d):
                natural, noise = (
                    F.batch_norm(part, None, None, layer.weight, layer.bias, True, 0, layer.eps)
                    for part in (natural, noise)
                )
            else:
                natural, noise = layer(natural), layer(noise)
        norm = layers[9]
        natural = normed(natural.double(), norm)
    got = activation_distribution(fitted, X, layer=-1, random_state=0)
    assert got.layer == "features.9"
    expected = np.histogram(natural, got.bin_edges[2], density=True)[0]
    np.testing.assert_allclose(got.natural[2], expected, atol=0.01)


def test_layers_by_number_and_name(fitted, named_digits):
    X = named_digits[0][:10]
    by_number = activation_distribution(fitted, X, layer=1, random_state=0)
    by_name = activation_distribution(fitted, X, layer="features.5", random_state=0)
    np.testing.assert_array_equal(by_number.natural, by_name.natural)
    for layer in (3, -4, "fc", 0.5, True):
        with pytest.raises(ValueError, match=r"from 0 to 2, or one of 'features\.1'"):
            activation_distribution(fitted, X, layer=layer)
    with pytest.raises(ValueError, match="channels 0 to 31"):
        activation_distribution(fitted, X, channel=32)
    for name in ("n_noise", "n_bins"):
        for value in (0, 1.5):
            with pytest.raises(ValueError, match=rf"{name}={value}: .* 1 or more"):
                activation_distribution(fitted, X, **{name: value})


def test_it_is_seeded(fitted, named_digits):
    X = named_digits[0][:10]
    a, b, c = (activation_distribution(fitted, X, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.noise, b.noise)
    assert not np.array_equal(a.noise, c.noise)


def test_of_a_network_trained_without_noise(unfitted, named_digits):
    """As in Fig. 5; its norm layers are plain ones."""
    clf = clone(unfitted).set_params(resampler=None, max_epochs=1).fit(*named_digits)
    got = activation_distribution(clf, named_digits[0][:30], random_state=0)
    assert got.noise.shape == (3, 60)
    assert type(clf.module_.features[1]) is nn.BatchNorm2d


def test_dropout_is_off(named_digits):
    X, y = named_digits
    network = nn.Sequential(nn.Dropout(0.9), SmallCNN(num_classes=10, in_channels=1))
    clf = OPeNClassifier(network, max_epochs=1, random_state=0, verbose=0).fit(X, y)
    runs = [activation_distribution(clf, X[:30], layer=-1, random_state=0) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].natural, runs[1].natural)


def test_a_network_without_batch_norm_is_refused(named_digits):
    X, y = named_digits
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    clf = OPeNClassifier(network, max_epochs=1, verbose=0)
    with pytest.warns(NoBatchNormWarning):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="no batch norm layer"):
        activation_distribution(clf, X[:10])


class Repeated(nn.Module):
    """Calls one norm layer `n_calls` times, with very different rows after the first."""

    def __init__(self, num_classes=10, in_channels=1, n_calls=2):
        super().__init__()
        self.n_calls = n_calls
        self.conv = nn.Conv2d(in_channels, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.patches = nn.BatchNorm1d(4)
        self.unused = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        x = self.norm(self.conv(x))
        self.patches(x.flatten(2).transpose(1, 2).flatten(0, 1))
        for _ in range(self.n_calls - 1):
            x = self.norm(100 * x.relu())
        return self.fc(x.mean((2, 3)))


def test_of_a_layer_that_is_called_twice_the_first_call_counts(named_digits):
    X, y = named_digits
    settings = {"max_epochs": 1, "random_state": 0, "verbose": 0, "lr": 1e-9}
    twice, once = (
        OPeNClassifier(Repeated, module__n_calls=n, **settings).fit(X, y) for n in (2, 1)
    )
    twice.module_.load_state_dict(once.module_.state_dict())
    got, expected = (
        activation_distribution(clf, X[:30], layer="norm", n_noise=12, random_state=0)
        for clf in (twice, once)
    )
    for name in ("bin_edges", "natural", "noise"):
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize(("layer", "rows"), [("patches", 60 * 64), ("unused", 0)])
def test_a_layer_without_a_row_for_each_image_is_refused(named_digits, layer, rows):
    X, y = named_digits
    clf = OPeNClassifier(Repeated, max_epochs=1, random_state=0, verbose=0).fit(X, y)
    with pytest.raises(ValueError, match=rf"'{layer}' was called with {rows} rows .* of 60"):
        activation_distribution(clf, X[:30], layer=layer)


def test_overlap_and_panels():
    edges = np.array([[0, 1, 2], [0, 2, 4], [0, 1, 2]])
    display = ActivationDistributionDisplay(
        edges, natural=[[1, 0], [0.5, 0], [0.5, 0.5]], noise=[[0, 1], [0.25, 0.25], [0.5, 0.5]]
    )
    np.testing.assert_allclose(display.overlap, [0, 0.5, 1])
    titles = [ax.get_title() for ax in display.plot().ax_]
    assert titles == [
        "input\noverlap 0%",
        "output, plain batch norm\noverlap 50%",
        "output, DAR-BN\noverlap 100%",
    ]
    natural, noise = (patch.get_data().values for patch in display.ax_[1].patches)
    assert (natural.tolist(), noise.tolist()) == ([0.5, 0], [0.25, 0.25])


def test_natural_rows_are_not_augmented(fitted, named_digits):
    X = named_digits[0][:30]
    plain = activation_distribution(fitted, X, random_state=0)
    augmented = copy.copy(fitted)
    augmented.transform_ = replace(fitted.transform_, augment=lambda x, generator: 0 * x)
    got = activation_distribution(augmented, X, random_state=0)
    np.testing.assert_array_equal(got.natural, plain.natural)
