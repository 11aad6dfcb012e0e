"""What can be trained on, and what is refused before anything is made."""

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from skorch.callbacks import Checkpoint, EarlyStopping, InputShapeSetter, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def test_it_learns(digits_lt):
    X, y = digits_lt
    clf = make(max_epochs=15, start_epoch=0.6, lr_decay=0.1, batch_size=64).fit(X, y)
    assert clf.score(X, y) > 0.97


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def test_layouts_give_the_same_network(images):
    X, y = images
    first, last = make().fit(X, y), make().fit(np.moveaxis(X, 1, 3), y)
    assert first.image_shape_ == last.image_shape_ == (3, 8, 8)
    assert torch.equal(weights(first), weights(last))
    proba = first.predict_proba(X)
    np.testing.assert_array_equal(first.predict_proba(np.moveaxis(X, 1, 3)), proba)
    np.testing.assert_array_equal(first.predict_proba(torch.from_numpy(X)), proba)


@pytest.mark.parametrize("view", [lambda a: a[::-1], np.asfortranarray, _read_only, list])
def test_arrays_of_any_memory_layout(images, view):
    X, y = images
    np.testing.assert_array_equal(
        make().fit(view(X), y).predict_proba(view(X)),
        make()
        .fit(np.ascontiguousarray(np.asarray(view(X))), y)
        .predict_proba(np.ascontiguousarray(np.asarray(view(X)))),
    )


def test_dates_as_labels(images):
    X, y = images
    days = np.array(["2021-01-01", "2022-01-01", "2023-01-01"], dtype="datetime64[D]")[y]
    assert set(make().fit(X, days).predict(X)) <= set(days)


def test_uint8_and_unit_floats_are_the_same_images(images):
    X, y = images
    bytes_, floats = make().fit(X, y), make().fit(X / 255, y)
    torch.testing.assert_close(weights(bytes_), weights(floats), rtol=1e-2, atol=1e-3)


def test_gray_images_and_tables(images):
    X, y = images
    gray = X[:, 0]
    assert make().fit(gray, y).image_shape_ == (1, 8, 8)
    assert make().fit(gray.reshape(60, 64), y).image_shape_ == (64,)
    table = make(image_shape=(8, 8)).fit(gray.reshape(60, 64), y)
    assert table.image_shape_ == (1, 8, 8)
    assert torch.equal(weights(table), weights(make().fit(gray, y)))
    assert table.predict(gray).shape == table.predict(gray.reshape(60, 64)).shape


@pytest.mark.parametrize(
    "labels", [["cat", "bird", "dog"], [30, 5, 700], [2.0, 0.0, 1.0], ["x", 3, None]]
)
def test_labels_come_back_as_they_went_in(images, labels):
    X, y = images
    names = np.array(labels, dtype=object if None in labels else None)[y]
    if None in labels:
        names = names.astype(str).astype(object)
    clf = make().fit(X, names)
    assert set(clf.predict(X)) <= set(names)
    np.testing.assert_array_equal(clf.classes_, np.unique(names))
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[clf.predict_proba(X).argmax(axis=1)])


def test_boolean_labels(images):
    X, y = images
    assert make().fit(X, y == 0).predict(X).dtype == bool


def test_a_class_without_rows(images):
    X, y = images
    for composition in ("even", "bernoulli"):
        clf = make(composition=composition, classes=[0, 1, 2, 3], resampler__noise="class_gaussian")
        assert clf.fit(X, y).predict_proba(X).shape == (60, 4)


def test_one_pixel_images_and_tiny_classes():
    rng = np.random.RandomState(0)
    X, y = rng.rand(11, 3, 1, 1), np.repeat([0, 1, 2], [8, 2, 1])
    for batch_size in (3, 5, 10, 11, 128, -1):
        clf = make(batch_size=batch_size, start_epoch=0, delta=1)
        assert clf.fit(X, y).predict(X).shape == (11,)
    clf = make(batch_size=2, start_epoch=0, delta=1)
    with pytest.warns(UserWarning, match="batch_size=2 leaves no room for noise"):
        clf.fit(X, y)
    assert clf.predict(X).shape == (11,)


