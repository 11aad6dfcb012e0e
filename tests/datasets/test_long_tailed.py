import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_open.datasets import long_tailed_counts, make_long_tailed

# Labels that alternate, so that sample i is number i // C of its class.
Y10 = np.tile(np.arange(10), 5000)
Y100 = np.tile(np.arange(100), 500)


def indices_of(y, **kwargs):
    return make_long_tailed(y, y, return_indices=True, **kwargs)[2]


@pytest.mark.parametrize(
    ("n_max", "n_classes", "ratio", "total"),
    [(5000, 10, 100, 12406), (5000, 10, 50, 13996), (500, 100, 100, 10847), (500, 100, 50, 12608)],
)
def test_totals_are_those_of_the_papers(n_max, n_classes, ratio, total):
    counts = long_tailed_counts(n_max, n_classes, imbalance_ratio=ratio)
    assert counts.sum() == total
    assert counts.dtype == np.int64
    assert (counts[0], counts[-1]) == (n_max, n_max // ratio)


def test_exp_counts():
    expected = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert_array_equal(long_tailed_counts(5000, 10), expected)
    expected = [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]
    assert_array_equal(long_tailed_counts(5000, 10, imbalance_ratio=50), expected)
    counts = long_tailed_counts(500, 100)
    assert_array_equal(counts[:5], [500, 477, 455, 434, 415])
    assert counts[-20:].sum() == 153


@pytest.mark.parametrize(
    ("n_max", "n_classes", "ratio", "total", "last"),
    [
        (5000, 10, 100, 12406, 50),
        (5000, 10, 50, 13995, 99),
        (500, 100, 100, 10846, 4),
        (500, 100, 50, 12607, 9),
    ],
)
def test_m2m_counts(n_max, n_classes, ratio, total, last):
    counts = long_tailed_counts(n_max, n_classes, imbalance_ratio=ratio, profile="m2m")
    assert (counts.sum(), counts[-1]) == (total, last)
    exp = long_tailed_counts(n_max, n_classes, imbalance_ratio=ratio)
    assert_array_equal(counts[:-1], exp[:-1])


def test_step_counts():
    kwargs = {"profile": "step", "imbalance_ratio": 10}
    assert_array_equal(long_tailed_counts(50, 4, **kwargs), [50, 50, 5, 5])
    assert_array_equal(long_tailed_counts(50, 5, **kwargs), [50, 50, 5, 5, 5])


@pytest.mark.parametrize("profile", ["exp", "step", "m2m"])
def test_edge_counts(profile):
    assert_array_equal(long_tailed_counts(7, 1, profile=profile), [7])
    assert_array_equal(long_tailed_counts(7, 3, profile=profile, imbalance_ratio=1), [7, 7, 7])
    assert long_tailed_counts(7, 3, profile=profile, imbalance_ratio=1000)[-1] == 1


@pytest.mark.parametrize(
    ("y", "label", "expected"),
    [
        (Y10, 1, [597, 332, 521, 3935, 4800]),
        (Y10, 9, [2204, 3816, 2206, 2507, 1926]),
        (Y100, 1, [277, 307, 436, 88, 261]),
        (Y100, 99, [348, 153, 363, 361, 299]),
    ],
)
def test_ldam_fingerprints(y, label, expected):
    indices = indices_of(y)
    positions = indices[y[indices] == label] // (y.max() + 1)
    assert_array_equal(positions[:5], expected)


def test_ldam_is_the_published_procedure():
    y = np.random.RandomState(1).permutation(Y100)
    np.random.seed(0)
    expected = []
    for label in range(100):
        position = np.where(y == label)[0]
        np.random.shuffle(position)
        expected.extend(position[: int(500 * 0.01 ** (label / 99))])
    assert_array_equal(indices_of(y), expected)


def test_ldam_leaves_the_global_generator_alone():
    np.random.seed(3)
    expected = np.random.randint(1000, size=5)
    np.random.seed(3)
    make_long_tailed(Y100, Y100)
    assert_array_equal(np.random.randint(1000, size=5), expected)


@pytest.mark.parametrize(
    ("y", "ratio", "n_different"),
    [(Y10, 100, 4610), (Y100, 100, 5267), (Y10, 50, 5380), (Y100, 50, 6044)],
)
def test_overlap_of_ldam_and_first(y, ratio, n_different):
    ldam = indices_of(y, imbalance_ratio=ratio)
    first = indices_of(y, imbalance_ratio=ratio, selection="first")
    assert len(np.setdiff1d(ldam, first)) == n_different


@pytest.mark.parametrize(("y", "ratio", "total"), [(Y10, 100, 12406), (Y100, 50, 12607)])
def test_m2m_takes_the_first_of_its_own_counts(y, ratio, total):
    m2m = indices_of(y, imbalance_ratio=ratio, selection="m2m", random_state=None)
    assert len(m2m) == total
    first = indices_of(y, imbalance_ratio=ratio, selection="first")
    assert_array_equal(np.intersect1d(m2m, first), m2m)


def test_m2m_with_the_step_profile_is_refused():
    with pytest.raises(ValueError, match=r'profile="step" was given: leave profile out'):
        make_long_tailed([1, 2], [0, 1], profile="step", selection="m2m")


def test_first_keeps_the_first_in_order():
    y = np.array([1, 0, 0, 1, 1, 0, 0, 1])
    assert_array_equal(indices_of(y, imbalance_ratio=2, selection="first"), [0, 1, 2, 3, 5, 6])


def test_random_follows_its_seed_and_keeps_the_order():
    first, again, other = (indices_of(Y10, selection="random", random_state=s) for s in (0, 0, 1))
    assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (np.diff(first) > 0).all()
    assert_array_equal(np.bincount(Y10[first]), long_tailed_counts(5000, 10))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100, 100, 100], [100, 10, 1]),
        ([100, 10, 1], [100, 10, 1]),  # a subset of itself
        ([5, 100, 100], [5, 1, 1]),  # the first class bounds the others
        ([1000, 5, 100], [59, 5, 1]),  # a small class in the middle bounds the first one
    ],
)
def test_classes_of_different_sizes(sizes, expected):
    y = np.repeat(np.arange(3), sizes)
    assert_array_equal(np.bincount(y[indices_of(y)]), expected)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    y=st.lists(st.integers(0, 5), min_size=1, max_size=120),
    ratio=st.floats(1, 300),
    profile=st.sampled_from(["exp", "step", "m2m"]),
    selection=st.sampled_from(["ldam", "first", "random"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_properties(y, ratio, profile, selection, seed):
    y = np.array(y)
    X = np.arange(len(y))[:, None] * np.ones((1, 2))
    profile_args = {"imbalance_ratio": ratio, "profile": profile}
    X_lt, y_lt, indices = make_long_tailed(
        X, y, selection=selection, random_state=seed, return_indices=True, **profile_args
    )
    assert_array_equal(X_lt, X[indices])
    assert_array_equal(y_lt, y[indices])
    assert len(set(indices)) == len(indices)

    classes, sizes = np.unique(y, return_counts=True)
    kept_classes, kept = np.unique(y_lt, return_counts=True)
    assert_array_equal(kept_classes, classes)
    assert_array_equal(kept, long_tailed_counts(int(kept[0]), len(classes), **profile_args))
    one_more = long_tailed_counts(int(kept[0]) + 1, len(classes), **profile_args)
    assert (one_more > sizes).any()


def test_containers_keep_their_type(tmp_path):
    X = np.arange(30 * 3 * 2 * 2, dtype=np.uint8).reshape(30, 3, 2, 2)
    y = np.repeat(["cat", "dog", "fox"], 10)
    expected, y_expected, indices = make_long_tailed(
        X, y, imbalance_ratio=10, return_indices=True, random_state=2
    )

    def check(X, y, X_type, y_type):
        X_lt, y_lt = make_long_tailed(X, y, imbalance_ratio=10, random_state=2)
        assert type(X_lt) is X_type
        assert type(y_lt) is y_type
        assert_array_equal(np.asarray(X_lt), expected)
        assert_array_equal(
            np.unique(y_lt, return_inverse=True)[1], np.repeat([0, 1, 2], [10, 3, 1])
        )

    assert_array_equal(y_expected, y[indices])
    check(list(X), y.tolist(), list, list)
    codes = torch.arange(3).repeat_interleave(10)
    check(torch.from_numpy(X), codes, torch.Tensor, torch.Tensor)
    np.save(tmp_path / "X.npy", X)
    memory_map = np.load(tmp_path / "X.npy", mmap_mode="r")
    check(memory_map, y, np.ndarray, np.ndarray)


def test_dataframe():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(20)]})
    labels = pd.Series(["a", "b"] * 10)
    X, y, indices = make_long_tailed(frame, labels, imbalance_ratio=5, return_indices=True)
    pd.testing.assert_frame_equal(X, frame.iloc[indices])
    pd.testing.assert_series_equal(y, labels.iloc[indices])
    assert y.value_counts().to_dict() == {"a": 10, "b": 2}


