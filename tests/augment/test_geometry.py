"""Flips, crops, rotations, Cutout."""

import numpy as np
import pytest
import torch

from sklearn_open.augment import (
    random_cutout,
    random_flip_crop,
    random_resized_crop,
    random_rotation,
)
from sklearn_open.augment._geometry import _crop_boxes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=3, height=32, width=32, seed=0):
    """Smooth 8-bit images: noise would be its own equalised, shifted, sharpened self."""
    coarse = torch.rand((n, channels, 4, 4), generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth * 255).round() / 255


def test_flip_crop_equals_slow_reference():
    batch = images(40, 3, 20, 28)
    draws = generator(7)
    top, left = (torch.randint(9, (40,), generator=draws) for _ in range(2))
    flip = torch.randint(2, (40,), generator=draws)
    expected = torch.empty_like(batch)
    for i, image in enumerate(batch.numpy()):
        mirrored = image[:, :, ::-1] if flip[i] else image
        padded = np.pad(mirrored, ((0, 0), (4, 4), (4, 4)))
        crop = padded[:, top[i] : top[i] + 20, left[i] : left[i] + 28]
        expected[i] = torch.from_numpy(crop.copy())
    assert torch.equal(random_flip_crop(batch, generator(7)), expected)


def test_flip_crop_draws_are_uniform_and_independent():
    # Two bright pixels show the flip (their order) and the shift (where they are).
    n = 9 * 9 * 2 * 60
    batch = torch.zeros(n, 1, 10, 11)
    batch[:, 0, 5, 5] = 1.0
    batch[:, 0, 5, 6] = 0.5
    out = random_flip_crop(batch, generator())
    bright, dim = out.flatten(1).argmax(1), (out == 0.5).flatten(1).float().argmax(1)
    flip = (dim < bright).long()
    cell = flip * 110 + bright
    counts = torch.unique(cell, return_counts=True)[1].double()
    assert len(counts) == 9 * 9 * 2
    chi2 = ((counts - 60) ** 2 / 60).sum()
    assert abs(chi2 - 161) < 4 * (2 * 161) ** 0.5


def test_flip_crop_keeps_tiny_images_in_view():
    assert torch.equal(
        random_flip_crop(torch.ones(50, 1, 1, 1), generator()), torch.ones(50, 1, 1, 1)
    )
    seen = random_flip_crop(torch.ones(200, 1, 2, 4), generator()).flatten(1).sum(1)
    assert seen.min() >= 1 * 3


def test_cutout_equals_slow_reference():
    batch = images(40, 3, 24, 32) + 0.1
    draws = generator(7)
    centre_row = torch.randint(24, (40,), generator=draws).tolist()
    centre_column = torch.randint(32, (40,), generator=draws).tolist()
    expected = batch.clone()
    for image, row, column in zip(expected, centre_row, centre_column, strict=True):
        image[:, max(row - 6, 0) : row + 6, max(column - 6, 0) : column + 6] = 0.0
    assert torch.equal(random_cutout(batch, generator(7)), expected)


def test_cutout_window_sizes():
    # Centre c covers rows [c - 8, c + 8) within [0, 32): 16 rows for 17 of 32 centres, 8 at worst.
    n = 6400
    out = random_cutout(torch.ones(n, 1, 32, 32), generator())[:, 0]
    for axis in (1, 2):
        black = (out == 0).any(dim=3 - axis)
        sizes = black.sum(1)
        edges = (black[:, 1:] != black[:, :-1]).sum(1)
        assert edges.max() <= 2  # one window
        expected = torch.zeros(17)
        for centre in range(32):
            expected[min(centre + 8, 32) - max(centre - 8, 0)] += 1 / 32
        observed = torch.bincount(sizes, minlength=17) / n
        torch.testing.assert_close(observed, expected, rtol=0, atol=0.025)
        assert sizes.min() == 8
        assert sizes.max() == 16


@pytest.mark.parametrize(
    ("height", "width", "side"), [(28, 28, 14), (8, 20, 4), (64, 64, 32), (7, 7, 3)]
)
def test_cutout_scales_with_the_image(height, width, side):
    out = random_cutout(torch.ones(300, 1, height, width), generator())[:, 0]
    black = out == 0
    assert black.any(2).sum(1).max() == side
    assert black.any(1).sum(1).max() == side


def test_cutout_16_has_the_paper_s_window_on_larger_images():
    black = random_cutout(torch.ones(300, 1, 64, 64), generator(), max_side=16)[:, 0] == 0
    assert black.any(2).sum(1).max() == 16
    small = torch.ones(300, 1, 20, 20)
    assert torch.equal(
        random_cutout(small, generator(), max_side=16), random_cutout(small, generator())
    )


