"""A code stands for one class, whichever images of it there are."""

import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_open.datasets import load_image_folder

TRAIN = ["train/cat/1.png", "train/dog/1.png", "train/eel/1.png"]


def codes(bunch):
    """Return the code of each class that has images, by the folders of the files."""
    folders = [name.split("/")[-2] for name in bunch.filenames]
    return dict(zip(folders, bunch.target.tolist(), strict=True))


# --- a class without images ---

EMPTY = {"empty": ["bird/"], "ignored": ["bird/1.gif"], "hidden": ["bird/.1.png"]}


@pytest.mark.parametrize("kind", EMPTY)
def test_an_empty_class_folder_is_an_error(tree, source, kind):
    folder = source(tree("ant/1.png", "cat/1.png", *EMPTY[kind]))
    with pytest.raises(ValueError, match=r"class folder 'bird' .* has no images.*allow_empty=True"):
        load_image_folder(folder)


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.filterwarnings("ignore:Left out")
def test_with_allow_empty_it_keeps_its_code(tree, source, kind):
    folder = source(tree("ant/1.png", "cat/1.png", *EMPTY[kind]))
    bunch = load_image_folder(folder, allow_empty=True)
    assert bunch.target_names == ["ant", "bird", "cat"]
    assert_array_equal(bunch.target, [0, 2])
    assert bunch.target.dtype == np.int64
    assert "bird: 0" in bunch.DESCR


def test_what_it_has_instead_is_said(tree, source):
    folder = source(tree("a/1.png", "b/", "c/1.gif", "c/2.GIF", "c/3.txt", "d/1.gif"))
    with pytest.raises(ValueError, match=r"'b', 'c', 'd' .* \('c' has 2 files .gif, 1 file .txt;"):
        load_image_folder(folder)
    folder = source(tree("a/x/1.png", "b/y/1.png", folder="deep"))
    with pytest.raises(ValueError, match=r"'b' .*pattern='x/\*' leaves out 'b/y/1.png'"):
        load_image_folder(folder, pattern="x/*")


def test_many_of_them_are_counted(tree):
    folder = tree("z/1.png", *[f"{i:03}/" for i in range(100)])
    with pytest.raises(ValueError, match=r"'000', '001', '002', '003', '004' and 95 more .* have"):
        load_image_folder(folder)


def test_all_empty(tree, source):
    with pytest.raises(ValueError, match="Found no images in class folders"):
        load_image_folder(source(tree("ant/", "bee/")), allow_empty=True)


@pytest.mark.parametrize("other", ["bird/notes.txt", "bird/.DS_Store"])
def test_a_zip_file_without_entries_of_folders(tree, tmp_path, other):
    tree("ant/1.png", other, "cat/1.png")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("ant/1.png", other, "cat/1.png"):
            archive.write(tmp_path / "data" / name, name)
    with pytest.raises(ValueError, match=r"'bird' .* has no images"):
        load_image_folder(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["../x/", "/x/", "x\\y/", "C:/x/"])
def test_folders_out_of_a_zip_file_are_no_classes(tree, tmp_path, name):
    tree("ant/1.png")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "data" / "ant" / "1.png", "ant/1.png")
        archive.writestr(zipfile.ZipInfo(name), b"")
    assert load_image_folder(tmp_path / "x.zip").target_names == ["ant"]


def test_folders_of_the_system_are_no_classes(tree, source):
    names = ["__MACOSX/a/", ".git/", "lost+found/", "$RECYCLE.BIN/x", "@eaDir/1.png"]
    assert load_image_folder(source(tree("ant/1.png", *names))).target_names == ["ant"]


# --- subsets of one root ---


def test_subsets_share_their_classes(tree, source):
    folder = source(tree(*TRAIN, "test/dog/1.png", "test/eel/1.png"))
    train = load_image_folder(folder, subset="train")
    with pytest.warns(UserWarning, match=r"Other subsets have the class 'cat', .* subset='test'"):
        test = load_image_folder(folder, subset="test")
    assert test.target_names == train.target_names == ["cat", "dog", "eel"]
    assert codes(test) == {"dog": 1, "eel": 2}
    assert "cat: 0" in test.DESCR


def test_a_class_of_the_test_set_alone_counts_too(tree, source):
    folder = source(tree(*TRAIN, "test/bee/1.png", "test/cat/1.png", "test/dog/1.png"))
    with pytest.warns(UserWarning, match="the class 'bee'"):
        train = load_image_folder(folder, subset="train")
    assert codes(train) == {"cat": 1, "dog": 2, "eel": 3}
    with pytest.warns(UserWarning, match="the class 'eel'"):
        assert codes(load_image_folder(folder, subset="test")) == {"bee": 0, "cat": 1, "dog": 2}