def test_classes_may_name_codes(images):
    X, y = images
    clf = make(classes=["a", "b", "c"]).fit(X, y)
    assert set(clf.predict(X)) <= {0, 1, 2}
    np.testing.assert_array_equal(clf.class_names_, ["a", "b", "c"])
    np.testing.assert_array_equal(clf.predict_proba(X), make().fit(X, y).predict_proba(X))


def test_fit_parameters_reach_the_network(images):
    seen = []

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 3))

        def forward(self, x, scale=None):
            seen.append(scale)
            return self.layers(x)

    make(Scaled, max_epochs=1).fit(*images, scale=2)
    assert set(seen) == {2}


class NeverMade(nn.Module):
    def __init__(self):
        raise AssertionError("the network was made before the input was refused")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delta": 1.5}, r"delta=1.5 is not a share.*from 0 \(none\) to 1"),
        ({"delta": -0.1}, r"delta=-0.1 is not a share"),
        ({"delta": np.nan}, r"delta=nan is not a share"),
        ({"resampler__delta": 2}, r"delta=2 is not a share"),
        ({"resampler": PureNoiseOverSampler(delta=0.1), "delta": 0.5}, "contradicts"),
        ({"resampler__noise": "pink"}, "noise='pink' is unknown"),
        ({"noise_grad": "none"}, "noise_grad='none' is unknown"),
        ({"composition": "odd"}, "composition='odd' is unknown"),
        ({"composition": "bernoulli", "resampler": SMOTE}, "Use composition='even'"),
        ({"epoch_length": 3}, "epoch_length=3 is unknown"),
        ({"precision": "float8"}, "precision='float8' is unknown"),
        ({"start_epoch": 1.5}, r"start_epoch=1.5 is not an epoch.*share of max_epochs"),
        ({"start_epoch": -1}, "start_epoch=-1 is not an epoch"),
        ({"warmup_epochs": 5.0}, "warmup_epochs=5.0 is not an epoch"),
        ({"lr_milestones": (160.0,)}, "lr_milestones entry=160.0 is not an epoch"),
        ({"lr_milestones": 0.8}, "is not a sequence"),
        ({"augment": "blur"}, "blur"),
        ({"normalize": "imagenet"}, "normalize='imagenet' is not understood"),
        ({"normalize": ([np.nan], [0.2])}, "is not understood"),
        ({"batch_size": 0}, "batch_size=0 is not a number of rows"),
        ({"batch_size": 2.5}, "batch_size=2.5 is not a number of rows"),
        ({"iterator_train__batch_size": 0}, "iterator_train__batch_size=0 is not a number"),
        ({"max_epochs": 2.0}, "max_epochs=2.0 is not a number of epochs"),
        ({"max_epochs": -1}, "max_epochs=-1 is not a number of epochs"),
        ({"lr_decay": None}, "lr_decay=None is not a factor"),
        ({"iterator_train__drop_last": True}, "iterator_train, with its settings, rules"),
        ({"iterator_train": list}, "leave iterator_train out, or pass resampler=None"),
        ({"image_shape": 8}, "image_shape=8 is not the shape of an image"),
        ({"image_shape": (3, 9, 9)}, r"\(3, 9, 9\) is needed"),
        ({"image_shape": (3,)}, "is not the shape of an image"),
        ({"classes": [0, 1]}, r"labels \[2\].*not in classes"),
    ],
)
def test_settings(images, params, message):
    with pytest.raises(ValueError, match=message):
        make(NeverMade, **params).fit(*images)


def test_resamplers_that_cannot_draw_fail_before_training(images):
    X, y = images
    losses = []

    class Watch(OPeNClassifier):
        def get_loss(self, *args, **kwargs):
            losses.append(1)
            return super().get_loss(*args, **kwargs)

    for params in (
        {"resampler__sampling_strategy": 0.5},
        {"resampler": RandomOverSampler(sampling_strategy={2: 1})},
    ):
        clf = Watch(max_epochs=3, start_epoch=2, verbose=0, **params)
        with pytest.raises(ValueError, match=r"sampling_strategy|number of samples"):
            clf.fit(X, y)
    assert not losses


