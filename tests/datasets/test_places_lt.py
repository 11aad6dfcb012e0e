import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import load_places_lt
from sklearn_open.datasets._places_lt import _class_of, _respell

# The same images in the convention of OLTR's lists and in that of BALMS's. Label 0 is not the
# largest class.
NAMES = ["bar", "arena-hockey"]
OLTR = {
    "train": [
        *((f"data_256/a/arena/hockey/{i:08}.jpg", 1) for i in range(8)),
        *((f"data_256/b/bar/{i:08}.jpg", 0) for i in range(3)),
    ],
    "val": [("data_256/b/bar/00000009.jpg", 0), ("data_256/a/arena/hockey/00000009.jpg", 1)],
    "test": [(f"val_256/Places365_val_{i:08}.jpg", i % 2) for i in range(4)],
}
BALMS = {
    "train": [
        *((f"train/arena-hockey/{i:08}.jpg", 1) for i in range(8)),
        *((f"train/bar/{i:08}.jpg", 0) for i in range(3)),
    ],
    "val": [("train/bar/00000009.jpg", 0), ("train/arena-hockey/00000009.jpg", 1)],
    "test": [(f"val/{NAMES[i % 2]}/Places365_val_{i:08}.jpg", i % 2) for i in range(4)],
}
CONVENTIONS = {"oltr": OLTR, "balms": BALMS}


@pytest.fixture
def home(tmp_path, write_list, write_images):
    """Write lists of one convention, gzipped, and images of another."""

    def write(lists, images, gz=".gz"):
        folder = tmp_path / "sklearn_open" / "places_lt"
        for subset, entries in CONVENTIONS[lists].items():
            write_list(folder / f"Places_LT_{subset}.txt{gz}", entries)
        if images is not None:
            for entries in CONVENTIONS[images].values():
                write_images(folder, entries)
        return tmp_path

    return write


@pytest.mark.parametrize("lists", CONVENTIONS)
@pytest.mark.parametrize("images", CONVENTIONS)
def test_streams_through_training_and_prediction(home, lists, images):
    data_home = home(lists, images)
    train = load_places_lt(data_home=data_home, image_size=8)
    assert_array_equal(train.target, [1] * 8 + [0] * 3)
    assert_array_equal(train.class_counts, [3, 8])
    assert_array_equal(train.shot_groups["few"], [0, 1])
    assert train.target_names == NAMES
    assert train.filenames == [path for path, _ in CONVENTIONS[images]["train"]]
    clf = OPeNClassifier(
        SmallCNN,
        module__num_classes=2,
        module__in_channels=3,
        module__width=4,
        max_epochs=2,
        start_epoch=1,
        batch_size=4,
        random_state=0,
        verbose=0,
    ).fit(train.data)
    test = load_places_lt(subset="test", data_home=data_home, image_size=8)
    assert test.target_names == NAMES
    assert clf.predict(test.data).shape == (4,)
    assert 0 <= clf.score(test.data, test.target) <= 1


@pytest.mark.parametrize("lists", CONVENTIONS)
@pytest.mark.parametrize("gz", ["", ".gz"])
def test_all_three_lists_without_images(home, lists, gz):
    data_home = home(lists, None, gz)
    for subset, counts in [("train", [3, 8]), ("val", [1, 1]), ("test", [2, 2])]:
        bunch = load_places_lt(subset=subset, data_home=data_home, check_images=False)
        assert_array_equal(bunch.class_counts, counts)
        assert bunch.target_names == NAMES
        assert bunch.data.filenames == [path for path, _ in CONVENTIONS[lists][subset]]
        assert f"Places-LT, {subset} list: {sum(counts)} images in 2 classes" in bunch.DESCR
    data, target = load_places_lt(data_home=data_home, check_images=False, return_X_y=True)
    assert data.targets is target


def test_folders_of_ones_own(home, tmp_path, write_images):
    data_home = home("oltr", None)
    write_images(tmp_path / "photos", BALMS["val"])
    lists = data_home / "sklearn_open" / "places_lt"
    bunch = load_places_lt(subset="val", list_dir=lists, image_root=tmp_path / "photos")
    assert bunch.data[0][0].size == (224, 224)
    gray = load_places_lt(
        subset="val",
        list_dir=lists,
        image_root=tmp_path / "photos",
        transform=lambda image: np.asarray(image.convert("L").resize((5, 4))),
    )
    assert gray.data[0][0].shape == (4, 5)


def test_missing_list(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"Places_LT_val.txt \(or Places_LT_val.txt.gz\) .* list_dir"
    ):
        load_places_lt(subset="val", data_home=tmp_path)


@pytest.mark.parametrize("lists", CONVENTIONS)
def test_missing_images(home, lists):
    data_home = home(lists, None)
    other = CONVENTIONS["balms" if lists == "oltr" else "oltr"]["train"][0][0]
    with pytest.raises(
        FileNotFoundError, match=rf"11 of the 11 images .* \(nor as '{other}'\).* Places365 .*"
    ):
        load_places_lt(data_home=data_home)