def test_three_subsets_deeper_down(tree, source):
    names = ["v1/train/a/1.png", "v1/train/b/1.png", "v1/val/b/1.png", "v1/test/c/1.png", "v2/x/y/"]
    folder = source(tree(*names))
    for subset, expected in (("v1/train/", {"a": 0, "b": 1}), ("v1/test", {"c": 2})):
        with pytest.warns(UserWarning, match="Other subsets"):
            bunch = load_image_folder(folder, subset=subset)
        assert bunch.target_names == ["a", "b", "c"]
        assert codes(bunch) == expected


def test_an_empty_folder_of_another_subset_is_a_class(tree, source):
    folder = source(tree("train/ant/", "train/bee/1.png", "test/bee/1.png"))
    train = load_image_folder(folder, subset="train", allow_empty=True)
    with pytest.warns(UserWarning, match="the class 'ant'"):
        test = load_image_folder(folder, subset="test")
    assert codes(train) == codes(test) == {"bee": 1}


@pytest.mark.parametrize("allow_empty", [False, True])
def test_an_empty_folder_in_this_subset(tree, source, allow_empty):
    folder = source(tree(*TRAIN, "test/cat/", "test/dog/1.png", "test/eel/1.png"))
    if allow_empty:
        test = load_image_folder(folder, subset="test", allow_empty=True)
        assert codes(test) == {"dog": 1, "eel": 2}
    else:
        with pytest.raises(ValueError, match="class folder 'cat' with subset='test'"):
            load_image_folder(folder, subset="test")


def test_what_is_no_subset_has_no_classes(tree, source):
    beside = ["unlabelled/1.png", "docs/xml/a.xml", "top.png", ".cache/zoo/1.png", "readme.txt"]
    folder = source(tree(*TRAIN, *beside))
    assert load_image_folder(folder, subset="train").target_names == ["cat", "dog", "eel"]


