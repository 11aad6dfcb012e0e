import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import load_imagenet_lt

WNIDS = ["n01440764", "n01443537", "n01484850"]
TRAIN = [
    (f"train/{WNIDS[k]}/{WNIDS[k]}_{i}.JPEG", k)
    for k, n in [(0, 4), (1, 120), (2, 20)]
    for i in range(n)
]
VAL = [(f"train/{wnid}/{wnid}_999.JPEG", k) for k, wnid in enumerate(WNIDS)]
FLAT = [(f"val/ILSVRC2012_val_{i:08}.JPEG", i % 3) for i in range(6)]
NESTED = [(path.replace("val/", f"val/{WNIDS[k]}/", 1), k) for path, k in FLAT]
TESTS = {"flat": FLAT, "nested": NESTED}


@pytest.mark.parametrize("listed", TESTS)
@pytest.mark.parametrize("on_disk", TESTS)
def test_streams_through_training_and_prediction(
    tmp_path, write_list, write_images, listed, on_disk
):
    home = tmp_path / "sklearn_open" / "imagenet_lt"
    write_list(home / "ImageNet_LT_train.txt", TRAIN)
    write_list(home / "ImageNet_LT_val.txt.gz", VAL)
    write_list(home / "ImageNet_LT_test.txt", TESTS[listed])
    for entries in (TRAIN, VAL, TESTS[on_disk]):
        write_images(home, entries)

    train = load_imagenet_lt(data_home=tmp_path, image_size=8)
    assert_array_equal(train.class_counts, [4, 120, 20])
    assert [labels.tolist() for labels in train.shot_groups.values()] == [[1], [2], [0]]
    assert "1 classes many (more than 100), 1 medium (20 to 100), 1 few" in train.DESCR
    clf = OPeNClassifier(
        SmallCNN,
        module__num_classes=3,
        module__in_channels=3,
        module__width=4,
        max_epochs=2,
        start_epoch=1,
        batch_size=32,
        random_state=0,
        verbose=0,
    ).fit(train.data)
    val, test = (
        load_imagenet_lt(subset=s, data_home=tmp_path, image_size=8) for s in ("val", "test")
    )
    assert_array_equal(val.class_counts, [1, 1, 1])
    assert val.target_names == test.target_names == WNIDS
    assert test.filenames == [path for path, _ in TESTS[on_disk]]
    assert clf.predict_proba(test.data).shape == (6, 3)
    assert clf.predict(val.data).shape == (3,)


def test_flat_test_list_alone(tmp_path, write_list, write_images):
    write_list(tmp_path / "ImageNet_LT_test.txt", FLAT)
    folders = {"list_dir": tmp_path, "image_root": tmp_path}
    with pytest.raises(
        FileNotFoundError, match=r"first of them 'val/ILSVRC2012_val_00000000.JPEG'"
    ):
        load_imagenet_lt(subset="test", **folders)
    write_images(tmp_path, FLAT)
    bunch = load_imagenet_lt(subset="test", **folders)
    assert bunch.target_names is None
    assert bunch.shot_groups is None


@pytest.mark.parametrize("listed", TESTS)
@pytest.mark.parametrize("on_disk", TESTS)
def test_test_list_alone(tmp_path, write_list, write_images, listed, on_disk):
    write_list(tmp_path / "ImageNet_LT_test.txt", TESTS[listed])
    write_images(tmp_path, TESTS[on_disk])
    bunch = load_imagenet_lt(subset="test", list_dir=tmp_path, image_root=tmp_path)
    assert bunch.filenames == [path for path, _ in TESTS[on_disk]]
    assert bunch.data[5][1] == 2


def test_a_test_image_in_two_class_folders_is_not_guessed(tmp_path, write_list, write_images):
    write_list(tmp_path / "ImageNet_LT_test.txt", FLAT)
    other = (NESTED[0][0].replace(WNIDS[0], WNIDS[1]), 1)
    write_images(tmp_path, [*NESTED, other])
    with pytest.raises(FileNotFoundError, match=r"in a folder of its class, 'val/<class>'"):
        load_imagenet_lt(subset="test", list_dir=tmp_path, image_root=tmp_path)


def test_missing_images_and_lists(tmp_path, write_list):
    with pytest.raises(FileNotFoundError, match=r"ImageNet_LT_train.txt .*OLTR.*list_dir"):
        load_imagenet_lt(data_home=tmp_path)
    write_list(tmp_path / "ImageNet_LT_train.txt", TRAIN)
    with pytest.raises(FileNotFoundError, match=r"144 of the 144 .* \(ILSVRC 2012\).* image_root"):
        load_imagenet_lt(list_dir=tmp_path, data_home=tmp_path)


@pytest.mark.parametrize(("subset", "per_class"), [("val", 20), ("test", 50)])
def test_the_published_lists(data_home, real_list, subset, per_class):
    images = real_list(f"ImageNet_LT_{subset}")
    bunch = load_imagenet_lt(
        subset=subset, list_dir=data_home / "splits", image_root=data_home, check_images=False
    )
    assert bunch.filenames == images.paths
    assert len(bunch.data) == 1000 * per_class
    assert_array_equal(bunch.class_counts, np.full(1000, per_class))
    assert len(set(bunch.target_names)) == 1000
    assert bunch.target_names == sorted(bunch.target_names)