def test_augmentation_that_does_not_fit(images):
    X, y = images
    with pytest.raises(ValueError, match="RGB"):
        make(NeverMade, augment="autoaugment").fit(X[:, 0], y)
    with pytest.raises((ValueError, TypeError), match=r"image_shape|images"):
        make(NeverMade, augment="cutout").fit(X.reshape(60, -1), y)


def test_a_refused_refit_leaves_the_estimator_as_it_was(images):
    X, y = images
    clf = make().fit(X, y)
    proba = clf.predict_proba(X)
    for args, module in [((X[:, :, :4], y[:-1]), None), ((X[:, :1], y), tiny_net(7))]:
        clf.module = module
        with pytest.raises(ValueError, match=r"labels|output of shape|process rows"):
            clf.fit(*args)
        np.testing.assert_array_equal(clf.predict_proba(X), proba)
        assert len(clf.history) == 3


def test_one_class_is_refused_even_if_more_are_named(images):
    X, y = images
    with pytest.raises(ValueError, match="one class only, 0"):
        make(NeverMade, classes=[0, 1, 2]).fit(X[y == 0], y[y == 0])


def test_empty_data(images):
    X, y = images
    clf = make().fit(X, y)
    for call in (lambda: clf.predict(X[:0]), lambda: make(NeverMade).fit(X[:0], y[:0])):
        with pytest.raises(ValueError, match="0 sample"):
            call()


def test_something_that_cannot_resample(images):
    with pytest.raises(TypeError, match="has no fit_resample"):
        make(NeverMade, resampler=dict).fit(*images)


