"""Presets, and augmentations of one's own."""

import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import v2

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


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_simclr_without_rgb(channels):
    out = check_augment("simclr")(images(8, channels, 16, 16), generator())
    assert out.shape == (8, channels, 16, 16)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_large_without_rgb(channels):
    out = check_augment("large")(images(8, channels, 16, 16), generator())
    assert out.shape == (8, channels, 16, 16)


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


@pytest.mark.parametrize(
    "function",
    [
        v2.RandomHorizontalFlip(),
        v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]),
        transforms.RandomCrop(32, padding=4),
        transforms.Compose([transforms.RandomHorizontalFlip()]),
        torch.nn.Sequential(v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)),
    ],
    ids=lambda function: type(function).__module__ + type(function).__name__,
)
def test_transforms_of_torchvision_draw_for_each_image(function):
    one = images(1)
    out = check_augment(function)(one.expand(40, -1, -1, -1), generator())
    kinds = {tuple(image.flatten().tolist()) for image in out}
    assert len(kinds) > 1
    again = check_augment(function)(one.expand(40, -1, -1, -1), generator())
    torch.testing.assert_close(out, again, rtol=0, atol=0)


def test_modules_of_others_take_whole_batches():
    class Flip(torch.nn.Module):
        def forward(self, batch):
            assert batch.ndim == 4
            return batch.flip(3)

    batch = images()
    torch.testing.assert_close(check_augment(Flip())(batch, generator()), batch.flip(3))


def test_transforms_that_change_the_shape_are_refused():
    with pytest.raises(ValueError, match=r"returned shape \(6, 3, 16, 16\)"):
        check_augment(v2.CenterCrop(16))(images(), generator())


def test_functions_that_draw_for_each_image_get_whole_batches():
    seen = []

    def flip(batch):
        seen.append(len(batch))
        turned = torch.rand(len(batch), 1, 1, 1) < 0.5
        return torch.where(turned, batch.flip(3), batch)

    check_augment(flip)(images(6), generator())
    assert seen == [6]
