import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from sklearn_open.augment import _autoaugment as policies
from sklearn_open.augment import (
    check_augment,
    random_autoaugment,
    random_autoaugment_imagenet,
    random_color,
    random_cutout,
    random_flip_crop,
    random_resized_crop,
    random_rotation,
)
from sklearn_open.augment._color import _color_layers
from sklearn_open.augment._geometry import _crop_boxes

COMPOSITION = {
    "flip_crop": [random_flip_crop],
    "cutout": [random_flip_crop, random_cutout],
    "simclr": [random_flip_crop, random_cutout, random_color],
    "autoaugment": [random_autoaugment],
    "simclr_then_cutout": [random_flip_crop, random_color, random_cutout],
    "simclr_cutout16": [random_flip_crop, partial(random_cutout, max_side=16), random_color],
    "color_rotation": [random_color, random_rotation],
    "large": [random_resized_crop, random_color, random_rotation],
    "autoaugment_imagenet": [random_autoaugment_imagenet],
}
PRESETS = list(COMPOSITION)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=3, height=32, width=32, seed=0):
    """Smooth 8-bit images: noise would be its own equalised, shifted, sharpened self."""
    coarse = torch.rand((n, channels, 4, 4), generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth * 255).round() / 255


# All presets


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("size", [(32, 32), (28, 20), (8, 8), (3, 2), (1, 1)])
def test_preset_keeps_form(name, size):
    batch = images(5, 3, *size)
    before = batch.clone()
    out = check_augment(name)(batch, generator())
    assert out.shape == batch.shape
    assert out.dtype == batch.dtype
    assert out.min() >= 0
    assert out.max() <= 1
    assert out.data_ptr() != batch.data_ptr()
    torch.testing.assert_close(batch, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_its_steps_in_order(name):
    batch = images()
    steps_generator = generator(3)
    expected = batch
    for step in COMPOSITION[name]:
        expected = step(expected, steps_generator)
    assert torch.equal(check_augment(name)(batch, generator(3)), expected)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_draws_from_the_generator_only(name):
    batch = images()
    augment = check_augment(name)
    torch.manual_seed(1)
    first = augment(batch, generator(5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = augment(batch, generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(batch, generator(6)))


@pytest.mark.parametrize("name", PRESETS)
def test_preset_moves_the_generator_on(name):
    shared = generator(0)
    augment, batch = check_augment(name), images()
    assert not torch.equal(augment(batch, shared), augment(batch, shared))


@pytest.mark.parametrize("name", PRESETS)
def test_preset_varies_over_the_samples_of_a_batch(name):
    batch = images(1).expand(16, -1, -1, -1)
    out = check_augment(name)(batch, generator())
    assert len({sample.numpy().tobytes() for sample in out}) > 8


@pytest.mark.parametrize("name", PRESETS)
def test_preset_returns_empty_batch_unchanged(name):
    batch = torch.zeros(0, 3, 8, 8)
    assert check_augment(name)(batch, generator()) is batch


@pytest.mark.parametrize("name", PRESETS)
def test_preset_can_be_pickled(name):
    augment = pickle.loads(pickle.dumps(check_augment(name)))
    assert augment == check_augment(name)


@pytest.mark.parametrize("augment", ["flip_crop", torch.nn.Identity()])
def test_batch_is_checked(augment):
    augment = check_augment(augment)
    with pytest.raises(TypeError, match=r"got torch\.uint8. Divide 8-bit images by 255"):
        augment(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), generator())
    with pytest.raises(ValueError, match=r"\(n, C, H, W\); got shape \(3, 8, 8\)"):
        augment(torch.zeros(3, 8, 8), generator())


def test_check_augment_refuses():
    with pytest.raises(ValueError, match="'flip_crop', 'cutout', 'simclr', 'autoaugment'"):
        check_augment("mixup")
    with pytest.raises(TypeError, match="got 3"):
        check_augment(3)


def test_check_augment_none():
    assert check_augment(None) is None


def test_import_does_not_load_kornia():
    code = (
        "import sys, sklearn_open.augment as A; A.check_augment('simclr');"
        "assert 'kornia' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# flip_crop


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


# cutout


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


# simclr


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


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_simclr_without_rgb(channels):
    out = check_augment("simclr")(images(8, channels, 16, 16), generator())
    assert out.shape == (8, channels, 16, 16)


@pytest.mark.parametrize("channels", [1, 3])
def test_color_does_not_depend_on_the_batches_before(channels):
    batch = images(9, channels)
    _color_layers.cache_clear()
    first = random_color(batch, generator(1))
    random_color(images(4, channels, 16, 8), generator(2))
    assert torch.equal(random_color(batch, generator(1)), first)


# autoaugment


def torchvision_draws(sub_policy, uniform, negative):
    """Put one sample's draws in the order in which torchvision asks for them."""
    for step, (name, probability, _) in enumerate(sub_policy):
        yield torch.tensor(uniform[step])
        if uniform[step] <= probability and name in policies.SIGNED:
            yield torch.tensor(0.0 if negative[step] else 1.0)


AUTOAUGMENT = [
    (random_autoaugment, policies.CIFAR10_POLICY, "CIFAR10"),
    (random_autoaugment_imagenet, policies.IMAGENET_POLICY, "IMAGENET"),
]


@pytest.mark.parametrize(("augment", "sub_policies", "name"), AUTOAUGMENT)
@pytest.mark.parametrize("size", [(32, 32), (20, 28)])
def test_autoaugment_equals_torchvision_sample_by_sample(
    monkeypatch, size, augment, sub_policies, name
):
    from torchvision.transforms import v2

    n = 400
    batch = images(n, 3, *size)
    draws = generator(11)
    policy = torch.randint(25, (n,), generator=draws).tolist()
    uniform = torch.rand((n, 2), generator=draws).tolist()
    negative = torch.randint(2, (n, 2), generator=draws).tolist()
    out = augment(batch, generator(11))

    reference = v2.AutoAugment(v2.AutoAugmentPolicy[name])
    for i in range(n):
        answers = torchvision_draws(sub_policies[policy[i]], uniform[i], negative[i])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_, i=i: torch.tensor(policy[i]))
            patch.setattr(torch, "rand", lambda *_, answers=answers: next(answers))
            expected = reference((batch[i] * 255).round().to(torch.uint8))
        assert torch.equal((out[i] * 255).round().to(torch.uint8), expected), policy[i]


def test_autoaugment_keeps_8_bit_images_that_drew_no_operation():
    batch = images(1000)
    same = (random_autoaugment(batch, generator()) == batch).flatten(1).all(1)
    nothing = np.mean([(1 - a[1]) * (1 - b[1]) for a, b in policies.CIFAR10_POLICY])
    # Some operations change nothing either, such as autocontrast of a full range.
    assert same.float().mean() >= nothing - 0.05


@pytest.mark.parametrize("name", ["autoaugment", "autoaugment_imagenet"])
def test_autoaugment_needs_rgb(name):
    with pytest.raises(ValueError, match=rf"'{name}' .* got 1 channels. Use augment='cutout'"):
        check_augment(name)(torch.zeros(2, 1, 8, 8), generator())


# large images


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


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_large_without_rgb(channels):
    out = check_augment("large")(images(8, channels, 16, 16), generator())
    assert out.shape == (8, channels, 16, 16)


# A user's own callable


def add_noise_in_place(batch):
    return batch.add_(torch.randn_like(batch))


def test_user_callable_is_reproducible_and_leaves_no_trace():
    augment = check_augment(add_noise_in_place)
    batch = images()
    before = batch.clone()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = augment(batch, generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(batch, before)
    torch.manual_seed(2)
    assert torch.equal(augment(batch, generator(5)), first)
    assert not torch.equal(augment(batch, generator(6)), first)
    assert torch.equal(pickle.loads(pickle.dumps(augment))(batch, generator(5)), first)


def test_user_callable_may_change_values_and_dtype():
    out = check_augment(lambda batch: batch.double() - 3)(images(), generator())
    assert out.dtype == torch.float32
    assert out.max() < 0


def test_user_callable_is_not_called_for_no_images():
    def fails(batch):
        raise AssertionError

    batch = torch.zeros(0, 3, 8, 8)
    assert check_augment(fails)(batch, generator()) is batch


def test_user_callable_restores_random_state_after_an_error():
    def fails(batch):
        torch.rand(3)
        raise KeyError

    state = torch.get_rng_state()
    with pytest.raises(KeyError):
        check_augment(fails)(images(), generator())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda batch: batch.numpy(), TypeError, "returned ndarray"),
        (lambda batch: (batch * 255).to(torch.uint8), TypeError, r"returned torch\.uint8"),
        (lambda batch: batch[:, :, 1:], ValueError, r"shape \(6, 3, 31, 32\) for a batch of shape"),
        (torch.nn.Identity, TypeError, "returned Identity"),
    ],
)
def test_user_callable_output_is_checked(function, error, match):
    with pytest.raises(error, match=match):
        check_augment(function)(images(), generator())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("augment", [*PRESETS, torch.nn.Dropout()])
def test_on_gpu(augment):
    augment = check_augment(augment)
    batch = images().cuda()
    state = torch.cuda.get_rng_state()
    outs = [augment(batch, torch.Generator("cuda").manual_seed(4)) for _ in range(2)]
    assert outs[0].device == batch.device
    assert torch.equal(*outs)
    assert torch.equal(torch.cuda.get_rng_state(), state)
