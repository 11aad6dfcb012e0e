"""The images that the network is fed."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.dataset import ValidSplit
from torch.utils.data import TensorDataset

from sklearn_open import OPeNClassifier
from sklearn_open.inspection import BatchDisplay, batch_images
from sklearn_open.over_sampling import M2mOverSampler

SETTINGS = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0, "verbose": 0}


class Watched(OPeNClassifier):
    """Keeps what its network is fed in training."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("seen", []).append((len(self.history) - 1, x.clone()))
        return super().infer(x, **fit_params)


@pytest.mark.parametrize("augment", [None, "flip_crop", "simclr"])
def test_they_are_what_training_feeds(images, augment):
    X, y = images
    clf = Watched(augment=augment, **SETTINGS)
    before = [batch_images(clf, X, y, epoch=e, batch=b) for e in (0, 1) for b in range(4)]
    assert not hasattr(clf, "module_")
    clf.fit(X, y)
    after = [batch_images(clf, X, y, epoch=e, batch=b) for e in (0, 1) for b in range(4)]
    fed = clf.seen[-8:]
    assert [epoch for epoch, _ in fed] == [0] * 4 + [1] * 4
    mean, std = (v.reshape(1, -1, 1, 1) for v in (clf.transform_.mean, clf.transform_.std))
    for (epoch, x), old, new in zip(fed, before, after, strict=True):
        expected = np.rint((x.numpy() * std + mean) * 255)
        np.testing.assert_array_equal(old.images, expected)
        np.testing.assert_array_equal(new.images, old.images)
        assert new.images.dtype == np.uint8
        np.testing.assert_array_equal(new.kinds, old.kinds)
        assert ("noise" in new.kinds) == (epoch == 1)
        assert new.kinds[0] == ("natural" if augment is None else "augmented")


def test_natural_rows_are_the_data(images):
    X, y = images
    names = np.array(["many", "some", "few"])[y]
    clf = OPeNClassifier(**SETTINGS).fit(X, names)
    got = batch_images(clf, X, names, batch=1)
    rows, n_noise = list(clf.epoch_plan(1).batches())[1]
    n_natural = len(rows) - n_noise
    np.testing.assert_array_equal(got.images[:n_natural], X[rows[:n_natural]])
    np.testing.assert_array_equal(got.labels, names[rows])
    assert got.kinds.tolist() == ["natural"] * n_natural + ["noise"] * n_noise
    assert got.pixel_range == (0, 255)


def test_noise_has_the_statistics_of_the_data():
    rng = np.random.RandomState(0)
    X = rng.normal(100, 20, (120, 3, 8, 8)).clip(0, 255).astype(np.uint8)
    y = np.repeat([0, 1], [100, 20])
    got = batch_images(OPeNClassifier(batch_size=128, random_state=0), X, y)
    noise = got.images[got.kinds == "noise"]
    assert noise.mean() == pytest.approx(X.mean(), abs=2)
    assert noise.std() == pytest.approx(X.std(), abs=2)


def test_layouts_scales_and_containers(images):
    X, y = images
    clf = OPeNClassifier(**SETTINGS)
    plain = batch_images(clf, X, y)
    last = batch_images(clf, np.moveaxis(X, 1, 3), y)
    np.testing.assert_array_equal(last.images, plain.images)
    unit = batch_images(clf, (X / 255).astype(np.float32), y)
    np.testing.assert_allclose(unit.images * 255, plain.images, atol=0.51)
    assert unit.pixel_range == (0, 1)
    lazy = TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    np.testing.assert_array_equal(batch_images(clf, lazy, None).images, plain.images)
    fitted = clone(clf).fit(lazy)
    np.testing.assert_array_equal(batch_images(fitted, lazy, None).images, plain.images)


def test_rows_that_are_held_out_are_not_fed(images):
    X, y = images
    clf = OPeNClassifier(train_split=ValidSplit(3, stratified=True), **SETTINGS)
    before = batch_images(clf, X, y)
    after = batch_images(clf.fit(X, y), X, y)
    np.testing.assert_array_equal(before.images, after.images)


