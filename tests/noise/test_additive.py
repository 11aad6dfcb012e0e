"""Noise that is added to training images."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.utils.data import TensorDataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._random import keyed_generator
from sklearn_open._training.training_set import take_in
from sklearn_open.noise import (
    AdditiveGaussianNoise,
)
from sklearn_open.torch_sampler import PlannedRow, PureNoiseDataset


def make(**params):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16, "delta": 1}
    return OPeNClassifier(**{**settings, "random_state": 0, "verbose": 0, **params})


def generator(*key):
    return keyed_generator("cpu", 0, *key)


@pytest.mark.parametrize("sigma", [0, 10, 75])
def test_what_is_added_is_normal_with_sigma_of_255(sigma):
    images = torch.full((100, 3, 16, 16), 0.5)
    before = images.clone()
    noisy = AdditiveGaussianNoise(sigma, clip=False).sample_from(
        images, torch.zeros(100), generator()
    )
    added = (noisy - images) * 255
    assert noisy.dtype == torch.float32
    assert abs(float(added.mean())) <= 0.02 * sigma
    assert abs(float(added.std(correction=0)) - sigma) <= 0.01 * sigma + 1e-3
    # The law itself: quantiles of the normal distribution.
    if sigma:
        shares = [(added < q * sigma).float().mean() for q in (-1, 0, 1)]
        np.testing.assert_allclose(shares, [0.1587, 0.5, 0.8413], atol=0.005)
        neighbours = added[..., :-1] * added[..., 1:]
        assert abs(float(neighbours.mean())) < 0.01 * sigma**2
    assert torch.equal(images, before)


def test_clipping_is_the_default_and_the_only_difference():
    images = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(20)
    free = AdditiveGaussianNoise(75, clip=False).sample_from(images, codes, generator())
    clipped = AdditiveGaussianNoise(75).sample_from(images, codes, generator())
    assert free.min() < 0
    assert free.max() > 1
    torch.testing.assert_close(clipped, free.clamp(0, 1), rtol=0, atol=0)
    again = AdditiveGaussianNoise(75).sample_from(images, codes, generator())
    assert torch.equal(again, clipped)


@pytest.mark.parametrize("sigma", [-1, np.nan, np.inf, "75", None, True])
def test_a_sigma_that_is_none(sigma):
    with pytest.raises(ValueError, match=r"is not a standard deviation.*0 or more.*0 to 255"):
        AdditiveGaussianNoise(sigma)


def test_there_is_none_without_images():
    with pytest.raises(TypeError, match="starts from images: call sample_from"):
        AdditiveGaussianNoise().sample(torch.zeros(2), (3, 4, 4), generator())


def test_noise_rows_keep_the_image_that_was_drawn(images):
    """With sigma=0 every noise row is the duplicate that its plan names."""
    X, y = images
    clf = make(resampler__noise=AdditiveGaussianNoise(0), normalize=None, augment="cutout")
    clf.fit(X, y)
    plan = clf.epoch_plan(2)
    assert plan.is_noise.any()
    seen = batches(clf, X, y)
    for (index, n_noise), (x, codes, n) in zip(plan.batches(), seen, strict=True):
        assert n == n_noise
        np.testing.assert_array_equal(codes, y[index])
        np.testing.assert_allclose(
            x[len(x) - n :], X[index[len(index) - n_noise :]] / 255, atol=1e-6
        )


def test_resampled_rows_keep_their_image():
    rng = np.random.RandomState(0)
    X = rng.randint(100, 140, (60, 3, 8, 8)).astype(np.uint8)
    y = np.repeat([0, 1], [50, 10])
    sampler = PureNoiseOverSampler(delta=1, noise=AdditiveGaussianNoise(10), random_state=0)
    X_res, y_res = sampler.fit_resample(X, y)
    noise = sampler.noise_mask_
    assert noise.sum() == 40
    np.testing.assert_array_equal(y_res, y[sampler.sample_indices_])
    added = X_res[noise].astype(float) - X[sampler.sample_indices_][noise]
    assert abs(added.mean()) < 0.3
    assert abs(added.std() - 10) < 0.3
    np.testing.assert_array_equal(X_res[~noise], X[sampler.sample_indices_][~noise])


def test_unclipped_bytes_do_not_wrap_around():
    X = np.zeros((12, 3, 4, 4), dtype=np.uint8)
    y = np.repeat([0, 1], [10, 2])
    family = AdditiveGaussianNoise(5, clip=False)
    X_res, _ = PureNoiseOverSampler(delta=1, noise=family, random_state=0).fit_resample(X, y)
    assert 0 < X_res.max() < 50


@pytest.mark.parametrize("scale", [1, 100])
def test_sigma_does_not_depend_on_the_units_of_the_data(scale):
    X = np.random.RandomState(0).uniform(0, scale, (200, 3, 8, 8)).astype(np.float32)
    y = np.repeat([0, 1], [150, 50])
    family = AdditiveGaussianNoise(25.5, clip=False)
    sampler = PureNoiseOverSampler(delta=1, noise=family, random_state=0)
    X_res, _ = sampler.fit_resample(X, y)
    noise = sampler.noise_mask_
    added = X_res[noise] - X[sampler.sample_indices_][noise]
    assert added.std() == pytest.approx(0.1 * scale, rel=0.02)


def test_every_source_of_images_gives_the_same_bits(images, tmp_path):
    X, y = images
    clf = make(resampler__noise="additive")
    np.save(tmp_path / "X.npy", X)
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    proba = clone(clf).fit(X, y).predict_proba(X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(clone(clf).fit(mapped, y).predict_proba(X), proba)
    np.testing.assert_array_equal(clone(clf).fit(data).predict_proba(X), proba)


def test_checkpoints_and_shared_phases_change_no_bit(images, tmp_path):
    X, y = images
    clf = make(resampler__noise=AdditiveGaussianNoise(30))
    proba = clone(clf).fit(X, y).predict_proba(X)
    for params in ({"memory": tmp_path / "m"}, {"checkpoint": tmp_path / "c"}):
        for _ in range(2):
            again = clone(clf).set_params(**params).fit(X, y)
            np.testing.assert_array_equal(again.predict_proba(X), proba)
    other = clone(clf).set_params(resampler__noise=AdditiveGaussianNoise(31)).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), proba)
    with pytest.raises(ValueError, match=r"sigma=30.* and is AdditiveGaussianNoise\(sigma=31"):
        other.set_params(checkpoint=tmp_path / "c").fit(X, y)


def test_tables():
    X = np.random.RandomState(0).rand(40, 5)
    clf = make(resampler__noise="additive").fit(X, np.repeat([0, 1], [30, 10]))
    assert clf.predict(X).shape == (40,)


def test_a_data_set_in_a_loop_of_one_s_own():
    images, labels = torch.rand(4, 3, 8, 8), torch.arange(4)
    dataset = PureNoiseDataset(TensorDataset(images, labels), AdditiveGaussianNoise(0))
    image, label, is_noise = dataset[PlannedRow(2, 1, noise_seed=5)]
    assert (int(label), is_noise) == (2, True)
    torch.testing.assert_close(image, images[2])


def batches(clf, X, y):
    """What the network is fed in the last epoch of a fitted classifier: pixels, codes, n_noise."""
    train, _ = clf.get_split_datasets(take_in(clf, X, y, goes_on=True))
    return [
        (batch[0].numpy(), batch[1].numpy(), batch.n_noise)
        for batch in clf.get_iterator(train, training=True)
    ]
