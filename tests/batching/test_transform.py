"""The order in which a batch is made: augment natural rows, draw noise, normalise all."""

import kornia
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torchvision import transforms
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.augment import check_augment
from sklearn_open.batching import BatchTransform, check_normalize
from sklearn_open.noise import check_noise


def make(images, augment=None, normalize="dataset", noise="gaussian"):
    X, y = images
    statistics = PixelStatistics.of(X)
    mean, std = check_normalize(normalize, statistics.mean, statistics.std)
    family = check_noise(noise).fit(X, y, statistics)
    return BatchTransform(statistics.scale, mean, std, check_augment(augment), family, seed=0)


def test_noise_lives_in_the_normalised_space_of_the_images(images):
    X, _ = images
    transform = make(images)
    out = transform.train(torch.from_numpy(X), torch.zeros(500, dtype=torch.int64), 0, 0)
    natural, noise = out[: len(X)], out[len(X) :]
    torch.testing.assert_close(natural.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(natural.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-3)
    # Clipping to [0, 1] happens before normalising: no value lies outside black and white.
    black, white = (transform.evaluate(torch.full((1, 3, 1, 1), v)) for v in (0, 255))
    assert (noise >= black - 1e-5).all()
    assert (noise <= white + 1e-5).all()
    assert (noise == black).any()
    torch.testing.assert_close(noise.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=0.1)
    torch.testing.assert_close(noise.std((0, 2, 3)), torch.ones(3), rtol=0, atol=0.1)


def test_augmentation_never_touches_noise(images):
    X, _ = images
    seen = []

    def black(batch):
        seen.append(batch.shape[0])
        assert batch.min() >= 0
        assert batch.max() <= 1
        return torch.zeros_like(batch)

    codes = torch.zeros(5, dtype=torch.int64)
    natural = torch.from_numpy(X[:7])
    plain = make(images).train(natural, codes, 1, 2)
    augmented = make(images, augment=black).train(natural, codes, 1, 2)
    assert seen == [7]
    torch.testing.assert_close(augmented[7:], plain[7:], rtol=0, atol=0)
    zeros = make(images).evaluate(torch.zeros(7, 3, 8, 8))
    torch.testing.assert_close(augmented[:7], zeros)


def test_noise_and_augmentation_are_fresh_in_every_batch_and_repeatable(images):
    X, _ = images
    transform = make(images, augment="flip_crop")
    codes = torch.zeros(3, dtype=torch.int64)

    def batch(epoch, b):
        return transform.train(torch.from_numpy(X[:6]), codes, epoch, b)

    first = batch(0, 0)
    torch.testing.assert_close(batch(0, 0), first, rtol=0, atol=0)
    for other in (batch(0, 1), batch(1, 0)):
        assert not torch.equal(other[:6], first[:6])
        assert not torch.equal(other[6:], first[6:])


def test_evaluation_changes_nothing_but_the_scale(images):
    X, _ = images
    out = make(images, augment="simclr", normalize=None).evaluate(torch.from_numpy(X))
    torch.testing.assert_close(out, torch.from_numpy(X).float() / 255)


def test_what_goes_in_is_left_as_it_was(images):
    X, _ = images
    given = torch.from_numpy(X).float()
    before = given.clone()
    kept = torch.full((60, 3, 8, 8), 0.5)  # what an augmentation returned is still its own
    for n_noise in (0, 5):
        codes = torch.zeros(n_noise, dtype=torch.int64)
        make(images, augment=lambda batch: kept).train(given, codes, 0, 0)
        make(images).evaluate(given)
    assert torch.equal(given, before)
    assert (kept == 0.5).all()


@pytest.mark.parametrize("augment", [None, "flip_crop", "cutout"])
def test_the_memory_layout_does_not_matter(images, augment):
    X, _ = images
    first = torch.from_numpy(X)
    last = first.contiguous(memory_format=torch.channels_last)
    codes = torch.zeros(5, dtype=torch.int64)
    transform = make(images, augment=augment)
    expected, got = (transform.train(x, codes, 0, 0) for x in (first, last))
    assert torch.equal(got, expected)
    assert got.stride() == expected.stride()


def test_constants_are_sent_to_the_device_once(images, monkeypatch):
    X, _ = images
    transform = make(images, augment="cutout", noise="class_gaussian")
    codes = torch.zeros(5, dtype=torch.int64)
    transform.train(torch.from_numpy(X), codes, 0, 0)

    def refused(*args, **kwargs):
        raise AssertionError("a batch copies numbers to the device")

    for name in ("as_tensor", "from_numpy", "tensor"):
        monkeypatch.setattr(torch, name, refused)
    x = transform.train(torch.ones(X.shape, dtype=torch.uint8), codes, 0, 1)
    assert len(x) == len(X) + 5


def test_normalize():
    mean, std = np.array([0.5, 0.2]), np.array([0.1, 0.0])
    np.testing.assert_array_equal(check_normalize("dataset", mean, std)[1], [0.1, 1.0])
    np.testing.assert_array_equal(check_normalize(None, mean, std), [[0, 0], [1, 1]])
    given = ([0.4, 0.4], [0.2, 0.2])
    np.testing.assert_array_equal(check_normalize(given, mean, std), given)
    np.testing.assert_array_equal(check_normalize((0.5, 0.25), mean, std), [[0.5] * 2, [0.25] * 2])
    for bad in ["imagenet", ([0.5] * 3, [0.2] * 3), ([0.5] * 2, [0.2, 0]), 3, ([1],)]:
        with pytest.raises(ValueError, match=r"normalize=.* is not understood.*2 channels"):
            check_normalize(bad, mean, std)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("normalize", ["dataset", None])
def test_pixels_come_back_from_what_the_network_is_fed(images, dtype, normalize):
    X, y = images
    X = X.astype(dtype) if dtype == np.uint8 else X.astype(dtype) - 7
    transform = make((X, y), normalize=normalize)
    back = transform.to_pixels(transform.evaluate(torch.from_numpy(X)), X.dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, X, rtol=0, atol=0 if dtype == np.uint8 else 1e-4)


def test_rounding_in_a_constant_channel_is_not_blown_up():
    X = (np.random.RandomState(0).rand(50, 2, 4, 4) * 300).astype(np.float32)
    X[:, 0] = 37.3
    transform = make((X, np.zeros(50, int)))
    out = transform.train(torch.from_numpy(X), torch.zeros(20, dtype=torch.int64), 0, 0)
    assert out[:, 0].abs().max() < 1e-6
    assert 1 < out[:, 1].abs().max() < 10


@pytest.mark.parametrize("smallest", [1e-45, 1e-38, 1e-30, 1e-10])
def test_floats_near_zero_stay_finite(smallest):
    X = np.array([[0], [smallest]], np.float32)
    out = make((X, np.zeros(2, int))).evaluate(torch.from_numpy(X))
    assert torch.isfinite(out).all()
    if smallest > 1e-37:  # deviations below are those of a constant
        torch.testing.assert_close(out, torch.tensor([[-1.0], [1.0]]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("std", [1e-45, 1e300, 0.0, -1.0])
def test_deviations_that_float32_cannot_divide_by(std):
    with pytest.raises(ValueError, match="is not understood"):
        check_normalize((0.5, std), np.zeros(3), np.ones(3))


@pytest.mark.parametrize(
    "module",
    [
        v2.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
        transforms.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
        kornia.enhance.Normalize(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])),
        kornia.augmentation.Normalize(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])),
    ],
    ids=lambda module: type(module).__module__,
)
def test_modules_that_normalise(images, module):
    clf = OPeNClassifier(normalize=module, max_epochs=1, random_state=0, verbose=0)
    clf = clone(clf).set_params(normalize=module).fit(*images)
    np.testing.assert_allclose(clf.transform_.mean, [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(clf.transform_.std, [0.4, 0.5, 0.6], rtol=1e-6)


def test_modules_that_do_something_else_are_refused(images):
    with pytest.raises(ValueError, match=r"normalize=ReLU.* is not understood"):
        OPeNClassifier(normalize=torch.nn.ReLU(), max_epochs=1, verbose=0).fit(*images)
