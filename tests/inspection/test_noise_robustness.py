"""Accuracy against additive noise."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score
from torch.utils.data import TensorDataset

from sklearn_open import OPeNClassifier
from sklearn_open.inspection import NoiseRobustnessDisplay, noise_robustness
from sklearn_open.metrics import equal_group_accuracy


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it is asked to predict."""

    def __init__(self, label="a"):
        self.label = label

    def fit(self, X, y):
        self.seen_ = []
        return self

    def predict(self, X):
        self.seen_.append(X)
        return np.full(len(X), self.label)


def seen_by_recorder(X, y, **options):
    recorder = Recorder().fit(X, y)
    noise_robustness(recorder, X, y, y_train=y, n_groups=2, random_state=0, **options)
    return recorder.seen_


def test_without_noise_it_is_the_accuracy(fitted, named_digits):
    X, y = named_digits
    curve = noise_robustness(fitted, X, y, noise_std=[0, 40], random_state=0)
    y_pred = fitted.predict(X)
    assert curve.accuracy[0] == pytest.approx(balanced_accuracy_score(y, y_pred))
    assert curve.small_class_accuracy[0] == equal_group_accuracy(y, y_pred, y_train=y)[0]


@pytest.mark.parametrize("width", [1.0, 16.0, 255.0])
def test_levels_are_in_units_of_0_to_255(width):
    X = np.full((400, 8, 8), width / 2)
    y = np.repeat(["a", "b"], 200)
    seen = seen_by_recorder(X, y, noise_std=[0, 10, 20], pixel_range=(0, width))
    np.testing.assert_array_equal(seen[0], X)
    for level, noisy in zip((10, 20), seen[1:], strict=True):
        assert np.std(noisy - X) == pytest.approx(level * width / 255, rel=0.01)
        assert np.mean(noisy - X) == pytest.approx(0, abs=0.01 * width)
    np.testing.assert_allclose(seen[2] - X, 2 * (seen[1] - X), rtol=1e-5)  # one draw, scaled


def test_noisy_pixels_stay_in_the_feasible_range_and_in_their_dtype():
    X = np.random.RandomState(0).randint(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    (noisy,) = seen_by_recorder(X, np.repeat(["a", "b"], 20), noise_std=[75], pixel_range=(0, 255))
    assert noisy.dtype == np.uint8
    seed = np.random.RandomState(0).randint(2**31 - 1)
    noise = np.random.default_rng(seed).standard_normal(X.shape, dtype=np.float32)
    expected = np.clip(X + 75 * noise.astype(np.float64), 0, 255)
    assert np.abs(noisy - expected).max() <= 0.5 + 1e-3  # rounded, not wrapped around
    assert np.mean(noisy == 255) > 0.05


def test_the_range_is_the_fitted_one(fitted, named_digits, monkeypatch):
    X, y = named_digits
    seen = []
    monkeypatch.setattr(type(fitted), "predict", lambda self, X: seen.append(X) or y[:30])
    noise_robustness(fitted, X[:30], y[:30], noise_std=[255], random_state=0)
    assert (seen[0].min(), seen[0].max()) == (0, 16)


def test_columns_of_a_table_have_ranges_of_their_own():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(60, 2)) * [1, 1000]
    y = np.repeat(["a", "b"], 30)
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(X, y)
    curve = noise_robustness(clf, X, y, noise_std=[50], n_groups=2, random_state=0)
    assert curve.accuracy.shape == (1,)
    seen = seen_by_recorder(X, y, noise_std=[50], pixel_range=([0, 0], [1, 1000]))[0]
    np.testing.assert_allclose(np.ptp(seen, axis=0) / [1, 1000], 1, atol=0.1)


def test_it_is_seeded(fitted, named_digits):
    X, y = named_digits
    runs = [noise_robustness(fitted, X, y, noise_std=[60], random_state=s) for s in (0, 0, 1)]
    assert runs[0].accuracy == runs[1].accuracy
    assert runs[0].accuracy != runs[2].accuracy


