"""Memory maps are recognised through any view, and pages that were read can be let go."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from sklearn_open._inputs.memory_maps import MappedRows, drop_pages, find_map

VIEWS = {
    "whole": lambda X: X,
    "slice": lambda X: X[3:],
    "array": np.asarray,
    "channels moved": lambda X: np.moveaxis(X, 3, 1),
    "flat": lambda X: np.asarray(X).reshape(len(X), -1),
    "strided": lambda X: as_strided(X, X.shape, X.strides),
    "rows": lambda X: MappedRows(X, np.arange(5)),
}


@pytest.fixture
def pixels():
    return np.random.RandomState(0).randint(0, 256, (40, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def mapped(pixels, tmp_path):
    np.save(tmp_path / "X.npy", pixels)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("view", VIEWS)
def test_a_map_is_found_through_views(pixels, mapped, view):
    assert find_map(VIEWS[view](mapped)) is not None
    assert find_map(VIEWS[view](pixels)) is None


def test_what_is_made_of_a_map_is_in_memory(mapped):
    for array in (mapped[[1, 2]], np.array(mapped), mapped + 1, None):
        assert find_map(array) is None


@pytest.mark.parametrize("view", VIEWS)
def test_pages_that_were_let_go_are_read_again(pixels, mapped, view):
    before = np.array(VIEWS[view](mapped))
    drop_pages(VIEWS[view](mapped))
    drop_pages(VIEWS[view](pixels))
    np.testing.assert_array_equal(VIEWS[view](mapped), before)


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_changes_are_not_lost(pixels, tmp_path, mode):
    np.save(tmp_path / "X.npy", pixels)
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    X[7] = 1
    drop_pages(X)
    assert (X[7] == 1).all()


def test_rows_of_a_map_are_sliced_like_an_array(pixels, mapped):
    indices = np.array([5, 1, 30, 5])
    rows, expected = MappedRows(mapped, indices), pixels[indices]
    assert (len(rows), rows.shape, rows.dtype) == (4, expected.shape, expected.dtype)
    assert (rows.ndim, rows.nbytes) == (expected.ndim, expected.nbytes)
    for chosen in (2, slice(1, 3), np.array([3, 0])):
        np.testing.assert_array_equal(rows[chosen], expected[chosen])
    np.testing.assert_array_equal(np.asarray(rows), expected)
