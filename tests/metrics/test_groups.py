"""Accuracy by class size."""

import numpy as np
import pytest

from sklearn_open.datasets import long_tailed_counts
from sklearn_open.metrics import (
    equal_group_accuracy,
    make_shot_scorer,
    shot_accuracy,
)


def test_groups_run_from_the_smallest_classes():
    y_train = np.repeat(np.arange(10), [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    y_true = np.repeat(np.arange(10), 10)
    right = np.arange(1, 11)  # class c: c + 1 of 10 right
    y_pred = np.concatenate([np.where(np.arange(10) < r, c, (c + 1) % 10) for c, r in
                             zip(range(10), right, strict=True)])  # fmt: skip
    got = equal_group_accuracy(y_true, y_pred, y_train=y_train)
    np.testing.assert_allclose(got, [0.95, 0.75, 0.55, 0.35, 0.15])


def test_labels_are_the_user_s_and_uneven_groups_are_allowed():
    y_train = ["a"] * 3 + ["b"] * 2 + ["c"]
    got = equal_group_accuracy(
        ["a", "b", "c", "c"], ["a", "a", "c", "b"], y_train=y_train, n_groups=2
    )
    np.testing.assert_allclose(got, [0.25, 1.0])  # c and b, then a


def test_a_group_without_test_samples_is_nan():
    got = equal_group_accuracy([0, 0], [0, 0], y_train=[0, 0, 1], n_groups=2)
    np.testing.assert_array_equal(got, [np.nan, 1])


@pytest.mark.parametrize("n_groups", [0, 3, 1.5, True])
def test_more_groups_than_classes(n_groups):
    with pytest.raises(
        ValueError, match=rf"n_groups={n_groups}, but the training labels have 2 classes"
    ):
        equal_group_accuracy([0, 1], [0, 1], y_train=[0, 1], n_groups=n_groups)


def test_by_default_few_classes_are_groups_of_their_own():
    y = np.repeat(["a", "b", "c"], [3, 2, 1])
    got = equal_group_accuracy(y, np.repeat(["a", "b"], [4, 2]), y_train=y)
    np.testing.assert_allclose(got, [0, 0.5, 1])
    many = np.repeat(np.arange(7), np.arange(1, 8))
    assert len(equal_group_accuracy(many, many, y_train=many)) == 5


def test_bounds_of_the_groups():
    y_train = np.repeat(np.arange(6), [101, 100, 99, 20, 19, 1])
    y_pred = np.array([0, 1, 0, 3, 0, 5])  # classes 2 and 4 are wrong
    got = shot_accuracy(np.arange(6), y_pred, y_train=y_train)
    assert list(got) == ["many", "medium", "few"]
    assert got == pytest.approx({"many": 1, "medium": 2 / 3, "few": 1 / 2})
    got = shot_accuracy(np.arange(6), y_pred, y_train=y_train, many=99, few=2)
    assert got == pytest.approx({"many": 1, "medium": 1 / 3, "few": 1})


def test_groups_of_cifar100_lt():
    """35 / 35 / 30 classes at imbalance ratio 100, 41 / 41 / 18 at 50."""
    for ratio, sizes in ((100, (35, 35, 30)), (50, (41, 41, 18))):
        y_train = np.repeat(np.arange(100), long_tailed_counts(500, 100, imbalance_ratio=ratio))
        for i, shot in enumerate(("many", "medium", "few")):
            one_wrong = np.arange(100)
            one_wrong[[0, 50, 99][i]] = -1
            got = shot_accuracy(np.arange(100), one_wrong, y_train=y_train)
            assert got[shot] == pytest.approx(1 - 1 / sizes[i])
            assert sum(got.values()) == pytest.approx(3 - 1 / sizes[i])


def test_accuracy_of_a_group_is_that_of_its_classes_not_of_its_rows():
    y_true = np.repeat(["a", "b"], [90, 10])
    got = shot_accuracy(y_true, np.repeat("a", 100), y_train=["a", "b"] * 30)
    assert got["medium"] == 0.5


def test_groups_without_classes_or_test_rows_are_nan_and_new_classes_are_few():
    got = shot_accuracy([0, 0], [0, 1], y_train=[0] * 50 + [1] * 200)
    np.testing.assert_equal(got, {"many": np.nan, "medium": 0.5, "few": np.nan})
    assert shot_accuracy([0, 7], [0, 0], y_train=[0] * 50)["few"] == 0


def test_bounds_that_overlap():
    assert shot_accuracy([0], [0], y_train=[0] * 10, many=9, few=10)["many"] == 1
    for call in (
        lambda: shot_accuracy([0], [0], y_train=[0], many=5, few=7),
        lambda: make_shot_scorer(many=5, few=7),
    ):
        with pytest.raises(ValueError, match="few=7 and many=5 overlap: a class of 6 samples"):
            call()
