"""Accuracy by class size."""

import numpy as np
import pytest

from sklearn_open.metrics import equal_group_accuracy


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


@pytest.mark.parametrize("n_groups", [0, 3])
def test_more_groups_than_classes(n_groups):
    with pytest.raises(ValueError, match=rf"n_groups={n_groups}, but y_train has 2 classes"):
        equal_group_accuracy([0, 1], [0, 1], y_train=[0, 1], n_groups=n_groups)
