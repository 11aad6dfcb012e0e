import numpy as np
import pytest
from PIL import Image

from sklearn_open.datasets import load_image_folder
from sklearn_open.datasets._mask_pairs import Pairs, find_pairs, is_binary, named_as_masks


def parts(*names):
    return sorted(tuple(name.split("/")) for name in names)


def never(name):
    raise AssertionError


@pytest.mark.parametrize("suffixes", [("jpg", "png"), ("JPEG", "bmp"), ("tif", "webp")])
def test_pairs(suffixes):
    one, other = suffixes
    images = parts(
        *(f"{kind}/{i}.{suffix}" for kind in "ab" for i in range(2) for suffix in suffixes)
    )
    found = find_pairs(images, lambda name: name.endswith("webp"))
    assert found.count == 4
    assert {name[-1] for name in found.first} == {f"0.{one}", f"0.{other}"}
    assert found.photographs == f".{one.lower()}"


@pytest.mark.parametrize(
    "names",
    [
        ["a/1.jpg", "a/2.png", "b/1.png"],
        ["a/1.jpg", "b/1.png"],
        ["a/1.jpg", "a/1.png", "a/2.png", "a/3.png"],  # half of them
        ["a/1.jpg", "a/1.JPG", "b/1.jpg", "b/1.JPG"],
        ["a/1.jpg", "a/1.png", "a/1.bmp"],
        [],
    ],
)
def test_no_pairs(names):
    assert find_pairs(parts(*names), never) is None


@pytest.mark.parametrize("masks", [(), ("a/1.bmp", "a/1.png")])
def test_where_nothing_tells_which_is_which(masks):
    found = find_pairs(parts("a/1.bmp", "a/1.png"), masks.__contains__)
    assert found == Pairs((("a", "1.bmp"), ("a", "1.png")), 1, "")


def test_binary_images(tmp_path):
    for name, pixels in [
        ("mask", [[0, 255, 255]]),
        ("grey", [[0, 7, 255]]),
        ("blank", [[3, 3, 3]]),
    ]:
        Image.fromarray(np.array(pixels, dtype=np.uint8)).save(tmp_path / f"{name}.png")

    def read(name):
        return (tmp_path / name).read_bytes()

    assert is_binary(read, "mask.png")
    assert is_binary(read, "blank.png")
    assert not is_binary(read, "grey.png")
    assert not is_binary(read, "nowhere.png")


@pytest.mark.parametrize(
    ("pattern", "advised"),
    [("*", "*.[Jj][Pp][Gg]"), ("*.*", "*.[Jj][Pp][Gg]"), ("**", "**/*.[Jj][Pp][Gg]")],
)
def test_masks_among_the_images_are_warned_of(tree, source, pattern, advised):
    folder = source(tree("a/1.jpg", "a/1.png", "b/2.JPG", "b/2.png"))
    with pytest.warns(UserWarning, match="masks seem") as warned:
        load_image_folder(folder, pattern=pattern)
    (message,) = (str(one.message) for one in warned)
    assert "in 2 pairs" in message
    assert "'a/1.jpg' and 'a/1.png': masks seem to be among the images" in message
    assert f"pattern={advised!r} takes the photographs alone." in message
    assert load_image_folder(folder, pattern=advised).filenames == ["a/1.jpg", "b/2.JPG"]


def test_masks_of_an_unknown_suffix_are_warned_of(tree, source):
    with pytest.warns(UserWarning, match="Pass a pattern that takes the photographs alone"):
        load_image_folder(source(tree("a/1.bmp", "a/1.png", "b/2.bmp", "b/2.png")))


def test_masks_by_their_names(tree, source):
    names = ["a/t (1).png", "a/t (1)_mask.png", "a/t (1)_mask_1.png", "b/2.jpg", "b/2-GT.png"]
    found = named_as_masks(parts(*names, "b/3_mask.png", "b/mask.png", "b/unmask.png"))
    assert ["/".join(mask) for mask, _ in found] == [
        "a/t (1)_mask.png",
        "a/t (1)_mask_1.png",
        "b/2-GT.png",
    ]
    assert {"/".join(image) for _, image in found} == {"a/t (1).png", "b/2.jpg"}
    with pytest.warns(
        UserWarning, match=r"3 images are called masks .*, as 'a/t \(1\)_mask.png' of"
    ):
        load_image_folder(source(tree(*names)))
    assert named_as_masks(parts("a/1.png", "b/1.png")) == []
