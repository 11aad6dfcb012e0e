"""Colour."""

import numpy as np
import pytest
import torch

from sklearn_open.augment import (
    random_color,
)
from sklearn_open.augment._color import _color_layers


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=3, height=32, width=32, seed=0):
    """Smooth 8-bit images: noise would be its own equalised, shifted, sharpened self."""
    coarse = torch.rand((n, channels, 4, 4), generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth * 255).round() / 255


def test_color_probabilities():
    # On one plain colour blur does nothing: what changes shows jitter and grayscale alone.
    n = 3000
    plain = torch.tensor([0.6, 0.4, 0.3])[:, None, None].expand(n, 3, 2, 2)
    out = random_color(plain, generator())
    pixel = out[:, :, 0, 0]
    gray = (pixel.amax(1) - pixel.amin(1)) < 1e-4
    untouched = (pixel - plain[:, :, 0, 0]).abs().amax(1) < 1e-5
    assert gray.float().mean() == pytest.approx(0.2, abs=0.03)
    assert untouched.float().mean() == pytest.approx(0.2 * 0.8, abs=0.03)


def test_color_blur_probability_and_strength():
    # Jitter of one channel maps all pixels by one line, so the height of a thin stripe relative
    # to a broad one stays 1. Blur leaves the stripe the kernel's centre weight.
    n = 3000
    batch = torch.full((n, 1, 4, 12), 0.3)
    batch[..., 2] = batch[..., 6:] = 0.5
    row = random_color(batch, generator())[:, 0, 0]
    height = (row[:, 2] - row[:, 4]) / (row[:, 9] - row[:, 4])

    def centre_weight(sigma):
        return 1 / (1 + 2 * np.exp(-0.5 / sigma**2))

    assert height.min() == pytest.approx(centre_weight(2.0), abs=0.002)
    for sigma in (0.3, 0.5, 1.0):
        stronger = (height < centre_weight(sigma)).float().mean()
        assert stronger == pytest.approx(0.5 * (2.0 - sigma) / 1.9, abs=0.03)


def test_color_jitter_strength():
    # One pixel is its own mean: contrast does nothing, brightness is the factor.
    factor = random_color(torch.full((3000, 1, 1, 1), 0.5), generator()).flatten() / 0.5
    jittered = factor[(factor - 1).abs() > 1e-5]
    assert len(jittered) / 3000 == pytest.approx(0.8, abs=0.03)
    quantiles = torch.quantile(jittered, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    expected = torch.tensor([0.6, 0.8, 1.0, 1.2, 1.4])
    torch.testing.assert_close(quantiles, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("channels", [1, 3])
def test_color_does_not_depend_on_the_batches_before(channels):
    batch = images(9, channels)
    _color_layers.cache_clear()
    first = random_color(batch, generator(1))
    random_color(images(4, channels, 16, 8), generator(2))
    assert torch.equal(random_color(batch, generator(1)), first)
