"""The sampler's epochs are the planner's, and workers change nothing."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_open import OPeNClassifier
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.noise import ClassGaussianNoise, UniformNoise
from sklearn_open.torch_sampler import PlannedRow, PureNoiseBatchSampler, PureNoiseDataset

COUNTS = [40, 12, 3]
LABELS = np.repeat([0, 1, 2], COUNTS)
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


# --- the plan ---


@pytest.mark.parametrize("composition", ["even", "bernoulli"])
@pytest.mark.parametrize("epoch_length", ["n_samples", "resampled"])
def test_epochs_are_those_of_the_classifier(composition, epoch_length):
    shared = {"batch_size": 16, "delta": 0.5, "random_state": 7, "start_epoch": 1}
    shared |= {"composition": composition, "epoch_length": epoch_length}
    labels = np.array(["a", "b", "c"])[LABELS]
    X = np.random.RandomState(0).rand(len(labels), 3)
    clf = OPeNClassifier(max_epochs=1, verbose=0, **shared).fit(X, labels)
    sampler = PureNoiseBatchSampler(labels, **shared)
    for epoch in (0, 1, 5):
        sampler.set_epoch(epoch)
        plan = clf.epoch_plan(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == plan.n_batches
        for batch, (index, n_noise) in zip(batches, plan.batches(), strict=True):
            assert [row.index for row in batch] == index.tolist()
            assert [row.is_noise for row in batch] == [False] * (len(index) - n_noise) + (
                [True] * n_noise
            )
            assert [row.code for row in batch] == LABELS[index].tolist()
        np.testing.assert_array_equal(sampler.epoch_plan(epoch).index, plan.index)


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    batch_size=st.integers(2, 20),
    delta=st.floats(0, 1),
    epoch=st.integers(0, 10**6),
    composition=st.sampled_from(["even", "bernoulli"]),
    epoch_length=st.sampled_from(["n_samples", "resampled"]),
)
@settings(deadline=None, max_examples=60)
def test_laws_of_every_epoch(counts, batch_size, delta, epoch, composition, epoch_length):
    y = np.repeat(np.arange(len(counts)), counts)
    sampler = PureNoiseBatchSampler(
        y,
        batch_size=batch_size,
        delta=delta,
        composition=composition,
        epoch_length=epoch_length,
    )
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sum(map(len, batches)) == (
        len(y) if epoch_length == "n_samples" else max(counts) * len(counts)
    )
    seeds = [row.noise_seed for batch in batches for row in batch if row.is_noise]
    assert len(set(seeds)) == len(seeds)  # no two noise images of an epoch are alike
    for batch in batches:
        mask = [row.is_noise for row in batch]
        assert mask == sorted(mask)  # natural rows first
        assert 2 <= len(batch) <= max(batch_size, 3)  # no lone row
        assert mask.count(False) >= 2
        assert all(row.code == y[row.index] for row in batch)


def test_an_epoch_does_not_depend_on_what_ran_before():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    sampler.set_epoch(3)
    first = list(sampler)
    for epoch in (0, 7):
        sampler.set_epoch(epoch)
        assert list(sampler) != first
    sampler.set_epoch(3)
    assert list(sampler) == first
    other = PureNoiseBatchSampler(LABELS, batch_size=16, random_state=1)
    other.set_epoch(3)
    assert list(other) != first


def test_set_epoch_does_not_change_an_iteration_under_way():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    expected = list(sampler)
    under_way = iter(sampler)
    batches = [next(under_way)]
    sampler.set_epoch(5)
    assert [*batches, *under_way] == expected


def test_plain_training_before_start_epoch_and_without_delta():
    late = PureNoiseBatchSampler(LABELS, batch_size=16, start_epoch=2)
    rows = [row for batch in late for row in batch]
    assert sorted(row.index for row in rows) == list(range(len(LABELS)))
    late.set_epoch(2)
    assert any(row.is_noise for batch in late for row in batch)
    never = PureNoiseBatchSampler(LABELS, batch_size=16, delta=0)
    assert not any(row.is_noise for batch in never for row in batch)


def test_labels_of_every_kind():
    expected = list(PureNoiseBatchSampler(LABELS, batch_size=16))
    for y in (torch.from_numpy(LABELS), LABELS.tolist(), [5 * label - 3 for label in LABELS]):
        assert list(PureNoiseBatchSampler(y, batch_size=16)) == expected
    sampler = PureNoiseBatchSampler(np.array(["x", "y", "z"])[LABELS], batch_size=16)
    assert list(sampler) == expected
    assert sampler.classes_.tolist() == ["x", "y", "z"]


def test_sampling_strategy():
    sampler = PureNoiseBatchSampler(
        LABELS, batch_size=16, delta=1, sampling_strategy={2: 40}, epoch_length="resampled"
    )
    rows = [row for batch in sampler for row in batch]
    assert np.bincount([row.code for row in rows]).tolist() == [40, 12, 40]
    assert np.bincount([row.code for row in rows if row.is_noise]).tolist() == [0, 0, 37]


def test_a_forgotten_set_epoch_is_noticed():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    list(sampler), list(sampler)
    with pytest.warns(UserWarning, match="set_epoch"):
        list(sampler)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delta": 2}, "delta"),
        ({"batch_size": 0}, "batch_size"),
        ({"start_epoch": 0.8}, "int\\(0.8 \\* n_epochs\\)"),
        ({"composition": "odd"}, "'even', 'bernoulli'"),
        ({"epoch_length": "long"}, "'n_samples', 'resampled'"),
        ({"y": np.zeros(5)}, "one class only"),
        ({"y": np.eye(3)}, "shape"),
        ({"sampling_strategy": {0: 1}}, "number of samples"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        PureNoiseBatchSampler(**{"y": LABELS, "batch_size": 16, **wrong})


def test_refuses_epochs_that_are_none():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    for epoch in (-1, 0.5, True):
        with pytest.raises(ValueError, match="epoch="):
            sampler.set_epoch(epoch)


# --- the data set ---


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


def test_a_data_set_without_noise_does_not_take_a_planned_row_for_an_index():
    class Plain(Dataset):
        def __init__(self, X):
            self.X = X

        def __getitem__(self, i):
            return self.X[i]

    row = PlannedRow(0, 0, 1)
    for X in (np.zeros((9, 3, 2, 2)), torch.zeros(9, 3, 2, 2), [1, 2, 3]):
        with pytest.raises((IndexError, TypeError)):
            Plain(X)[row]


def test_sampler_and_rows_can_be_pickled():
    sampler = PureNoiseBatchSampler(LABELS, batch_size=16)
    sampler.set_epoch(4)
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)


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


@pytest.mark.parametrize(
    "y", [[0.0, np.nan, 1.0], ["a", None, "b"], [0, 0, 0], [[0, 1], [1, 0], [1, 1]]]
)
def test_labels_that_are_none(y):
    with pytest.raises((ValueError, TypeError)):
        PureNoiseBatchSampler(y, batch_size=2)


def test_labels_of_another_order_than_the_items():
    data = PureNoiseDataset(Forms(lambda x, y: (x, y)), noise=([0.5] * 3, [0.3] * 3))
    sampler = PureNoiseBatchSampler([0] * 6 + [1] * 6, batch_size=12)
    with pytest.raises(ValueError, match="Pass the labels of the items, in their order"):
        next(iter(DataLoader(data, batch_sampler=sampler)))


def test_labels_of_a_data_set():
    data = Forms(lambda x, y: (x, y))
    sampler = PureNoiseBatchSampler(data, batch_size=6)
    np.testing.assert_array_equal(sampler.classes_, [0, 1])
    assert len(sampler.epoch_plan(0).index) == 12
