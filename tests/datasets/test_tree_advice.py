"""A tree that lies otherwise than it was said is answered with what would load it."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_open.datasets import load_image_folder
from sklearn_open.datasets._tree_advice import is_called_as_a_subset

PATIENTS = ["benign/p1/1.png", "benign/p2/1.png", "malignant/p3/1.png", "malignant/p4/1.png"]
# Trees, and the pattern (or None) and the subsets that are right for them.
TREES = {
    "patients": (PATIENTS, "*/*.png", None),
    "one patient each": (["a/p1/1.tif", "b/p2/1.tif"], "*/*.tif", None),
    "folders of folders": (["a/p1/x/1.png", "b/p2/y/1.png"], "*/*/*.png", None),
    "any depth": (["a/p1/x/1.png", "b/2.png"], "**/*.png", None),
    "masks beside": (
        ["a/Imgs/1.jpg", "a/Imgs/1.png", "b/Imgs/2.jpg", "b/Imgs/2.png"],
        "Imgs/*.jpg",
        None,
    ),
    "folders of masks": (
        ["a/Imgs/1.jpg", "a/masks/1.png", "b/Imgs/2.jpg", "b/masks/2.png"],
        "Imgs/*.jpg",
        None,
    ),
    "masks of the same suffix": (
        ["a/GT/1.png", "a/Imgs/1.png", "b/GT/1.png", "b/Imgs/1.png"],
        "Imgs/*.png",
        None,
    ),
    "masks above": (["a/1.png", "a/Imgs/1.jpg", "b/1.png", "b/Imgs/1.jpg"], "Imgs/*.jpg", None),
    "masks below": (["a/1.jpg", "a/masks/1.png", "b/1.jpg", "b/masks/1.png"], "*.jpg", None),
    "several suffixes": (["a/x/1.png", "a/y/1.jpg", "b/x/1.png"], "*/*", None),
    "a suffix in both cases": (["a/x/1.png", "b/x/1.PNG"], "x/*", None),
    "special letters": (["a/[x]/1.png", "b/[x]/1.png"], "[[]x]/*.png", None),
    "subsets": (["train/a/1.png", "train/b/1.png", "test/a/1.png"], None, ["test", "train"]),
    "subsets with years": (
        ["train2017/a/1.png", "train2017/b/1.png", "val2017/a/1.png"],
        None,
        ["train2017", "val2017"],
    ),
    "a folder around": (["birds/a/1.png", "birds/b/1.png"], None, ["birds"]),
    "a folder around subsets": (["x/train/a/1.png", "x/train/b/1.png"], None, ["x/train"]),
    "subsets of patients": (
        [f"{s}/{n}" for s in ("train", "test") for n in PATIENTS],
        "*/*.png",
        ["test", "train"],
    ),
}


def advised(folder, **kwargs):
    """Return pattern and subsets that the error for a tree names."""
    with pytest.raises(ValueError, match="needed is a folder that holds one folder of") as refused:
        load_image_folder(folder, **kwargs)
    pattern = re.search(r"pattern='(\S*)'[ .,]", str(refused.value).partition("per class. ")[2])
    subsets = re.search(r"Pass the subset to load, one of (\[.*?\])", str(refused.value))
    return (
        pattern and pattern[1],
        subsets and re.findall(r"'(.*?)'", subsets[1]),
        str(refused.value),
    )


@pytest.mark.parametrize("kind", TREES)
def test_advice_is_right_and_loads_two_classes(tree, source, kind):
    names, pattern, subsets = TREES[kind]
    folder = source(tree(*names))
    got = advised(folder)
    assert got[:2] == (pattern, subsets)
    for subset in subsets or [None]:
        chosen = {} if pattern is None else {"pattern": pattern}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sklearn_open.datasets._class_folders.warn_user", lambda message: None)
            bunch = load_image_folder(folder, subset=subset, **chosen)
        assert len(bunch.target_names) >= 2
        assert not {"Imgs", "p1", "masks"} & set(bunch.target_names)


def test_folders_that_may_be_either_are_answered_with_both(tree, source):
    folder = source(tree("s1/a/1.png", "s1/b/1.png", "s2/a/1.png", "s2/b/1.png"))
    pattern, _, message = advised(folder)
    assert pattern == "*/*.png"
    assert "Or, if these are subsets, pass the subset to load, one of ['s1', 's2']." in message


@pytest.mark.parametrize(
    "kind", ["patients", "one patient each", "masks beside", "folders of masks"]
)
def test_patients_and_masks_are_no_classes(tree, kind):
    assert "subset to load" not in advised(tree(*TREES[kind][0]))[2]


@pytest.mark.parametrize(
    "names", [["a/Imgs/1.png"], ["a/x/1.png", "a/1.png"], ["train/a/p1/1.png", "train/a/p2/1.png"]]
)
def test_a_single_class_is_no_advice(tree, names):
    pattern, subsets, message = advised(tree(*names))
    assert pattern is None
    assert subsets is None
    assert "in no two folders that could be classes" in message


def test_how_many_images_a_pattern_takes_is_said(tree):
    assert "which takes all 4 images." in advised(tree(*PATIENTS, folder="all"))[2]
    message = advised(tree(*TREES["masks beside"][0]))[2]
    assert "which takes 2 of the 4 images (the others seem to be masks)." in message
    message = advised(tree("a/1.png", "a/old/2.png", "b/1.png", folder="mixed"))[2]
    assert "both images and folders of images" in message
    assert "takes all 3 images (or '*.png': none that lies deeper)" in message


@pytest.mark.parametrize("pattern", ["Imgs/*.jpg", "*.png", "x", "*/*/*"])
def test_a_pattern_that_fits_nothing(tree, source, pattern):
    got = advised(source(tree(*PATIENTS)), pattern=pattern)
    assert got[0] == "*/*.png"
    assert f"and pattern={pattern!r}" in got[2]


def test_no_pattern_is_needed(tree, source):
    assert advised(source(tree("a/1.png", "b/1.png")), pattern="*/*.png")[0] == "*"


def test_a_subset_that_there_is_not(tree, source):
    folder = source(tree("train/a/Imgs/1.jpg", "train/b/Imgs/1.jpg"))
    assert advised(folder, subset="val")[:2] == ("Imgs/*.jpg", ["train"])
    assert advised(folder, subset="train")[:2] == ("Imgs/*.jpg", None)
    assert "one of [None]" in advised(source(tree("a/1.png", "b/1.png", folder="x")), subset="t")[2]


@pytest.mark.parametrize(
    "name",
    ["train", "Test", "validation", "testing", "train2017", "fold_3", "test-set", "TrainImages"],
)
def test_names_of_subsets(name):
    assert is_called_as_a_subset(name)


@pytest.mark.parametrize(
    "name", ["trained", "value", "tester", "train station", "fold mountain", "3", "contest"]
)
def test_names_of_classes(name):
    assert not is_called_as_a_subset(name)


FOLDERS = st.sampled_from(["a", "b", "Imgs", "masks", "train", "test", "p1", "p2"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore")
@given(
    names=st.lists(
        st.tuples(st.lists(FOLDERS, min_size=1, max_size=4), st.sampled_from(["1.png", "1.jpg"])),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_advised_loads_two_classes(tmp_path_factory, tree, names):
    files = ["/".join([*folders, file]) for folders, file in names]
    folder = tree(*files, folder=tmp_path_factory.mktemp("any").name)
    try:
        load_image_folder(folder)
    except ValueError as error:
        message = str(error)
    else:
        return
    if "could be classes" in message or "have no images" in message or "has no images" in message:
        return
    pattern, subsets, _ = advised(folder)
    assert pattern or subsets
    for subset in subsets or [None]:
        bunch = load_image_folder(folder, subset=subset, pattern=pattern or "*", allow_empty=True)
        assert len(bunch.target_names) >= 2
