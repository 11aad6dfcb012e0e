import gzip

import pytest
from numpy.testing import assert_array_equal

from sklearn_open.datasets._image_lists import find_list, read_image_list


@pytest.mark.parametrize("name", ["list.txt", "list.txt.gz"])
def test_plain_and_gzipped(tmp_path, write_list, name):
    file = write_list(tmp_path / name, [("a/1.jpg", 3), ("b/with space.jpg", 0)])
    images = read_image_list(file)
    assert images.paths == ["a/1.jpg", "b/with space.jpg"]
    assert_array_equal(images.labels, [3, 0])
    assert images.labels.dtype == "int64"
    assert find_list(tmp_path, "list.txt") == file
    assert find_list(tmp_path, "other.txt") is None


def test_blank_lines_and_windows_line_ends(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes(b"a.jpg 0\r\n\r\nb.jpg 1\r\n\r\n")
    assert read_image_list(file).paths == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["list.txt", "list.txt.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_path(tmp_path, name):
    content = "\ufeffa.jpg 0\nb.jpg 1\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read_image_list(tmp_path / name).paths == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "line", ["a.jpg", "a.jpg one", "a.jpg 1.5", "7", "a.jpg,0", "a.jpg 1234567", "a.jpg 1_0"]
)
def test_bad_line(tmp_path, line):
    file = tmp_path / "list.txt"
    file.write_text(f"ok.jpg 0\n{line}\n")
    with pytest.raises(ValueError, match=r"Line 2 of list.txt is .* needed is 'relative/path la"):
        read_image_list(file)


def test_negative_label(tmp_path, write_list):
    file = write_list(tmp_path / "list.txt", [("a.jpg", 0), ("b.jpg", -1)])
    with pytest.raises(ValueError, match=r"Line 2 of list.txt has the label -1.* open-set"):
        read_image_list(file)


@pytest.mark.parametrize("path", ["/data/a.jpg", "../a.jpg", "x/../../a.jpg", "C:/a.jpg"])
def test_path_outside(tmp_path, write_list, path):
    file = write_list(tmp_path / "list.txt", [(path, 0)])
    with pytest.raises(ValueError, match=r"Line 1 of list.txt has the path .* relative"):
        read_image_list(file)
    assert read_image_list(file, base_names=True).paths == ["a.jpg"]


def test_a_last_part_that_leads_outside(tmp_path, write_list):
    file = write_list(tmp_path / "list.txt", [("a/..", 0)])
    with pytest.raises(ValueError, match=r"Line 1 of list.txt has the path '..'"):
        read_image_list(file, base_names=True)


def test_duplicates(tmp_path, write_list):
    file = write_list(tmp_path / "list.txt", [("a.jpg", 0), ("b.jpg", 1), ("a.jpg", 1)])
    with pytest.raises(ValueError, match=r"Line 3 of list.txt names 'a.jpg', as line 1 does"):
        read_image_list(file)
    assert_array_equal(read_image_list(file, several_labels=True).labels, [0, 1, 1])
    write_list(file, [("a.jpg", 0), ("a.jpg", 0)])
    with pytest.raises(ValueError, match=r"once with each label"):
        read_image_list(file, several_labels=True)


def test_empty_list(tmp_path, write_list):
    with pytest.raises(ValueError, match=r"is empty"):
        read_image_list(write_list(tmp_path / "list.txt", []))


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"a.jpg 0\n" * 99)[:-9], b"a.jpg 0\n", gzip.compress(b"\xff\xfe 0")],
    ids=["cut off", "plain", "no text"],  # a gzip file holds its time: names must not
)
def test_damaged_file(tmp_path, content):
    file = tmp_path / "list.txt.gz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read as gzipped text .* get it anew"):
        read_image_list(file)


def test_class_names(tmp_path, write_list):
    images = read_image_list(write_list(tmp_path / "l.txt", [("a/1", 1), ("b/1", 0), ("2", 1)]))
    assert images.class_names(lambda path: path[0] if "/" in path else None) == {1: "a", 0: "b"}
    images = read_image_list(write_list(tmp_path / "l.txt", [("a/1", 1), ("b/1", 1)]))
    with pytest.raises(ValueError, match=r"label 1 to images of 'a' and of 'b' .'b/1'"):
        images.class_names(lambda path: path[0])