def test_data(images):
    X, y = images
    bad = X.astype(float)
    bad[3, 0, 0, 0] = np.nan
    for args, message in [
        ((bad, y), "NaN"),
        ((X, y[:-1]), "60 rows and y has 59 labels"),
        ((X, np.zeros(60)), "one class only"),
        ((X, None), "target y is None"),
        ((X[..., None], y), "dim 5"),
        ((X, np.random.RandomState(0).rand(60)), "continuous"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(NeverMade).fit(*args)


class Watched(OPeNClassifier):
    """Keeps what the network is given in training: batch, number of noise rows."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.__dict__.setdefault("given_", []).append((x.clone(), self._noise_rows_))
        return super().infer(x, **fit_params)


def watched(module=None, **kwargs):
    settings = {"max_epochs": 1, "start_epoch": 0, "delta": 1, "lr": 0.05, "verbose": 0}
    return Watched(module, **{**settings, "random_state": 0, **kwargs})


@pytest.mark.parametrize("noise", ["gaussian", "class_gaussian", "uniform"])
def test_classes_of_one_row(noise):
    rng = np.random.RandomState(0)
    y = np.array([0] * 20 + list(range(1, 9)))
    X = rng.randint(0, 256, (28, 1, 2, 2), dtype=np.uint8)
    clf = watched(batch_size=16, resampler__noise=noise, epoch_length="resampled").fit(X, y)
    assert sum(n_noise for _, n_noise in clf.given_) == 8 * 19
    for x, n_noise in clf.given_:
        natural, drawn = x.split([len(x) - n_noise, n_noise])
        assert torch.isfinite(x).all()
        assert drawn.abs().max() <= natural.abs().max() + 2  # nothing is blown up
    assert clf.predict_proba(X).shape == (28, 9)


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_that_are_all_the_same(value, dtype):
    X, y = np.full((12, 3, 4, 4), value, dtype), [0] * 9 + [1] * 3
    clf = watched(batch_size=6).fit(X, y)
    for x, n_noise in clf.given_:
        assert n_noise
        assert x.abs().max() < 1e-6  # centred; the noise has no deviation either
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_array_equal(proba, np.broadcast_to(proba[:1], proba.shape))


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-10, 1e10, 1e30, 1e38])
def test_ranges_of_any_size_are_one_to_the_network(scale):
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (24, 3, 4, 4)), np.repeat([0, 1], [18, 6])
    clf = watched(batch_size=8).fit(X * scale, y)
    x = torch.cat([x for x, _ in clf.given_])
    assert torch.isfinite(x).all()
    assert 0.5 < x.std() < 2
    assert np.isfinite(clf.predict_proba(X * scale)).all()


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (EarlyStopping(), "EarlyStopping watches 'valid_loss'"),
        (("early", EarlyStopping), "EarlyStopping watches 'valid_loss'"),
        (Checkpoint(monitor="valid_acc_best"), "Checkpoint watches 'valid_acc_best'"),
        (LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), "LRScheduler watches"),
    ],
)
def test_callbacks_that_watch_rows_that_are_not_held_out(images, callback, message):
    clf = make(callbacks=[callback])
    with pytest.raises(ValueError, match=rf"{message}.*train_split=skorch.dataset.ValidSplit"):
        clf.fit(*images)
    assert not clf.initialized_
    if isinstance(callback, EarlyStopping):
        clf.set_params(train_split=ValidSplit(3)).fit(*images)


@pytest.mark.parametrize("name", ["dleta", "start_epochs", "nrom", "Delta"])
def test_mistyped_parameters_are_answered_with_near_ones(images, name):
    near = {"dleta": "delta", "start_epochs": "start_epoch", "nrom": "norm", "Delta": "delta"}
    with pytest.raises(ValueError, match=rf"unexpected argument.* {name}.*'{near[name]}'"):
        make(**{name: 1}).fit(*images)


def test_input_shape_setter(images):
    X, y = images
    table = X.reshape(60, -1)
    callbacks = [InputShapeSetter(param_name="in_features")]
    clf = make("SmallMLP", module__in_features=4, callbacks=callbacks).fit(table, y)
    expected = make("SmallMLP").fit(table, y)
    np.testing.assert_array_equal(clf.predict_proba(table), expected.predict_proba(table))
    assert clf.get_params()["module__in_features"] == 192


class TakesInputDim(nn.Module):
    def __init__(self, input_dim=10, num_classes=2):
        super().__init__()
        self.fc = nn.Linear(input_dim, num_classes)

    def forward(self, x):
        return self.fc(x)


@pytest.mark.filterwarnings("ignore::sklearn_open.exceptions.NoBatchNormWarning")
@pytest.mark.parametrize("callbacks", [None, [InputShapeSetter()], [("shape", InputShapeSetter())]])
def test_networks_that_take_their_input_s_width(images, callbacks):
    X, y = images
    clf = make(TakesInputDim, callbacks=callbacks).fit(X.reshape(60, -1), y)
    assert clf.module_.fc.in_features == X[0].size


class InterruptedItems(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return 60

    def __getitem__(self, i):
        if i == 30:
            raise KeyboardInterrupt
        return self.images[0][i], int(self.images[1][i])


def test_ctrl_c_while_data_are_checked_leaves_a_fitted_estimator(images):
    X, y = images
    clf = make().fit(X, y)
    expected = clf.predict_proba(X)

    def interrupted(batch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clf.fit(InterruptedItems(images))
    with pytest.raises(KeyboardInterrupt):
        clf.set_params(augment=interrupted).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("optimizer__momentun", "optimizer__momentum"),
        ("resampler__detla", "resampler__delta"),
        ("criterion__wieght", "criterion__weight"),
        ("iterator_train__num_wokers", "iterator_train__num_workers"),
        ("iterator_valid__batchsize", "iterator_valid__batch_size"),
    ],
)
def test_mistyped_parameters_of_parts(images, name, near):
    clf = make(**{name: 1})
    with pytest.raises(ValueError, match=rf"{name} is no parameter of .*'{near}'"):
        clf.fit(*images)
    assert not clf.initialized_
