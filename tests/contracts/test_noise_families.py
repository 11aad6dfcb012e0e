"""What every noise family keeps, found by `FAMILIES`: a new one is tested once it is listed."""

import numpy as np
import pytest
import torch

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.noise import NoiseFamily
from sklearn_open.noise._names import FAMILIES, check_noise


def fitted(noise, images):
    X, y = images
    return check_noise(noise).fit(X, y, PixelStatistics.of(X))


def drawn(family, images, seed=0):
    X, y = images
    rows = torch.as_tensor(X[:5] / 255, dtype=torch.float32) if family.from_images else None
    generator = torch.Generator().manual_seed(seed)
    codes = torch.as_tensor(y[:5].astype(np.int64))
    return family.replacements(codes, X.shape[1:], generator, rows)


def check_images_in_unit_scale(noise, images):
    family = fitted(noise, images)
    made = drawn(family, images)
    assert made.shape == (5, *images[0].shape[1:])
    assert made.dtype == torch.float32
    if not family.raw and getattr(family, "clip", True):
        assert float(made.min()) >= 0
        assert float(made.max()) <= 1


def check_the_generator_is_all_that_is_drawn_from(noise, images):
    family, before = fitted(noise, images), torch.get_rng_state()
    first, second = drawn(family, images), drawn(family, images)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first, drawn(family, images, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


def check_samplers_and_classifier_take_it(noise, images):
    X, y = images
    sampler = PureNoiseOverSampler(delta=1, noise=noise, random_state=0)
    assert len(sampler.fit_resample(X, y)[0]) == 3 * 36
    assert sampler.noise_mask_.sum() == 18 + 30
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "batch_size": 16, "random_state": 0}
    clf = OPeNClassifier(resampler__noise=noise, **settings, verbose=0).fit(X, y)
    assert clf.epoch_plan(0).is_noise.any()
    assert np.isfinite(clf.predict_proba(X)).all()


CHECKS = [
    check_images_in_unit_scale,
    check_the_generator_is_all_that_is_drawn_from,
    check_samplers_and_classifier_take_it,
]


@pytest.mark.parametrize("noise", FAMILIES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(noise, check, images):
    check(noise, images)


class SaltAndPepper(NoiseFamily):
    """A throw-away family: every pixel is black or white."""

    def sample(self, codes, shape, generator):
        """Draw images; see `NoiseFamily.sample`."""
        return torch.randint(0, 2, (len(codes), *shape), generator=generator).float()


def test_a_new_one_needs_a_class_and_a_line(monkeypatch, images):
    monkeypatch.setitem(FAMILIES, "salt_and_pepper", SaltAndPepper)
    for check in CHECKS:
        check("salt_and_pepper", images)
        check(SaltAndPepper(), images)