@pytest.mark.parametrize("ratio", [0.01, 0, -1, float("nan"), float("inf"), "100"])
def test_bad_imbalance_ratio(ratio):
    with pytest.raises(ValueError, match=r"imbalance_ratio is the size .* got"):
        make_long_tailed([1, 2], [0, 1], imbalance_ratio=ratio)
    with pytest.raises(ValueError, match="pass 1 / factor"):
        long_tailed_counts(10, 2, imbalance_ratio=ratio)


@pytest.mark.parametrize("name", ["profile", "selection"])
def test_unknown_choice(name):
    with pytest.raises(ValueError, match=f"{name} must be one of .* got 'nope'"):
        make_long_tailed([1, 2], [0, 1], **{name: "nope"})


@pytest.mark.parametrize("value", [0, 2.5, "3"])
def test_bad_numbers(value):
    with pytest.raises(ValueError, match="n_max must be an integer of at least 1; got"):
        long_tailed_counts(value, 2)
    with pytest.raises(ValueError, match="n_classes must be an integer of at least 1; got"):
        long_tailed_counts(2, value)


def test_bad_data():
    with pytest.raises(ValueError, match="X has 3 samples and y has 2 labels"):
        make_long_tailed([1, 2, 3], [0, 1])
    with pytest.raises(ValueError, match="at least one sample"):
        make_long_tailed([], [])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_long_tailed([1, 2], [0.5, 1.2])