def test_one_missing_image(home):
    data_home = home("oltr", "oltr")
    path = "data_256/b/bar/00000001.jpg"
    (data_home / "sklearn_open" / "places_lt" / path).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"1 of the 11 images .* first of them '{path}'. G"
    ):
        load_places_lt(data_home=data_home)


def test_lists_of_different_releases(home, write_list):
    data_home = home("oltr", None)
    lists = data_home / "sklearn_open" / "places_lt"
    write_list(lists / "Places_LT_val.txt.gz", [(path, 1 - label) for path, label in OLTR["val"]])
    with pytest.raises(
        ValueError, match=r"Label 1 is 'bar' in .* and 'arena-hockey' in .* one rel"
    ):
        load_places_lt(subset="val", data_home=data_home, check_images=False)
    write_list(lists / "Places_LT_test.txt.gz", [("val_256/1.jpg", 2)])
    with pytest.raises(ValueError, match=r"has the label 2, which Places_LT_train.txt.gz has not"):
        load_places_lt(subset="test", data_home=data_home, check_images=False)


@pytest.mark.parametrize("label", [3, 999_999])
@pytest.mark.parametrize("subset", ["train", "test"])
def test_labels_with_gaps(tmp_path, write_list, subset, label):
    entries = [("val_256/1.jpg", 0), ("val_256/2.jpg", 1), ("val_256/3.jpg", label)]
    write_list(tmp_path / f"Places_LT_{subset}.txt", entries)
    match = rf"{subset}.txt has labels up to {label}, but no image of label 2\."
    with pytest.raises(ValueError, match=match):
        load_places_lt(subset=subset, list_dir=tmp_path, image_root=tmp_path)


def test_without_the_training_list(home):
    data_home = home("oltr", None, "")
    lists = data_home / "sklearn_open" / "places_lt"
    (lists / "Places_LT_train.txt").unlink()
    bunch = load_places_lt(subset="test", data_home=data_home, check_images=False)
    assert bunch.target_names == NAMES  # by the validation list
    assert bunch.shot_groups is None
    assert "not known" in bunch.DESCR
    (lists / "Places_LT_val.txt").unlink()
    bunch = load_places_lt(subset="test", data_home=data_home, check_images=False)
    assert bunch.target_names is None


@pytest.mark.parametrize("lists", CONVENTIONS)
@pytest.mark.parametrize("images", CONVENTIONS)
def test_test_list_alone(tmp_path, write_list, write_images, lists, images):
    write_list(tmp_path / "Places_LT_test.txt", CONVENTIONS[lists]["test"])
    write_images(tmp_path, CONVENTIONS[images]["test"])
    bunch = load_places_lt(subset="test", list_dir=tmp_path, image_root=tmp_path)
    assert bunch.filenames == [path for path, _ in CONVENTIONS[images]["test"]]
    assert_array_equal(bunch.target, [0, 1, 0, 1])


def test_paths_of_neither_convention(tmp_path, write_list, write_images):
    entries = [("1.jpg", 0), ("x/y/2.jpg", 1)]
    write_list(tmp_path / "Places_LT_train.txt", entries)
    write_images(tmp_path, entries)
    bunch = load_places_lt(list_dir=tmp_path, image_root=tmp_path, image_size=4)
    assert bunch.target_names is None
    assert bunch.data[1][0].size == (4, 4)


def test_unknown_subset(tmp_path):
    with pytest.raises(ValueError, match=r"subset must be one of .* got 'open'"):
        load_places_lt(subset="open", data_home=tmp_path)


def test_the_published_lists(data_home, real_list):
    sizes = {"train": 62_500, "val": 7_300, "test": 36_500}
    lists = {subset: real_list(f"Places_LT_{subset}") for subset in sizes}
    folders = {"list_dir": data_home / "splits", "image_root": data_home, "check_images": False}
    for subset, size in sizes.items():
        bunch = load_places_lt(subset=subset, **folders)
        assert len(bunch.data) == len(bunch.target) == size
        assert len(bunch.target_names) == len(set(bunch.target_names)) == 365
        groups = [len(labels) for labels in bunch.shot_groups.values()]
        assert groups == [131, 163, 71]
        if subset != "train":
            assert_array_equal(bunch.class_counts, np.full(365, size // 365))
        else:
            assert np.sort(bunch.class_counts)[::-1][:5].tolist() == [4980, 2612, 2400, 1582, 1530]
            assert bunch.class_counts.min() == 5
            assert (bunch.class_counts <= 20).sum() == 77  # OLTR's "few"
            assert not (np.diff(bunch.class_counts) <= 0).all()  # not sorted by size
    assert not set(lists["train"].paths) & set(lists["val"].paths)


def test_published_paths_go_to_the_other_convention_and_back(real_list):
    images = real_list("Places_LT_train")
    other = [_respell(path, _class_of(path)) for path in images.paths]
    assert other[0] == "train/airfield/00004851.jpg"
    assert len(set(other)) == len(other)
    assert [_respell(path, _class_of(path)) for path in other] == images.paths
