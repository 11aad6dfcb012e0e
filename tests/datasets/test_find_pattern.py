"""A pattern is chosen where a tree leaves no doubt, and loads what it says."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sklearn_open.datasets import load_image_folder
from sklearn_open.datasets._find_pattern import find_pattern

TILES = [
    f"{kind}/Imgs/exp{i}_num_{n}.{suffix}"
    for n, kind in enumerate(["MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Free", "MT_Un"])
    for i in range(1, 3 + n)
    for suffix in ("jpg", "png")
]
TREES = {
    "plain": (["a/1.png", "a/2.jpg", "b/1.tif"], "*"),
    "plain in both cases": (["a/1.JPG", "b/1.jpg"], "*"),
    "tiles": (TILES, "Imgs/*.jpg"),
    "tiles in upper case": ([name.replace("jpg", "JPG") for name in TILES], "Imgs/*.JPG"),
    "masks beside": (["a/1.jpg", "a/1.png", "b/2.jpg", "b/2.png"], "*.jpg"),
    "masks in both cases": (["a/1.jpg", "a/1.png", "b/2.JPG", "b/2.PNG"], "*.[Jj][Pp][Gg]"),
    "masks below": (["a/1.png", "a/masks/1.png", "b/1.png", "b/masks/1.png"], "*.png"),
    "masks below of many suffixes": (
        ["a/1.png", "a/2.jpg", "a/gt/1.png", "b/1.png", "b/2.tif"],
        "*.*",
    ),
    "folders of masks": (
        ["a/GT/1.png", "a/Imgs/1.png", "b/GT/1.png", "b/Imgs/1.png"],
        "Imgs/*.png",
    ),
    "masks by their names": (
        ["a/i/1.jpg", "a/i/1_mask.png", "b/i/2.jpg", "b/i/2_mask_1.png"],
        "i/*.jpg",
    ),
    "patients": (["a/p1/x.png", "a/p2/x.png", "b/p3/x.png"], "*/*.png"),
    "patients, suffixes": (["a/p1/x.png", "a/p2/x.tif", "b/p3/x.png"], "*/*"),
    "any depth": (["a/p1/x.png", "a/x.png", "b/p3/q/x.png"], "**/*.png"),
}


@pytest.mark.parametrize("kind", TREES)
def test_patterns(tree, source, kind):
    names, pattern = TREES[kind]
    folder = source(tree(*names))
    assert find_pattern(folder) == pattern
    assert find_pattern(str(folder)) == pattern
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_image_folder(folder, pattern=pattern)
    assert data.target_names == sorted({name.partition("/")[0] for name in names})
    assert not [name for name in data.filenames if "mask" in name or "GT" in name]


def test_subsets(tree, source):
    folder = source(
        tree("train/a/Imgs/1.jpg", "train/b/Imgs/1.jpg", "test/a/1.jpg", "test/b/1.jpg")
    )
    assert find_pattern(folder, subset="train") == "Imgs/*.jpg"
    assert find_pattern(folder, subset="test") == "*"
    with pytest.raises(ValueError, match=r"Pass the subset to load, one of \['test', 'train'\]"):
        find_pattern(folder)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["s1/a/1.png", "s1/b/1.png", "s2/a/1.png", "s2/b/1.png"], "Or, if these are subsets"),
        (["birds/a/1.png", "birds/b/1.png"], r"subset to load, one of \['birds'\]"),
        (["a/p/1.jpg", "a/p/2.png", "b/q/1.jpg"], r"'\*/\*.jpg', which takes 2 of the 3 images"),
        (["a/x/1.jpg", "a/y/2.png", "b/x/1.jpg", "b/y/3.png"], "which takes 2 of the 4 images"),
        (["a/1.png", "a/2.png"], "in no two folders that could be classes"),
        (["1.png"], "no images in class folders"),
        (["a/notes.txt"], "no images in class folders"),
    ],
)
def test_trees_that_are_not_decided_on(tree, source, names, said):
    with pytest.raises(ValueError, match=said):
        find_pattern(source(tree(*names)))


def test_a_subset_that_there_is_not(tree):
    with pytest.raises(ValueError, match="with subset='val'"):
        find_pattern(tree("train/a/1.png", "train/b/1.png"), subset="val")
    with pytest.raises(FileNotFoundError):
        find_pattern("nowhere")


@pytest.mark.parametrize(("mask", "pattern"), [(".png", "*.bmp"), (".bmp", "*.png")])
def test_content_tells_masks(tmp_path, mask, pattern):
    for i, name in enumerate(["a/1", "a/2", "b/1"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        for suffix in (".bmp", ".png"):
            n_levels = 2 if suffix == mask else 200
            pixels = np.random.RandomState(i).randint(n_levels, size=(5, 5)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{name}{suffix}")
    assert find_pattern(tmp_path) == pattern
    with pytest.warns(UserWarning, match=f"pattern='\\{pattern}' takes the photographs alone"):
        load_image_folder(tmp_path)


def test_pairs_of_which_nothing_tells_the_masks(tree):
    with pytest.raises(ValueError, match=r"pairs such as 'a/1.bmp' and 'a/1.png', and nothing"):
        find_pattern(tree("a/1.bmp", "a/1.png", "b/1.bmp", "b/1.png"))


FOLDERS = st.sampled_from(["a", "b", "Imgs", "masks", "train", "test", "p1", "p2"])
FILES = st.sampled_from(["1.png", "1.jpg", "1.JPG", "2.png"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore")
@given(
    names=st.lists(
        st.tuples(st.lists(FOLDERS, min_size=1, max_size=3), FILES), min_size=1, max_size=8
    )
)
def test_what_is_found_loads(tmp_path_factory, tree, names):
    files = ["/".join([*folders, file]) for folders, file in names]
    folder = tree(*files, folder=tmp_path_factory.mktemp("any").name)
    try:
        pattern = find_pattern(folder)
    except ValueError:
        return
    assert len(load_image_folder(folder, pattern=pattern).target_names) >= 2
