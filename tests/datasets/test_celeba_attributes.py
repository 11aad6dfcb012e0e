import gzip

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open.datasets._celeba_attributes import CLASSES, build_lists, read_attributes

HEADER = "Bald Smiling Black_Hair Blond_Hair Brown_Hair Gray_Hair"
ROWS = ["000002.jpg  1 -1 -1 -1 -1  1", "000001.jpg -1  1  1 -1 -1 -1"]


def write(file, *lines):
    content = "\r\n".join(lines).encode()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_attr_celeba.txt.gz"])
def test_read(tmp_path, name):
    names, has = read_attributes(write(tmp_path / name, "2", HEADER, *ROWS))
    assert names == ["000001.jpg", "000002.jpg"]
    assert_array_equal(has, [[0, 1, 0, 0, 0], [1, 0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no attribute 'Bald' in its second line"),
        (["2"], "has no attribute 'Bald' in its second line"),
        (["2", "Bald Smiling", *ROWS], "has no attribute 'Black_Hair' in its second line"),
        (["3", HEADER, *ROWS], "has 2 images, but its first line says '3'.* get it anew"),
        (
            ["1", HEADER, "000001.jpg 1 1"],
            r"has a line of 3 cells .* needed are a file's name and 6",
        ),
        (["1", HEADER, "000001.jpg 1 1 1 1 1 0"], r"a line of 7 cells .* values 1 or -1"),
        (
            ["1", HEADER, "../000001.jpg 1 1 1 1 1 1"],
            r"starts with '../0.* needed are a file's name",
        ),
    ],
)
def test_bad_files(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read_attributes(write(tmp_path / "list_attr_celeba.txt", *lines))


def test_strict_lists_share_no_image():
    has = np.random.RandomState(0).rand(40_000, 5) < 0.15
    names = [f"{i:06}.jpg" for i in range(len(has))]
    strict = build_lists(names, has, "strict")
    loose = build_lists(names, has, "m2m_list")
    for lists in (strict, loose):
        assert_array_equal(np.bincount(lists["train"].labels), [424, 2423, 1499, 2078, 227])
        assert_array_equal(np.bincount(lists["val"].labels), [50] * 5)
        assert_array_equal(np.bincount(lists["test"].labels), [100] * 5)
    paths = [path for images in strict.values() for path in images.paths]
    assert len(set(paths)) == len(paths) == 7_401
    paths = [path for images in loose.values() for path in images.paths]
    assert len(set(paths)) < len(paths)


def test_too_few_images():
    has = np.eye(5, dtype=bool)
    with pytest.raises(
        ValueError, match=r"There are 1 images of Bald for .*'strict'; 574 are need"
    ):
        build_lists(list("abcde"), has, "strict")
    assert CLASSES[0] == "Bald"
