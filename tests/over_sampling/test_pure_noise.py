"""PureNoiseOverSampler: the rebalanced data set of section 3.1."""

import numpy as np
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from PIL import Image
from sklearn.base import clone
from torch.utils.data import TensorDataset

from sklearn_open import PureNoiseOverSampler

COUNTS = [30, 12, 5]


def data(dtype=np.uint8, shape=(3, 4, 5), seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randint(40, 200, (sum(COUNTS), *shape)).astype(dtype)
    y = np.repeat(np.arange(len(COUNTS)), COUNTS)
    order = rng.permutation(len(y))
    return X[order], y[order]


@pytest.mark.parametrize("shape", [(3, 4, 5), (8, 5, 3), (6, 5), (7,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("delta", [0, 1 / 3, 1])
def test_originals_then_duplicates_and_noise(shape, dtype, delta):
    X, y = data(dtype, shape)
    sampler = PureNoiseOverSampler(delta=delta, random_state=0)
    X_res, y_res = sampler.fit_resample(X, y)

    assert X_res.dtype == dtype
    assert X_res.shape == (90, *shape)
    np.testing.assert_array_equal(X_res[:47], X)
    np.testing.assert_array_equal(y_res[:47], y)
    np.testing.assert_array_equal(np.bincount(y_res), [30, 30, 30])
    mask, index = sampler.noise_mask_, sampler.sample_indices_
    np.testing.assert_array_equal(X_res[~mask], X[index[~mask]])
    np.testing.assert_array_equal(y_res, y[index])
    noise = np.bincount(y_res, weights=mask, minlength=3)
    np.testing.assert_array_equal(noise, [0, round(delta * 18), round(delta * 25)])
    assert sampler.sampling_strategy_ == {1: 18, 2: 25}
    assert sampler.n_features_in_ == np.prod(shape)
    if delta == 1:
        assert not any(np.array_equal(row, other) for row in X_res[mask] for other in X)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_statistics_and_clipping_in_the_units_of_the_data(layout):
    X, y = data(shape=(3, 16, 16))
    X[:, 1] = X[:, 1] // 4  # channels differ
    sampler = PureNoiseOverSampler(delta=1, random_state=0)
    given = X if layout == "channels_first" else np.moveaxis(X, 1, 3)
    X_res, _ = sampler.fit_resample(given, y)
    np.testing.assert_allclose(sampler.noise_mean_, X.mean((0, 2, 3)))
    np.testing.assert_allclose(sampler.noise_std_, X.std((0, 2, 3)))
    noise = X_res[sampler.noise_mask_]
    axes = (0, 2, 3) if layout == "channels_first" else (0, 1, 2)
    np.testing.assert_allclose(noise.mean(axes), X.mean((0, 2, 3)), atol=3)
    np.testing.assert_allclose(noise.std(axes), X.std((0, 2, 3)), rtol=0.05)


def test_floats_are_clipped_to_their_range():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [40, 10])
    unit = rng.beta(0.2, 0.2, (50, 1, 8, 8))  # much mass near 0 and 1
    table = rng.normal([0, 100], [1, 10], (50, 2))
    for X, low, high in [(unit, 0, 1), (table, table.min(0), table.max(0))]:
        sampler = PureNoiseOverSampler(delta=1, random_state=0)
        noise = sampler.fit_resample(X, y)[0][sampler.noise_mask_]
        assert (noise >= low - 1e-6).all()
        assert (noise <= high + 1e-6).all()
    assert ((noise - table.mean(0)) / table.std(0)).std() == pytest.approx(1, abs=0.3)


def test_delta_zero_is_the_random_over_sampler():
    X, y = data(shape=(7,))
    ours = PureNoiseOverSampler(delta=0, random_state=3)
    theirs = RandomOverSampler(random_state=3)
    for got, expected in zip(ours.fit_resample(X, y), theirs.fit_resample(X, y), strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(ours.sample_indices_, theirs.sample_indices_)


@pytest.mark.parametrize("noise", ["gaussian", "uniform", "class_gaussian"])
def test_random_state_fixes_everything(noise):
    X, y = data()
    state = np.random.get_state()[1].copy()
    first, second, other = (
        PureNoiseOverSampler(noise=noise, random_state=seed).fit_resample(X, y)[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("labels", [["a", "b", "c"], [True, False], [5, -3, 100]])
def test_labels_of_any_kind(labels):
    X, y = data()
    names = np.array(labels)[y % len(labels)]
    _, y_res = PureNoiseOverSampler(random_state=0).fit_resample(X, names)
    counts = np.unique(y_res, return_counts=True)[1]
    assert set(y_res) == set(labels)
    assert len(set(counts)) == 1


def test_sampling_strategy_in_the_user_s_labels():
    X, y = data()
    names = np.array(["a", "b", "c"])[y]
    sampler = PureNoiseOverSampler(sampling_strategy={"c": 20}, delta=0.4, random_state=0)
    _, y_res = sampler.fit_resample(X, names)
    assert np.unique(y_res, return_counts=True)[1].tolist() == [30, 12, 20]
    assert sampler.noise_mask_.sum() == 6


def test_it_clones_and_works_in_a_pipeline():
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression

    X, y = data(np.float64, (7,))
    sampler = clone(PureNoiseOverSampler(delta=0.2, noise="uniform", random_state=0))
    assert sampler.get_params()["delta"] == 0.2
    model = make_pipeline(sampler, LogisticRegression(max_iter=1000)).fit(X, y)
    assert model.predict(X).shape == (47,)


@pytest.mark.parametrize("delta", [-0.1, 1.1, float("nan"), "a third", "", True])
def test_delta_is_a_share(delta):
    X, y = data()
    with pytest.raises(ValueError, match=r"delta=.* is not a share.*from 0 \(none\) to 1 \(all\)"):
        PureNoiseOverSampler(delta=delta).fit_resample(X, y)


def test_boolean_images_get_noise_of_their_density():
    rng = np.random.RandomState(0)
    X, y = rng.rand(60, 1, 16, 16) < 0.3, np.repeat([0, 1], [50, 10])
    sampler = PureNoiseOverSampler(delta=1, random_state=0)
    noise = sampler.fit_resample(X, y)[0][sampler.noise_mask_]
    assert noise.dtype == bool
    # N(0.3, 0.46) rounded at one half
    assert noise.mean() == pytest.approx(0.33, abs=0.03)


def test_nan_and_five_axes_are_refused():
    X, y = data(np.float64)
    with pytest.raises(ValueError, match="Found array with dim 5"):
        PureNoiseOverSampler().fit_resample(X[..., None], y)
    X[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        PureNoiseOverSampler().fit_resample(X, y)


def test_other_containers():
    X, y = data(shape=(4, 5, 3))
    expected = PureNoiseOverSampler(random_state=0).fit_resample(X, y)
    polars = pytest.importorskip("polars")
    for given, labels in [
        (torch.from_numpy(X), torch.from_numpy(y)),
        (tuple(X), tuple(y)),
        ([Image.fromarray(row) for row in X], polars.Series(y)),
    ]:
        got = PureNoiseOverSampler(random_state=0).fit_resample(given, labels)
        for part, same in zip(got, expected, strict=True):
            np.testing.assert_array_equal(part, same)
    table = X.reshape(len(X), -1).astype(np.float64)
    expected = PureNoiseOverSampler(random_state=0).fit_resample(table, y)[0]
    got, _ = PureNoiseOverSampler(random_state=0).fit_resample(polars.DataFrame(table), y)
    np.testing.assert_array_equal(got, expected)


def test_integers_up_to_the_largest():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [40, 10])
    for dtype in (np.int64, np.uint64):
        info = np.iinfo(dtype)
        X = rng.choice(np.array([info.min, info.max], dtype), (50, 1, 4, 4))
        sampler = PureNoiseOverSampler(delta=1, random_state=0)
        noise = sampler.fit_resample(X, y)[0][sampler.noise_mask_].astype(float)
        low, high = float(info.min), float(info.max)
        assert (noise > (low + high) / 2).mean() == pytest.approx(0.5, abs=0.1)
        assert noise.min() == low
        assert noise.max() == pytest.approx(high)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ma.masked_equal(np.eye(4), 1), [0, 0, 0, 1], "masked"),
        (np.full((4, 2), 1e200), [0, 0, 0, 1], "beyond 1e.150"),
        (np.zeros((4, 3, 0)), [0, 0, 0, 1], "no pixels"),
        (np.zeros((4, 3), "datetime64[D]"), [0, 0, 0, 1], "holds no pixels"),
        (np.eye(4), ["a", "a", "a", None], "no label"),
        (np.eye(4), ["a", "a", "a", 3], "several types"),
        (np.eye(4), [[1, 0], [1, 0], [0, 1], [0, 0]], "1 rows.*not of exactly one class.*row 3"),
    ],
)
def test_what_cannot_be_resampled(X, y, message):
    with pytest.raises(ValueError, match=message):
        PureNoiseOverSampler().fit_resample(X, y)


def test_a_data_set_is_not_held_in_memory():
    X, y = data()
    with pytest.raises(TypeError, match=r"TensorDataset, a data set.*Pass an array"):
        PureNoiseOverSampler().fit_resample(TensorDataset(torch.from_numpy(X)), y)


def test_one_hot_labels_come_back_as_such():
    X, y = data()
    one_hot = np.eye(3, dtype=int)[y]
    _, y_res = PureNoiseOverSampler(random_state=0).fit_resample(X, one_hot)
    np.testing.assert_array_equal(y_res[:47], one_hot)
    assert y_res.sum(0).tolist() == [30, 30, 30]


def test_whole_columns_of_a_data_frame_stay_whole():
    pandas = pytest.importorskip("pandas")
    rng, y = np.random.RandomState(0), np.repeat([0, 1], [200, 20])
    frame = pandas.DataFrame(
        {"n": rng.randint(0, 4, 220), "flag": rng.rand(220) < 0.3, "x": rng.randn(220)}
    )
    sampler = PureNoiseOverSampler(delta=1, random_state=0)
    got = sampler.fit_resample(frame, y)[0]
    assert (got.dtypes == frame.dtypes).all()
    noise = got[sampler.noise_mask_]
    assert noise["flag"].mean() == pytest.approx(0.33, abs=0.1)  # N(0.3, 0.46) rounded at one half
    assert noise["n"].mean() == pytest.approx(frame["n"].mean(), abs=0.2)


def test_a_third_is_noise_by_default():
    X, y = data()
    ours, theirs = (
        PureNoiseOverSampler(random_state=0),
        PureNoiseOverSampler(delta=1 / 3, random_state=0),
    )
    np.testing.assert_array_equal(ours.fit_resample(X, y)[0], theirs.fit_resample(X, y)[0])
    assert ours.noise_mask_.any()
