import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import _celeba5, load_celeba5
from sklearn_open.datasets._celeba_attributes import CLASSES, build_lists

COUNTS = [424, 2423, 1499, 2078, 227]
# As M2m's lists: the makers' folder, and an image with two kinds of hair.
TRAIN = [
    *((f"/home/somebody/image64/{i:06}.jpg", i % 5) for i in range(1, 21)),
    ("/home/somebody/image64/000001.jpg", 0),
]
TEST = [(f"/home/somebody/image64/{i:06}.jpg", i % 5) for i in range(21, 31)]


@pytest.fixture
def home(tmp_path, write_list, monkeypatch):
    sizes = {"train": (5, 4, 4, 4, 4), "val": (1,) * 5, "test": (2,) * 5}
    monkeypatch.setattr(_celeba5, "_RELEASED", sizes)
    folder = tmp_path / "sklearn_open" / "celeba5"
    write_list(folder / "CelebA5_train.txt", TRAIN)
    write_list(folder / "CelebA5_test.txt.gz", TEST)
    return tmp_path


def test_streams_through_training_and_prediction(home, write_images):
    images = home / "sklearn_open" / "celeba5" / "image64"
    write_images(images, [(path.rpartition("/")[2], label) for path, label in TRAIN[:20] + TEST])
    train = load_celeba5(data_home=home, image_size=8)
    assert_array_equal(train.class_counts, [5, 4, 4, 4, 4])
    assert train.target_names == list(CLASSES)
    assert train.filenames[0] == train.filenames[-1] == "000001.jpg"
    assert train.data[0][0].size == (8, 8)
    assert "Gray_Hair: 4" in train.DESCR
    clf = OPeNClassifier(
        SmallCNN(5, 3, 4), max_epochs=2, start_epoch=1, batch_size=8, random_state=0, verbose=0
    ).fit(train.data)
    test = load_celeba5(subset="test", data_home=home, image_size=8)
    assert_array_equal(test.shot_groups["few"], range(5))
    assert clf.predict_proba(test.data).shape == (10, 5)
    whole, _ = load_celeba5(subset="test", data_home=home, return_X_y=True)
    assert whole[0][0].size == (64, 64)


def test_missing_files(home):
    with pytest.raises(FileNotFoundError, match=r"21 of the 21 .* CelebA from its makers"):
        load_celeba5(data_home=home)
    with pytest.raises(
        FileNotFoundError, match=r"CelebA5_val.txt \(the list .* M2m's code\), or list_attr_celeba"
    ):
        load_celeba5(subset="val", data_home=home)
    with pytest.raises(
        FileNotFoundError, match=r"'strict' needs list_attr_celeba.txt as .*gzipped"
    ):
        load_celeba5(variant="strict", data_home=home)


def test_label_of_another_data_set(home, write_list):
    write_list(home / "sklearn_open" / "celeba5" / "CelebA5_val.txt", [("000031.jpg", 5)])
    with pytest.raises(ValueError, match="has the label 5; CelebA-5 has labels from 0 to 4"):
        load_celeba5(subset="val", data_home=home)


@pytest.mark.parametrize("n_left", [20, 19, 4, 1])
def test_a_list_that_was_cut_off(home, write_list, n_left):
    write_list(home / "sklearn_open" / "celeba5" / "CelebA5_train.txt", TRAIN[:n_left])
    for subset in ("train", "test"):
        with pytest.raises(
            ValueError, match=r"train.txt has .* released has 5, 4, 4, 4 and 4\. It"
        ):
            load_celeba5(subset=subset, data_home=home, check_images=False)


def test_unknown_choices(tmp_path):
    with pytest.raises(ValueError, match=r"variant must be one of .* got 'loose'"):
        load_celeba5(variant="loose", data_home=tmp_path)
    with pytest.raises(ValueError, match=r"subset must be one of .* got 'all'"):
        load_celeba5(subset="all", data_home=tmp_path)


def attribute_file(file, has):
    """Write CelebA's attribute file, with other attributes around the five."""
    header = ["Smiling", *CLASSES, "Young"]
    lines = [
        f"{name} -1 {' '.join('1' if shown else '-1' for shown in row)}  1"
        for name, row in has.items()
    ]
    file.write_text("\n".join([str(len(has)), " ".join(header) + " ", *lines]) + "\n")


