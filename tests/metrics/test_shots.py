"""Classes are grouped by their training samples, at the bounds of LADE's and BALMS's code."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open.datasets import long_tailed_counts
from sklearn_open.metrics._shots import check_shots, shot_groups, shot_masks


def test_both_bounds_are_medium():
    groups = shot_groups([101, 19, 100, 20, 5000, 0])
    assert list(groups) == ["many", "medium", "few"]
    assert_array_equal(groups["many"], [0, 4])
    assert_array_equal(groups["medium"], [2, 3])
    assert_array_equal(groups["few"], [1, 5])


@pytest.mark.parametrize(("ratio", "sizes"), [(100, (35, 35, 30)), (50, (41, 41, 18))])
def test_cifar100_lt(ratio, sizes):
    groups = shot_groups(long_tailed_counts(500, 100, imbalance_ratio=ratio))
    assert tuple(len(labels) for labels in groups.values()) == sizes


def test_every_class_is_in_one_group():
    masks = shot_masks(np.arange(200), many=50, few=51)
    assert_array_equal(sum(mask.astype(int) for mask in masks.values()), np.ones(200))


def test_overlapping_bounds():
    with pytest.raises(ValueError, match="few=12 and many=10 overlap"):
        check_shots(10, 12)
