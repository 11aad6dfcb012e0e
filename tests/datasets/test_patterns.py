"""Globs choose files as those of `pathlib` do."""

import sys
from itertools import product
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_open.datasets import load_image_folder
from sklearn_open.datasets._patterns import Pattern

NAMES = st.sampled_from(["a", "b", "ab", "Imgs", "1.png", "a.jpg", "[x]", "a b"])
STEPS = st.sampled_from(["**", "*", "a*", "*.png", "?", "[ab]", "[!a]", "[[]x]", "Imgs", "*b*"])


def naive(steps, parts):
    """Say the same, by trying all ways."""
    if not steps:
        return not parts
    if steps[0] == "**":
        return any(naive(steps[1:], parts[n:]) for n in range(len(parts) + 1))
    first = bool(parts) and PurePosixPath(parts[0]).match(steps[0])
    return first and naive(steps[1:], parts[1:])


@given(steps=st.lists(STEPS, min_size=1, max_size=4), parts=st.lists(NAMES, min_size=1, max_size=4))
def test_as_pathlib_reads_them(steps, parts):
    steps = [*steps, "*"] if steps[-1] == "**" else steps
    fits = Pattern("/".join(steps)).fits(parts)
    assert fits == naive(steps, parts)
    if sys.version_info >= (3, 13):
        assert fits == PurePosixPath(*parts).full_match("/".join(steps))


def test_many_folders_of_any_depth_take_no_time():
    assert not Pattern("/".join(["**", "a"] * 30)).fits(["a"] * 200 + ["b"])


@pytest.mark.parametrize("glob", ["**", "**/*", "**/**", "./**/*"])
def test_all_files(glob):
    for parts in product("ab", repeat=3):
        assert Pattern(glob).fits(parts)
        assert Pattern(glob).fits(parts[:1])


def test_case_matters():
    assert not Pattern("Imgs/*.jpg").fits(["imgs", "1.jpg"])
    assert Pattern("Imgs/*.jpg").nearly_fits(["imgs", "1.JPG"])
    assert not Pattern("Imgs/*.jpg").nearly_fits(["imgs", "1.png"])


@pytest.mark.parametrize(
    "glob", ["", "/x/*", "../*", "a/../*", "a\\*.png", "C:*", "Imgs/", None, 3, ["*.png"]]
)
def test_bad_patterns(tree, glob):
    with pytest.raises(ValueError, match=r"pattern must be a glob .* relative to the folder of"):
        load_image_folder(tree("a/1.png"), pattern=glob)


def test_a_folder_is_made_a_pattern_of():
    with pytest.raises(ValueError, match=r"got 'Imgs/'. All files of that folder are 'Imgs/\*'"):
        Pattern("Imgs/")


# --- as load_image_folder takes them ---

PATIENTS = ["benign/p1/1.png", "benign/p1/2.png", "benign/p2/1.png", "malignant/p3/1.png"]


@pytest.mark.parametrize("glob", ["*/*.png", "**/*.png", "*/*", "**", "p?/*", "p[123]/?.png"])
def test_patients(tree, source, glob):
    bunch = load_image_folder(source(tree(*PATIENTS)), pattern=glob)
    assert bunch.target_names == ["benign", "malignant"]
    assert bunch.filenames == PATIENTS
    assert bunch.target.tolist() == [0, 0, 0, 1]


def test_images_beside_their_masks(tree, source):
    names = ["a/Imgs/1.jpg", "a/Imgs/1.png", "b/Imgs/2.jpg", "b/Imgs/2.png", "b/GT/2.png"]
    bunch = load_image_folder(source(tree(*names)), pattern="Imgs/*.jpg")
    assert bunch.filenames == ["a/Imgs/1.jpg", "b/Imgs/2.jpg"]
    assert bunch.target_names == ["a", "b"]


def test_with_a_subset(tree, source):
    names = [f"{subset}/{name}" for subset in ("train", "test") for name in PATIENTS]
    bunch = load_image_folder(source(tree(*names)), subset="test", pattern="*/*.png")
    assert bunch.filenames == [f"test/{name}" for name in PATIENTS]
    assert bunch.target_names == ["benign", "malignant"]


def test_any_depth_is_sorted_within_a_class(tree, source):
    names = ["a/1.png", "a/b/c/2.png", "a/z.png", "b/0.png"]
    assert load_image_folder(source(tree(*names)), pattern="**/*.png").filenames == names


def test_upper_case_is_not_lost_in_silence(tree, source):
    folder = source(tree("a/1.png", "a/2.PNG", "b/1.png"))
    match = r"by upper and lower case alone: 1, the first of them 'a/2.PNG'. Write \[Pp\]"
    with pytest.warns(UserWarning, match=match):
        assert len(load_image_folder(folder, pattern="*.png").data) == 2
    assert len(load_image_folder(folder, pattern="*.[pP][nN][gG]").data) == 3
    assert len(load_image_folder(folder).data) == 3


def test_hidden_files_fit_nothing(tree, source):
    folder = source(tree("a/1.png", "a/.2.png", "a/.x/3.png", "b/1.png"))
    assert load_image_folder(folder, pattern="**/*").filenames == ["a/1.png", "b/1.png"]