def test_layouts_and_tensors_agree(fitted, named_digits):
    X, y = named_digits
    options = {"noise_std": [60], "random_state": 0}
    curves = [
        noise_robustness(fitted, images, y, **options).accuracy
        for images in (X, X[..., None], torch.as_tensor(X))
    ]
    assert curves[0] == curves[1] == curves[2]


def test_boolean_pixels_are_rounded():
    X = np.random.RandomState(0).rand(200, 8, 8) > 0.5
    y = np.repeat(["a", "b"], 100)
    seen = seen_by_recorder(X, y, noise_std=[0, 1, 100], pixel_range=(0, 1))
    assert all(noisy.dtype == bool for noisy in seen)
    np.testing.assert_array_equal(seen[0], X)
    np.testing.assert_array_equal(seen[1], X)
    (as_floats,) = seen_by_recorder(X.astype(float), y, noise_std=[100], pixel_range=(0, 1))
    np.testing.assert_array_equal(seen[2], as_floats > 0.5)
    assert np.mean(seen[2] != X) == pytest.approx(0.10, abs=0.02)  # beyond 1.275 deviations


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_keep_their_names_and_dtypes(library):
    frames = pytest.importorskip(library)
    rng = np.random.RandomState(0)
    columns = {"a": rng.uniform(size=60), "b": rng.randint(0, 9, 60), "c": rng.rand(60) > 0.5}
    X, y = frames.DataFrame(columns), np.repeat(["u", "v"], 30)
    low, high = (0, 0, 0), (1, 8, 1)
    clean, noisy = seen_by_recorder(X, y, noise_std=[0, 100], pixel_range=(low, high))
    for seen in (clean, noisy):
        assert type(seen) is type(X)
        assert list(seen.columns) == list(X.columns)
        assert list(seen.dtypes) == list(X.dtypes)
    np.testing.assert_allclose(np.asarray(clean, dtype=float), np.asarray(X, dtype=float))
    assert np.any(np.asarray(noisy, dtype=float) != np.asarray(X, dtype=float), axis=0).all()
    clf = OPeNClassifier(max_epochs=1, random_state=0, verbose=0).fit(X, y)
    curve = noise_robustness(clf, X, y, noise_std=[0, 50], random_state=0)  # warnings are errors
    assert curve.accuracy[0] == pytest.approx(balanced_accuracy_score(y, clf.predict(X)))


def test_data_sets_are_read(images):
    X, y = images
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    clf = OPeNClassifier(max_epochs=2, batch_size=16, random_state=0, verbose=0).fit(dataset)
    options = {"noise_std": [0, 60], "random_state": 0}
    direct = noise_robustness(clf, X, y, **options)
    for labels in (y, None):
        read = noise_robustness(clf, dataset, labels, **options)
        np.testing.assert_array_equal(read.accuracy, direct.accuracy)
    other = Recorder().fit(X, y)
    with pytest.raises(TypeError, match=r"X is a TensorDataset.* this is a Recorder.*one array"):
        noise_robustness(other, dataset, y, y_train=y, pixel_range=(0, 255))


def test_bad_levels_are_refused(fitted, named_digits):
    for levels in ([-1], 5, [np.nan]):
        with pytest.raises(ValueError, match="numbers of 0 or more"):
            noise_robustness(fitted, *named_digits, noise_std=levels)


def test_percentages_are_refused():
    for values in ([[50, 90]], [[0.5, 0.9], [50, 90]]):
        with pytest.raises(ValueError, match="Divide percentages by 100"):
            NoiseRobustnessDisplay([0, 50], *values)


def test_lines():
    display = NoiseRobustnessDisplay([0, 50], [0.9, 0.5], [0.8, 0.2], name="A").plot()
    solid, dashed = display.lines_
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(solid.get_xydata(), [[0, 90], [50, 50]])
    np.testing.assert_allclose(dashed.get_ydata(), [80, 20])
    assert [line.get_label() for line in display.lines_] == [
        "A, all classes",
        "A, smallest classes",
    ]
    other = NoiseRobustnessDisplay([0, 50], [0.7, 0.6], name="B").plot(ax=display.ax_)
    (line,) = other.lines_
    assert line.get_color() != solid.get_color()
    assert len(display.ax_.get_legend().get_texts()) == 3
