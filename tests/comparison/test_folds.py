"""Folds: classes in every training part, groups on one side, splitters of one's own."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import (
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedShuffleSplit,
)

from sklearn_open.comparison._folds import make_folds

Y = np.repeat(["good", "crack", "hole"], [40, 12, 6])


def test_a_number_of_folds_is_stratified_and_shuffled():
    folds = make_folds(Y, 3, None, seed=0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(Y)))
    for train, test in folds:
        assert not set(train) & set(test)
        assert [(Y[test] == label).sum() for label in ("crack", "hole")] == [4, 2]
    again, other = make_folds(Y, 3, None, seed=0), make_folds(Y, 3, None, seed=1)
    np.testing.assert_array_equal(folds[0][1], again[0][1])
    assert not np.array_equal(folds[0][1], other[0][1])
    assert len(make_folds(Y, None, None, seed=0)) == 5


def test_groups_stay_together_and_every_class_is_trained_on():
    groups = np.arange(len(Y)) // 3  # three pictures of each object
    for seed in range(5):
        for train, test in make_folds(Y, 2, groups, seed):
            assert not set(groups[train]) & set(groups[test])
            assert set(Y[train]) == set(Y[test]) == set(Y)


def test_splitters_of_ones_own_are_taken_as_they_are():
    for cv in (
        RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0),
        StratifiedShuffleSplit(4, test_size=0.5, random_state=0),
    ):
        assert len(make_folds(Y, cv, None, seed=0)) == 4
    masks = [(np.arange(len(Y)) % 2 == 0, np.arange(len(Y)) % 2 == 1)]
    np.testing.assert_array_equal(make_folds(Y, masks, None, 0)[0][1], np.arange(1, len(Y), 2))
    assert len(make_folds(Y, PredefinedSplit(np.arange(len(Y)) % 3), None, 0)) == 3
    groups = np.arange(len(Y)) % 4
    assert len(make_folds(Y, LeaveOneGroupOut(), groups, 0)) == 4


def test_a_class_of_one_image_is_refused_by_name():
    with pytest.raises(ValueError, match="Class rust has 1 image"):
        make_folds([*Y, "rust"], 3, None, 0)


def test_a_class_of_one_group_is_refused_by_name():
    groups = np.where(Y == "hole", 99, np.arange(len(Y)))
    with pytest.raises(ValueError, match=r"6 images of class hole are of one group \(99\)"):
        make_folds(Y, 3, groups, 0)


def test_a_split_that_leaks_is_refused():
    rows = np.arange(len(Y))
    with pytest.raises(ValueError, match="trains and tests on the same rows, as row 5"):
        make_folds(Y, [(rows, [5])], None, 0)
    with pytest.raises(ValueError, match="trains and tests on group 3"):
        make_folds(Y, [(rows[::2], rows[1::2])], np.where(rows < 2, 3, rows + 10), 0)
    with pytest.raises(ValueError, match="no rows to train on"):
        make_folds(Y, [([], rows)], None, 0)
    with pytest.raises(ValueError, match="gives no folds"):
        make_folds(Y, [], None, 0)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="57 groups and 58 rows"):
        make_folds(Y, 3, np.arange(57), 0)
    with pytest.raises(ValueError, match="cv=1: pass a number of folds from 2"):
        make_folds(Y, 1, None, 0)
    with pytest.raises(ValueError, match="there are 2 groups"):
        make_folds(Y, 3, np.arange(len(Y)) % 2, 0)


def test_classes_that_a_fold_lacks_are_named():
    rows = np.arange(len(Y))
    holes = np.flatnonzero(Y == "hole")
    with pytest.warns(UserWarning, match="train on no image of 'hole'"):
        make_folds(Y, [(np.setdiff1d(rows, holes)[::2], rows[1::2])], None, 0)
    with pytest.warns(UserWarning, match="test no image of 'hole'"):
        make_folds(Y, [(rows[::2], np.setdiff1d(rows, holes)[1::2])], None, 0)
    few = np.repeat([0, 1], [20, 3])
    with pytest.warns(UserWarning, match="test no image of '1'"):
        make_folds(few, 5, None, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_folds(Y, 3, None, 0)
