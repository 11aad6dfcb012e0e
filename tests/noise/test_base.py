"""Raw noise, and families that start from images."""

import copy

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open.batching import BatchTransform, check_normalize
from sklearn_open.noise import (
    GaussianNoise,
    ImageNoiseFamily,
    NoiseFamily,
    check_noise,
)
from sklearn_open.torch_sampler import PlannedRow, PureNoiseDataset


def make(**params):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16, "delta": 1}
    return OPeNClassifier(**{**settings, "random_state": 0, "verbose": 0, **params})


def generator(*key):
    return keyed_generator("cpu", 0, *key)


def transform(X, y, noise, normalize="dataset"):
    statistics = PixelStatistics.of(X)
    mean, std = check_normalize(normalize, statistics.mean, statistics.std)
    family = check_noise(noise).fit(X, y, statistics)
    return BatchTransform(statistics.scale, mean, std, None, family, seed=0)


def test_own_families_that_start_from_images(images):
    class Inverted(ImageNoiseFamily):
        def sample_from(self, images, codes, generator):
            return 1 - images

    X, y = images
    sampler = PureNoiseOverSampler(delta=1, noise=Inverted(), random_state=0)
    X_res, _ = sampler.fit_resample(X, y)
    noise = sampler.noise_mask_
    np.testing.assert_array_equal(X_res[noise], 255 - X[sampler.sample_indices_][noise])


def test_raw_noise_is_not_normalised(images):
    X, y = images
    codes = torch.zeros(300, dtype=torch.int64)
    natural = torch.from_numpy(X)
    plain = transform(X, y, "gaussian").train(natural, codes, 0, 0)
    raw = transform(X, y, GaussianNoise(raw=True)).train(natural, codes, 0, 0)
    torch.testing.assert_close(raw[:60], plain[:60], rtol=0, atol=0)
    statistics = PixelStatistics.of(X)
    mean, std = (
        torch.tensor(part, dtype=torch.float32).reshape(3, 1, 1)
        for part in (statistics.mean, statistics.std)
    )
    torch.testing.assert_close((raw[60:] - mean) / std, plain[60:])
    assert raw[60:].min() >= 0
    assert raw[60:].max() <= 1


def test_without_normalisation_there_is_no_difference(images):
    X, y = images
    codes = torch.zeros(9, dtype=torch.int64)
    outs = [
        transform(X, y, noise, normalize=None).train(torch.from_numpy(X), codes, 0, 0)
        for noise in ("gaussian", GaussianNoise(raw=True))
    ]
    assert torch.equal(*outs)


def test_unclipped_noise_has_the_law_without_its_edges(images):
    X, y = images
    statistics = PixelStatistics.of(X)
    free = GaussianNoise(clip=False).fit(X, y, statistics)
    noise = free.sample(torch.zeros(400), (3, 16, 16), generator())
    np.testing.assert_allclose(noise.mean((0, 2, 3)), statistics.mean, atol=0.003)
    np.testing.assert_allclose(noise.std((0, 2, 3)), statistics.std, atol=0.003)
    clipped = GaussianNoise().fit(X, y, statistics)
    same = clipped.sample(torch.zeros(400), (3, 16, 16), generator())
    assert noise.min() < 0
    torch.testing.assert_close(noise.clamp(0, 1), same, rtol=0, atol=0)


def test_given_statistics_take_the_place_of_those_of_the_training_set(images):
    X, y = images
    family = GaussianNoise(([0.5, 0.4, 0.3], 0.1), clip=False).fit(X, y, PixelStatistics.of(X))
    noise = family.sample(torch.zeros(400), (3, 16, 16), generator())
    np.testing.assert_allclose(noise.mean((0, 2, 3)), [0.5, 0.4, 0.3], atol=0.002)
    np.testing.assert_allclose(noise.std((0, 2, 3)), [0.1] * 3, atol=0.002)


@pytest.mark.parametrize(
    "statistics", [3, (1, 2, 3), ([0.5], [-0.1]), ([np.nan], [0.1]), "imagenet", ([[0.5]], 1)]
)
def test_statistics_that_are_none(statistics):
    with pytest.raises(ValueError, match=r"statistics=.* is not understood\. Pass a pair"):
        GaussianNoise(statistics)


def test_statistics_of_another_number_of_channels(images):
    with pytest.raises(ValueError, match="each of the 3 channels"):
        make(resampler__noise=GaussianNoise(([0.5] * 2, [0.1] * 2))).fit(*images)


def test_a_classifier_trains_with_it(images):
    X, y = images
    plain, raw = make().fit(X, y), make(resampler__noise=GaussianNoise(raw=True)).fit(X, y)
    assert raw.history[0, "train_loss"] == plain.history[0, "train_loss"]
    assert raw.history[1, "train_loss"] != plain.history[1, "train_loss"]
    same = make(resampler__noise=GaussianNoise()).fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(X), plain.predict_proba(X))
    copy.deepcopy(raw)


def test_a_loop_of_one_s_own():
    dataset = PureNoiseDataset(
        TensorDataset(torch.rand(4, 3, 8, 8), torch.arange(4)),
        GaussianNoise(raw=True).fit(None, None, PixelStatistics(None, np.ones(3), np.ones(3))),
        transform=lambda image: image - 100,
    )
    assert dataset[PlannedRow(0, 0, noise_seed=1)][0].min() >= 0
    assert dataset[0][0].max() < -90


def test_families_are_not_raw_unless_they_say_so():
    assert not NoiseFamily.raw
    assert not GaussianNoise().raw
    assert repr(GaussianNoise(raw=True)) == "GaussianNoise(None, clip=True, raw=True)"