def test_what_is_refused(images):
    X, y = images
    clf = OPeNClassifier(**SETTINGS)
    with pytest.raises(ValueError, match="epoch 1 has batches 0 to 3"):
        batch_images(clf, X, y, batch=4)
    for wrong in ({"epoch": -1}, {"epoch": 1.5}, {"batch": -1}, {"batch": 0.5}):
        ((name, value),) = wrong.items()
        with pytest.raises(ValueError, match=rf"{name}={value}: .* whole number of 0 or more"):
            batch_images(clf, X, y, **wrong)
    with pytest.raises(ValueError, match="rows of a table are not images"):
        batch_images(clf, X.reshape(60, -1), y)
    with pytest.raises(ValueError, match="not the data that the estimator was fitted on"):
        batch_images(clf.fit(X, y), X[1:], y[1:])
    assert batch_images(
        OPeNClassifier(image_shape=(3, 8, 8), **SETTINGS), X.reshape(60, -1), y
    ).images.shape == (15, 3, 8, 8)


@pytest.mark.parametrize("n_images", [0, -1, 2.5])
def test_a_number_of_images_that_cannot_be_drawn(n_images):
    display = BatchDisplay(np.zeros((3, 1, 4, 4)), [0, 0, 0], ["natural"] * 3)
    with pytest.raises(ValueError, match=rf"n_images={n_images}: .* 1 or more"):
        display.plot(n_images=n_images)


@pytest.mark.parametrize(("n_channels", "shape"), [(1, (4, 5)), (2, (4, 5)), (3, (4, 5, 3))])
def test_pictures(n_channels, shape):
    images = np.random.RandomState(0).randint(0, 256, (3, n_channels, 4, 5))
    display = BatchDisplay(images, ["a", "b", "a very long name"], ["natural"] * 2 + ["noise"])
    display.plot()
    for image, drawn in zip(images, display.images_, strict=True):
        expected = np.moveaxis(image, 0, -1) if n_channels == 3 else image.mean(axis=0)
        np.testing.assert_allclose(drawn.get_array(), expected / 255)
        assert drawn.get_array().shape == shape
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["a", "b", "a very\N{HORIZONTAL ELLIPSIS} name"]
    assert display.ax_.get_title() == "2 natural, 1 noise (orange frame)"
    frames = [frame.get_facecolor()[0].tolist() for frame in display.ax_.collections]
    assert frames[0] == frames[1] != frames[2]


def test_a_large_batch_is_thinned_evenly():
    kinds = np.repeat(["natural", "noise"], [90, 30])
    images = np.arange(120.0).reshape(-1, 1, 1, 1)
    display = BatchDisplay(images, kinds, kinds).plot(n_images=40)
    assert len(display.images_) == 40
    assert [text.get_text() for text in display.ax_.texts].count("noise") == 10


class Sure(torch.nn.Module):
    """Sees the third class everywhere."""

    def forward(self, pixels):
        return pixels.flatten(1)[:, :3] * 0 + torch.tensor([0.0, 1.0, 9.0]) + pixels.mean() * 0


def test_translated_images_are_shown_where_there_is_a_teacher(images):
    X, y = images
    settings = {
        "max_epochs": 2,
        "start_epoch": 1,
        "batch_size": 60,
        "random_state": 0,
        "verbose": 0,
    }
    given = OPeNClassifier(resampler=M2mOverSampler(Sure(), beta=0.5), **settings)
    with pytest.warns(UserWarning, match="for one class"):
        shown = batch_images(given, X, y)
    originals = {row.tobytes() for row in X}
    moved = [row.tobytes() not in originals for row in shown.images]
    assert any(moved)
    assert set(shown.labels[moved]) == {2}
    own = OPeNClassifier(resampler=M2mOverSampler, **settings)
    with pytest.warns(UserWarning, match="rows are shown as they were"):
        shown = batch_images(own, X, y)
    assert all(row.tobytes() in originals for row in shown.images)