@pytest.fixture
def from_attributes(tmp_path, monkeypatch):
    """Build sets with 1 image of a class for validation, 1 for testing and 1 or 2 for training."""

    def small(names, has, variant):
        return build_lists(names, has, variant, n_val=1, n_test=1, n_train=(1, 2, 1, 1, 1))

    monkeypatch.setattr(_celeba5, "build_lists", small)
    has = {f"{i:06}.jpg": np.arange(5) == i % 5 for i in range(1, 31)}
    has["000001.jpg"][2] = True  # black and blond
    attribute_file(tmp_path / "list_attr_celeba.txt", has)
    return {"list_dir": tmp_path, "image_root": tmp_path, "check_images": False}


def names(numbers):
    return [f"{i:06}.jpg" for i in numbers]


def test_variants_from_attributes(from_attributes):
    val = load_celeba5(subset="val", **from_attributes)
    assert val.filenames == names([5, 1, 1, 3, 4])
    train = load_celeba5(**from_attributes)
    assert train.filenames == names([15, 11, 16, 7, 13, 14])
    assert_array_equal(train.class_counts, [1, 2, 1, 1, 1])
    strict = load_celeba5(subset="val", variant="strict", **from_attributes)
    assert strict.filenames == names([5, 6, 2, 3, 4])
    assert "variant='strict'" in strict.DESCR
    assert_array_equal(strict.shot_groups["few"], range(5))


def test_released_lists_come_before_attributes(from_attributes, write_list, monkeypatch):
    monkeypatch.setitem(_celeba5._RELEASED, "val", (1,) * 5)
    released = [(f"{i:06}.jpg", i % 5) for i in range(25, 30)]
    write_list(from_attributes["list_dir"] / "CelebA5_val.txt", released)
    assert load_celeba5(subset="val", **from_attributes).filenames == names(range(25, 30))
    assert len(load_celeba5(subset="val", variant="strict", **from_attributes).data) == 5


def test_the_published_lists(data_home, real_list):
    folders = {"list_dir": data_home / "splits", "image_root": data_home, "check_images": False}
    lists = {
        subset: real_list(f"CelebA5_{subset}", base_names=True, several_labels=True)
        for subset in ("train", "val", "test")
    }
    for subset, counts in [("train", COUNTS), ("val", [50] * 5), ("test", [100] * 5)]:
        bunch = load_celeba5(subset=subset, **folders)
        assert bunch.filenames == lists[subset].paths
        assert_array_equal(bunch.class_counts, counts)
        assert_array_equal(bunch.shot_groups["many"], range(5))
    assert len(lists["train"].paths) == 6_651

    members = {subset: set(images.paths) for subset, images in lists.items()}
    ids = set.union(*members.values())
    assert (len(ids), min(ids), max(ids)) == (7_191, "000001.jpg", "024546.jpg")
    assert sum(len(images.paths) for images in lists.values()) == 7_401
    assert len(members["train"] & members["test"]) == 31
    assert len(members["val"] & members["test"]) == 11
    assert len(members["train"] & members["val"]) == 1


def test_the_rule_gives_the_published_lists(tmp_path, data_home, real_list):
    """Attributes as far as the lists tell them, dealt by the rule, are the lists again."""
    lists = {
        subset: real_list(f"CelebA5_{subset}", base_names=True, several_labels=True)
        for subset in ("train", "val", "test")
    }
    has = {}
    for images in lists.values():
        for name, label in zip(images.paths, images.labels, strict=True):
            has.setdefault(name, np.zeros(5, dtype=bool))[label] = True
    assert sum(row.sum() == 2 for row in has.values()) == 210
    attribute_file(tmp_path / "list_attr_celeba.txt", has)
    folders = {"list_dir": tmp_path, "image_root": tmp_path, "check_images": False}
    for subset, images in lists.items():
        built = load_celeba5(subset=subset, **folders)
        assert built.filenames == images.paths
        assert_array_equal(built.target, images.labels)
    with pytest.raises(ValueError, match="images of Bald for variant='strict'; 574 are needed"):
        load_celeba5(variant="strict", **folders)