def test_subsets_share_classes_by_the_pattern(tree, source):
    names = ["train/a/im/1.png", "train/b/im/1.png", "test/b/im/1.png", "other/c/1.png"]
    with pytest.warns(UserWarning, match="the class 'a'"):
        test = load_image_folder(source(tree(*names)), subset="test", pattern="im/*")
    assert test.target_names == ["a", "b"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore:Other subsets", "ignore:Left out")
@given(
    subsets=st.lists(
        st.dictionaries(
            st.sampled_from(["9", "10", "a", "B", "b c", "é"]),
            st.sampled_from([["1.png"], ["1.png", "2.jpg"], [""], ["x.gif"]]),
            min_size=1,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_codes_agree_whatever_is_missing(tmp_path_factory, tree, subsets):
    root = tmp_path_factory.mktemp("any").name
    names = [
        f"{s}/{name}/{file}"
        for s, classes in enumerate(subsets)
        for name, files in classes.items()
        for file in files
    ]
    folder = tree(*names, folder=root)
    loaded = []
    for s, classes in enumerate(subsets):
        if not any("1.png" in files for files in classes.values()):
            continue
        bunch = load_image_folder(folder, subset=str(s), allow_empty=True)
        assert {bunch.target_names[code]: code for code in bunch.target} == codes(bunch)
        loaded.append(bunch)
    if loaded:
        assert loaded[0].target_names == sorted(loaded[0].target_names)
        assert all(bunch.target_names == loaded[0].target_names for bunch in loaded)


# --- classes= ---


def test_classes_fix_the_order(tree, source):
    folder = source(tree("cat/1.png", "dog/1.png"))
    bunch = load_image_folder(folder, classes=["dog", "cat"])
    assert bunch.target_names == ["dog", "cat"]
    assert bunch.filenames == ["cat/1.png", "dog/1.png"]
    assert_array_equal(bunch.target, [1, 0])
    _, y = load_image_folder(folder, classes=np.array(["dog", "cat"]), return_X_y=True)
    assert_array_equal(y, [1, 0])


def test_folders_that_are_not_in_classes(tree, source):
    folder = source(tree("cat/1.png", "Dog/1.png", "eel/"))
    with pytest.raises(
        ValueError, match=r"folders 'Dog', 'eel' .* are not in classes. Is it 'dog'"
    ):
        load_image_folder(folder, classes=["cat", "dog"], allow_empty=True)


@pytest.mark.parametrize("subset", [None, "test"])
def test_classes_without_a_folder(tree, source, subset):
    before = f"{subset}/" if subset else ""
    folder = source(tree(f"{before}cat/1.png"))
    match = r"no folder of the classes 'ant', 'bee' .* allow_empty=True"
    with pytest.raises(ValueError, match=match):
        load_image_folder(folder, subset=subset, classes=["ant", "bee", "cat"])
    bunch = load_image_folder(
        folder, subset=subset, classes=["ant", "bee", "cat"], allow_empty=True
    )
    assert codes(bunch) == {"cat": 2}
    assert bunch.target_names == ["ant", "bee", "cat"]


def test_classes_of_two_roots(tree):
    classes = load_image_folder(tree("a/1.png", "b/1.png", folder="one")).target_names
    other = load_image_folder(tree("b/1.png", folder="two"), classes=classes, allow_empty=True)
    assert codes(other) == {"b": 1}


def test_classes_are_asked_of_this_subset_alone(tree, source):
    folder = source(tree(*TRAIN, "test/dog/1.png"))
    assert codes(load_image_folder(folder, subset="test", classes=["dog"])) == {"dog": 0}


@pytest.mark.parametrize("classes", ["cat", [], [1, 2], ["a", "b", "a"], [None], 3, [["a"]], {"a"}])
def test_bad_classes(tree, classes):
    with pytest.raises(ValueError, match=r"classes must be the names of the class folders as text"):
        load_image_folder(tree("a/1.png"), classes=classes)


# --- on_error="skip" ---


def test_a_class_whose_images_are_all_damaged_keeps_its_code(tree, source):
    folder = tree("ant/1.png", "bee/1.png", "bee/2.png", "cat/1.png")
    for name in ("bee/1.png", "bee/2.png"):
        (folder / name).write_bytes(b"damaged")
    match = (
        r"2 of 4 files were left out.*'bee/1.png'.* No images are left of the class 'bee'; codes"
    )
    with pytest.warns(UserWarning, match=match):
        bunch = load_image_folder(source(folder), on_error="skip")
    assert bunch.target_names == ["ant", "bee", "cat"]
    assert codes(bunch) == {"ant": 0, "cat": 2}


def test_classes_of_which_some_images_are_left_are_not_named(tree):
    folder = tree("ant/1.png", "ant/2.png", "bee/1.png")
    (folder / "ant/1.png").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="1 of 3 files were left out") as caught:
        load_image_folder(folder, on_error="skip")
    assert len(caught) == 1
    assert "No images are left" not in str(caught[0].message)


def test_a_class_folder_that_is_not_entered_keeps_its_code(tree, tmp_path):
    folder = tree("ant/1.png", "cat/1.png")
    (tmp_path / "elsewhere").mkdir()
    (folder / "bee").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.warns(UserWarning, match="'bee' is a link out .* are left of the class 'bee'"):
        assert codes(load_image_folder(folder, on_error="skip")) == {"ant": 0, "cat": 2}


def test_a_class_folder_that_cannot_be_listed(tree, monkeypatch):
    import os

    folder = tree("ant/1.png", "bee/1.png", "cat/1.png")
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=r"'bee' cannot be listed \(Permission denied\)"):
        load_image_folder(folder)
    with pytest.warns(UserWarning, match="'bee' cannot be listed .* left of the class 'bee'"):
        assert codes(load_image_folder(folder, on_error="skip")) == {"ant": 0, "cat": 2}


# --- files that are ignored ---


def test_ignored_suffixes_are_told_once(tree, source):
    names = ["a/1.png", "b/1.png", "a/2.gif", "b/3.GIF", "b/notes.txt", "b/README"]
    silent = ["a/.DS_Store", "__MACOSX/a/2.gif", "a/Thumbs.db", "b/desktop.ini", "top.gif"]
    match = r"1 file without a suffix, 2 files .gif, 1 file .txt, the first of them 'a/2.gif'"
    with pytest.warns(UserWarning, match=match) as caught:
        load_image_folder(source(tree(*names, *silent)))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_only_those_of_this_subset_are_told(tree, source):
    folder = source(tree("train/a/1.png", "test/a/1.png", "test/a/2.gif"))
    load_image_folder(folder, subset="train")
    with pytest.warns(UserWarning, match="1 file .gif, the first of them 'test/a/2.gif'"):
        load_image_folder(folder, subset="test")


def test_what_a_pattern_leaves_out_is_not_told(tree, source):
    folder = source(tree("a/1.jpg", "a/1.png", "a/1.xml", "b/1.jpg", "b/sub/2.jpg"))
    assert load_image_folder(folder, pattern="*.jpg").filenames == ["a/1.jpg", "b/1.jpg"]


def test_class_folders_called_as_subsets(tree, source):
    folder = source(tree("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"))
    with pytest.warns(UserWarning, match="called as subsets are: 'train', 'val'. If they are"):
        load_image_folder(folder, pattern="**/*.png")
