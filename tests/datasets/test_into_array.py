import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open.datasets._image_files import UnusableFileError
from sklearn_open.datasets._into_array import all_are, into_array, which_are_usable
from sklearn_open.datasets._refusals import Refusals

NAMES = [str(i) for i in range(200)]


def pixels(name):
    if name.endswith("7"):
        raise UnusableFileError(f"{name!r} is broken.")
    return np.full((2, 3), int(name), dtype=np.uint8)


def test_what_is_left_out_leaves_no_gap():
    data, kept = into_array(NAMES, pixels, Refusals("skip"))
    assert kept == [i for i in range(200) if i % 10 != 7]
    assert_array_equal(data[:, 0, 0], kept)
    assert which_are_usable(NAMES, pixels, Refusals("skip")) == kept


@pytest.mark.parametrize("read", [into_array, which_are_usable])
def test_the_first_error_is_that_of_the_first_file(read):
    with pytest.raises(ValueError, match="'7' is broken"):
        read(NAMES, pixels, Refusals("raise"))


def test_nobody_is_asked_where_one_has_said_no():
    asked = []

    def is_small(name):
        asked.append(name)
        return int(name) < 3

    assert not all_are(NAMES, is_small)
    assert len(asked) < len(NAMES)
    assert all_are(NAMES, lambda name: True)
