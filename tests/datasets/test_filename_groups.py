import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import StratifiedGroupKFold

from sklearn_open.datasets import groups_from_filenames

TILES = [
    f"{kind}/Imgs/exp{i}_num_{n}.jpg" for kind, n in [("Crack", 71), ("Free", 9)] for i in "12"
]


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"num_(\d+)", ["71", "71", "9", "9"]),
        (re.compile(r"NUM_(?P<object>\d+)", re.IGNORECASE), ["71", "71", "9", "9"]),
        (r"(.+)/Imgs/exp\d_num_(\d+)", ["Crack/71", "Crack/71", "Free/9", "Free/9"]),
        (r"^exp(\d)", ["1", "2", "1", "2"]),  # sees the name alone
        (r"(7)|num_(9)", ["7", "7", "9", "9"]),
        (r"(^[^/]*)", ["Crack", "Crack", "Free", "Free"]),
    ],
)
def test_groups(pattern, groups):
    found = groups_from_filenames(TILES, pattern)
    assert_array_equal(found, groups)
    assert found.dtype.kind == "U"
    assert_array_equal(groups_from_filenames(map(Path, TILES), pattern), groups)


def test_splitters_take_them():
    names = [f"{kind}/exp{i}_num_{n}.jpg" for kind in "ab" for n in range(6) for i in range(3)]
    groups, y = groups_from_filenames(names, r"num_(\d+)"), [name[0] for name in names]
    for train, test in StratifiedGroupKFold(3).split(names, y, groups):
        assert not set(groups[train]) & set(groups[test])


def test_no_names_have_no_groups():
    assert groups_from_filenames([], "(a)").shape == (0,)
    assert groups_from_filenames([], "(a)").dtype.kind == "U"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (
            r"num_(8)",
            r"in 4 of 4 file names, .* 'Crack/Imgs/exp1_num_71.jpg', of which it sees 'exp",
        ),
        (
            r"num_(7\d)",
            r"num_\(7\\d\)' finds no .* 2 of 4 .*'Free/Imgs/exp1_num_9.jpg'.*A pattern with",
        ),
        (r"Free/(.)", r"in 2 of 4 .*'Crack/Imgs/exp1_num_71.jpg'\. Every image needs a group"),
        (r"num_(x*)", "in 4 of 4"),  # no text
        (r"num_(\d+", "is no regular expression: missing"),
        ("*.jpg", "not a glob"),
        (r"num_\d+", "has no group: put parentheses"),
        (3, "must be a regular expression as text; got 3"),
        (re.compile(b"(a)"), "must be a regular expression as text"),
    ],
)
def test_what_gives_no_groups(pattern, said):
    with pytest.raises(ValueError, match=said):
        groups_from_filenames(TILES, pattern)


def test_one_name_is_not_many():
    with pytest.raises(ValueError, match=r"in a list; got 'a\.jpg'"):
        groups_from_filenames("a.jpg", "(a)")


def test_many_objects():
    names = np.array(["a/1.png", "a/2.png"])
    assert_array_equal(groups_from_filenames(names, r"(\d)"), ["1", "2"])
