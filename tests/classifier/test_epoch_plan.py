"""Which rows an epoch has."""

import warnings

import numpy as np
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from sklearn_open import OPeNClassifier, PureNoiseOverSampler


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def test_delta_zero_is_the_random_over_sampler_bit_by_bit(images):
    ours, theirs = make(delta=0), make(resampler=RandomOverSampler)
    assert torch.equal(weights(ours.fit(*images)), weights(theirs.fit(*images)))
    assert ours.history[:, "train_loss"] == theirs.history[:, "train_loss"]
    assert not torch.equal(weights(make().fit(*images)), weights(ours))


def test_an_under_sampler_makes_epochs_short(images):
    clf = make(resampler=RandomUnderSampler).fit(*images)
    assert len(clf.epoch_plan(0).index) == 60
    assert len(clf.epoch_plan(1).index) == 18


def test_resampler_parameters(images):
    clf = make(resampler__sampling_strategy={2: 20}, resampler__noise="uniform").fit(*images)
    pool = clf.resampler_.draw(images[1], np.random.RandomState(0))[0]
    assert len(pool) == 60 + 14
    assert make(resampler__delta=0.7).fit(*images).resampler_.delta == 0.7
    uniform = PureNoiseOverSampler(noise="uniform")
    assert make(resampler=uniform, delta=0).fit(*images).resampler_.delta == 0
    assert uniform.delta is None


@pytest.mark.parametrize("epoch", [-1, 1.5, "last"])
def test_epoch_plan_takes_numbers_of_epochs(images, epoch):
    clf = make(max_epochs=1).fit(*images)
    with pytest.raises(ValueError, match="is not the number of an epoch"):
        clf.epoch_plan(epoch)


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


@pytest.mark.parametrize("composition", ["even", "bernoulli"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 9, 17])
def test_every_batch_has_two_natural_rows(n, composition):
    X, y = np.random.RandomState(0).rand(n, 3, 1, 1), np.arange(n) == 0
    some_noise = False
    for batch_size in (2, 3, 4, n - 1, n, 128, -1):
        if batch_size == 1:
            continue
        clf = watched(batch_size=batch_size, composition=composition)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "batch_size=2 leaves no room for noise")
            clf.fit(X, y)
        sizes = [(len(x) - n_noise, n_noise) for x, n_noise in clf.given_]
        assert sum(map(sum, sizes)) == n
        assert min(natural for natural, _ in sizes) >= 2
        some_noise |= any(n_noise == 1 for _, n_noise in sizes)  # of which norms make beta
        assert torch.isfinite(weights(clf)).all()
        assert np.isfinite(clf.predict_proba(X)).all()
    assert some_noise or n < 5