def torchvision_crop_draws(i, area, ratio):
    """Put one sample's draws in the order in which torchvision asks for them."""
    for step in range(10):
        yield float(area[i, step])
        yield float(ratio[i, step])


@pytest.mark.parametrize("size", [(48, 40), (4, 40), (40, 4), (7, 7)])
def test_resized_crop_equals_torchvision_sample_by_sample(monkeypatch, size):
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional as V

    n, (height, width) = 60, size
    batch = images(n, 3, *size)
    out = random_resized_crop(batch, generator(5))
    boxes = torch.stack(_crop_boxes(height, width, n, generator(5)), 1).int().tolist()

    draws = generator(5)
    area = height * width * (0.08 + 0.92 * torch.rand(n, 10, generator=draws))
    low, high = np.log(3 / 4), np.log(4 / 3)
    ratio = low + (high - low) * torch.rand(n, 10, generator=draws)
    uniform = torch.rand(n, generator=draws), torch.rand(n, generator=draws)
    reference = v2.RandomResizedCrop(size)
    fallbacks = 0
    for i in range(n):
        answers = torchvision_crop_draws(i, area / height / width, ratio)
        places = iter([u[i].item() for u in uniform])

        def randint(low, high, size, places=places):
            return torch.tensor([int(next(places) * high)])

        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "uniform_", lambda t, *_, a=answers: t.fill_(next(a)))
            patch.setattr(torch, "randint", randint)
            found = reference.make_params([batch[i]])
        assert boxes[i] == [found[name] for name in ("top", "left", "height", "width")]
        fallbacks += next(answers, None) is None
        expected = V.resized_crop(batch[i], *boxes[i], list(size), antialias=True)
        torch.testing.assert_close(out[i], expected, rtol=0, atol=1e-4)
    assert (fallbacks > 0) == (4 in size)


def test_resized_crop_draws():
    # A piece of up to 3/4 of a square fits in it, whatever its ratio.
    top, left, height, width = _crop_boxes(1000, 1000, 4000, generator())
    area, ratio = height * width / 1e6, torch.log(width / height) / np.log(4 / 3)
    observed = torch.quantile(area[area < 0.75], torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    expected = torch.linspace(0.08, 0.75, 5)
    torch.testing.assert_close(observed, expected, rtol=0, atol=0.03)
    assert ratio.abs().max() <= 1.01
    assert ratio.mean() == pytest.approx(0, abs=0.05)
    for start, length in [(top, height), (left, width)]:
        assert (start >= 0).all()
        assert (start + length <= 1000).all()
        room = 1000 - length
        assert (start / room)[room > 50].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("out_size", [(16, 24), (64, 64)])
def test_resized_crop_of_another_size(out_size):
    batch = images(6, 3, 32, 48)
    out = random_resized_crop(batch, generator(2), size=out_size)
    assert out.shape == (6, 3, *out_size)
    assert 0 <= out.min() <= out.max() <= 1
    # The same piece, whatever size it is enlarged to.
    torch.testing.assert_close(
        random_resized_crop(batch, generator(2), size=(64, 96)).mean((2, 3)),
        random_resized_crop(batch, generator(2)).mean((2, 3)),
        rtol=0,
        atol=0.01,
    )


def test_resized_crop_keeps_plain_images():
    # Nothing of what lies outside of the image, which is black, is looked at.
    plain = torch.full((50, 1, 20, 24), 0.7)
    torch.testing.assert_close(random_resized_crop(plain, generator()), plain)


@pytest.mark.parametrize("size", [(24, 24), (20, 28), (1, 1)])
def test_rotation_equals_torchvision_sample_by_sample(size):
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as V

    batch = images(30, 3, *size)
    out = random_rotation(batch, generator(5))
    angles = 30 * (2 * torch.rand(30, generator=generator(5)) - 1)
    for image, turned, angle in zip(batch, out, angles.tolist(), strict=True):
        expected = V.rotate(image, angle, InterpolationMode.BILINEAR)
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-4)


def test_rotation_angles():
    # How far a pixel right of the centre, on a blank image, is lifted shows the angle.
    batch = torch.zeros(2000, 1, 41, 41)
    batch[:, 0, 20, 36] = 1.0
    seen = random_rotation(batch, generator())[:, 0].flatten(1)
    place = torch.arange(41.0) - 20
    weight = seen / seen.sum(1, keepdim=True)
    up, right = -weight @ place.repeat_interleave(41), weight @ place.repeat(41)
    degrees = torch.rad2deg(torch.atan2(up, right))
    quantiles = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    torch.testing.assert_close(
        torch.quantile(degrees, quantiles), 60 * quantiles - 30, rtol=0, atol=2.5
    )
