"""The data set puts noise in the place of rows, and workers change nothing."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.noise import ClassGaussianNoise, UniformNoise
from sklearn_open.torch_sampler import PlannedRow, PureNoiseBatchSampler, PureNoiseDataset

LABELS = np.repeat([0, 1, 2], [40, 12, 3])
STATISTICS = [0.2, 0.5, 0.7], [0.05, 0.1, 0.01]


@pytest.fixture
def images():
    """Each image has the number of its row in its pixels."""
    return (torch.arange(len(LABELS)) / 100)[:, None, None, None].expand(-1, 3, 4, 4)


@pytest.fixture
def dataset(images):
    return PureNoiseDataset(TensorDataset(images, torch.from_numpy(LABELS)), STATISTICS)


def epochs_of(loader, n_epochs=3):
    for epoch in range(n_epochs):
        loader.batch_sampler.set_epoch(epoch)
        yield [tuple(part.clone() for part in batch) for batch in loader]


def assert_equal_epochs(one, other):
    for batch, same in zip(one, other, strict=True):
        for part, twin in zip(batch, same, strict=True):
            assert torch.equal(part, twin)


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_change_no_bit(dataset, persistent):
    def loader(**workers):
        sampler = PureNoiseBatchSampler(LABELS, batch_size=16, start_epoch=1)
        return DataLoader(dataset, batch_sampler=sampler, **workers)

    alone = list(epochs_of(loader()))
    helped = list(epochs_of(loader(num_workers=2, persistent_workers=persistent)))
    for epoch, same in zip(alone, helped, strict=True):
        assert_equal_epochs(epoch, same)
    assert not any(is_noise.any() for _, _, is_noise in alone[0])
    assert any(is_noise.any() for _, _, is_noise in alone[2])


def test_rows_and_labels_and_mask(dataset, images):
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16, delta=0.7)
    loader = DataLoader(dataset, batch_sampler=sampler)
    for (x, y, is_noise), rows in zip(loader, list(sampler), strict=True):
        assert is_noise.dtype == torch.bool
        assert is_noise.tolist() == [row.is_noise for row in rows]
        index = np.array([row.index for row in rows])
        assert y.tolist() == LABELS[index].tolist()
        assert torch.equal(x[~is_noise], images[index][~is_noise])
        assert (x[is_noise].std(dim=(2, 3)) > 0).all()  # the images themselves are flat


def test_noise_has_the_law_of_the_paper():
    mean, std = np.array([0.5, 0.1]), np.array([0.1, 0.2])
    flat = TensorDataset(torch.zeros(1, 2, 300, 300), torch.zeros(1))
    image, _, is_noise = PureNoiseDataset(flat, (mean, std))[PlannedRow(0, 0, 123)]
    assert is_noise
    assert image.min() >= 0
    assert image.max() <= 1
    rng = np.random.RandomState(0)
    expected = np.clip(rng.normal(mean, std, size=(10**6, 2)), 0, 1)
    np.testing.assert_allclose(image.mean((1, 2)), expected.mean(0), atol=2e-3)
    np.testing.assert_allclose(image.std((1, 2)), expected.std(0), atol=2e-3)


def test_noise_is_new_in_every_epoch_and_row(dataset):
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    loader = DataLoader(dataset, batch_sampler=sampler)
    noise = [x[is_noise] for epoch in epochs_of(loader) for x, _, is_noise in epoch]
    noise = torch.cat(noise).flatten(1)
    assert len(noise) > 10
    assert len(noise.unique(dim=0)) == len(noise)


def test_global_random_state_is_left_as_found(dataset):
    before = torch.get_rng_state()
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    for rows in sampler:
        [dataset[row] for row in rows]
    assert torch.equal(torch.get_rng_state(), before)


def test_transform_sees_natural_and_noise_alike(dataset):
    normalized = PureNoiseDataset(dataset.dataset, dataset.noise, lambda x: (x - 0.5) / 0.25)
    for rows in PureNoiseBatchSampler(LABELS, batch_size=16):
        for row in rows:
            image = dataset[row][0]
            torch.testing.assert_close(normalized[row][0], (image - 0.5) / 0.25)


def test_an_integer_is_a_natural_row(dataset, images):
    assert len(dataset) == len(LABELS)
    for i in (3, np.int64(3), torch.tensor(3)):
        image, label, is_noise = dataset[i]
        assert torch.equal(image, images[3])
        assert (int(label), is_noise) == (0, False)


def test_pixels_of_every_kind():
    pixels = np.random.RandomState(0).randint(0, 256, (5, 6, 3), dtype=np.uint8)
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    unit = torch.from_numpy(channels_first).float() / 255
    for image in (Image.fromarray(pixels), channels_first, torch.from_numpy(channels_first), unit):
        given = PureNoiseDataset([(image, "label")], STATISTICS)
        torch.testing.assert_close(given[0][0], unit)
        noise = given[PlannedRow(0, 0, 1)][0]
        assert noise.shape == unit.shape
        assert noise.dtype == torch.float32


@pytest.mark.parametrize(
    "image",
    [torch.full((3, 2, 2), 1.5), torch.full((3, 2, 2), torch.nan), torch.ones(3, 2, 2).int()],
)
def test_refuses_images_that_are_not_in_pixel_scale(image):
    with pytest.raises(ValueError, match="before they are normalised"):
        PureNoiseDataset([(image, 0)], STATISTICS)[0]


@pytest.mark.parametrize(
    "noise", [None, "gaussian", ([0.5], [0.1, 0.2]), ([128.0], [60.0]), ([0.5], [-1.0])]
)
def test_refuses_statistics_that_are_none(noise):
    with pytest.raises(ValueError, match="mean, std"):
        PureNoiseDataset([], noise)


def test_other_families(images):
    X = images.numpy()
    family = ClassGaussianNoise().fit(X, LABELS, PixelStatistics.of(X))
    dataset = PureNoiseDataset(TensorDataset(images, torch.from_numpy(LABELS)), family)
    means = [float(dataset[PlannedRow(int(i), c, 5)][0].mean()) for c, i in enumerate([0, 45, 54])]
    np.testing.assert_allclose(means, [X[LABELS == c].mean() for c in range(3)], atol=0.05)
    uniform = PureNoiseDataset(dataset.dataset, UniformNoise())[PlannedRow(0, 0, 5)][0]
    assert uniform.unique().numel() > 40


class Forms(Dataset):
    def __init__(self, form, n=12):
        self.form, self.n = form, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.form(torch.rand(3, 4, 4), i % 2)


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (x, y, "a.png"),
        lambda x, y: [x, y],
        lambda x, y: {"image": x, "label": y},
        lambda x, y: {"img": x, "target": torch.tensor(y), "id": 3},
    ],
    ids=["triple", "list", "mapping", "other keys"],
)
def test_items_of_any_form(form):
    data = PureNoiseDataset(Forms(form), noise=([0.5] * 3, [0.3] * 3))
    x, y, is_noise = data[3]
    assert x.shape == (3, 4, 4)
    assert int(y) == 1
    assert not is_noise
    assert data[PlannedRow(3, 1, 7)][2]


@pytest.mark.parametrize("n", [11, 13])
def test_labels_of_another_number_than_rows(n):
    sampler = PureNoiseBatchSampler([0] * 9 + [1] * 3, batch_size=4)
    data = PureNoiseDataset(Forms(lambda x, y: (x, y), n), noise=([0.5] * 3, [0.3] * 3))
    with pytest.raises(ValueError, match=rf"given 12 labels, and the data set has {n} rows"):
        next(iter(DataLoader(data, batch_sampler=sampler)))


def test_labels_of_another_order_than_the_items():
    data = PureNoiseDataset(Forms(lambda x, y: (x, y)), noise=([0.5] * 3, [0.3] * 3))
    sampler = PureNoiseBatchSampler([0] * 6 + [1] * 6, batch_size=12)
    with pytest.raises(ValueError, match="Pass the labels of the items, in their order"):
        next(iter(DataLoader(data, batch_sampler=sampler)))
