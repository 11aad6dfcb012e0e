"""Families by name, and families of one's own."""

import numpy as np
import pytest
import torch

from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open.noise import (
    GaussianNoise,
    ImageNoiseFamily,
    NoiseFamily,
    check_noise,
)
from sklearn_open.noise._names import FAMILIES


def images(dtype=np.uint8, n=40, shape=(3, 5, 6), seed=0):
    rng = np.random.RandomState(seed)
    centre = np.array([60, 128, 220]).reshape(3, 1, 1)
    X = np.clip(rng.normal(centre, 40, (n, *shape)), 0, 255)
    return X.astype(dtype)


def fitted(family, X, n_classes=2):
    codes = np.arange(len(X)) % n_classes
    return check_noise(family).fit(X, codes, PixelStatistics.of(X))


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 4), (5,)])
def test_every_family_keeps_the_contract(family, shape):
    rng = np.random.RandomState(0)
    noise = fitted(family, rng.uniform(size=(20, *shape)).astype(np.float32))
    codes = torch.tensor([0, 1, 1, 0, 1])
    images = torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))

    def draw(*key):
        if isinstance(noise, ImageNoiseFamily):
            return noise.sample_from(images, codes, keyed_generator("cpu", 0, *key))
        return noise.sample(codes, shape, keyed_generator("cpu", 0, *key))

    state = torch.get_rng_state()
    sample = draw("a")
    assert sample.shape == (5, *shape)
    assert sample.dtype == torch.float32
    assert sample.min() >= 0
    assert sample.max() <= 1
    assert torch.equal(sample, draw("a"))
    assert not torch.equal(sample, draw("b"))
    assert torch.equal(torch.get_rng_state(), state)


def test_own_families_are_accepted_and_copied():
    class Gray(NoiseFamily):
        def sample(self, codes, shape, generator):
            return torch.full((len(codes), *shape), 0.5)

    mine = Gray()
    assert isinstance(check_noise(mine), Gray)
    assert check_noise(mine) is not mine
    assert isinstance(check_noise("gaussian"), GaussianNoise)


@pytest.mark.parametrize("noise", ["pink", None, 3])
def test_unknown_noise_is_refused(noise):
    with pytest.raises(ValueError, match=r"is unknown\. Use one of 'gaussian'"):
        check_noise(noise)
