import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.model_selection import GroupKFold, cross_val_score

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import (
    ListedImages,
    _into_array,
    groups_from_filenames,
    load_image_folder,
)


def pixels(seed, shape=(6, 5, 3)):
    return np.random.RandomState(seed).randint(256, size=shape, dtype=np.uint8)


def write(folder, name, array):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


def zipped(folder):
    file = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return file


# Written neither in the order of the classes nor in that of the files; "cat 2/" sorts before
# "cat/" as a string.
NAMES = ["dog/b.png", "cat/10.png", "cat/9.PNG", "cat 2/z.png", "dog/a.png"]
SORTED = ["cat/10.png", "cat/9.PNG", "cat 2/z.png", "dog/a.png", "dog/b.png"]


@pytest.fixture
def animals(tmp_path):
    folder = tmp_path / "animals"
    for name in NAMES:
        write(folder, name, pixels(NAMES.index(name)))
    return folder


@pytest.fixture
def split(tmp_path):
    folder = tmp_path / "split"
    for i, name in enumerate(["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"]):
        write(folder, name, pixels(i))
    return folder


@pytest.mark.parametrize("source", [Path, str, zipped])
def test_folder_and_zip(animals, source):
    bunch = load_image_folder(source(animals))
    assert bunch.filenames == SORTED
    assert bunch.target_names == ["cat", "cat 2", "dog"]
    assert_array_equal(bunch.target, [0, 0, 1, 2, 2])
    assert bunch.target.dtype == np.int64
    assert bunch.data.dtype == np.uint8
    assert_array_equal(bunch.data, [pixels(NAMES.index(name)) for name in SORTED])
    assert "cat 2: 1" in bunch.DESCR


def test_return_X_y(animals):
    X, y = load_image_folder(animals, return_X_y=True)
    assert X.shape == (5, 6, 5, 3)
    assert_array_equal(y, [0, 0, 1, 2, 2])


def test_more_images_than_one_task_takes(tmp_path):
    for i in range(200):
        write(tmp_path, f"{'ab'[i % 2]}/{i:03}.png", np.full((2, 2, 3), i, dtype=np.uint8))
    data = load_image_folder(tmp_path).data
    assert_array_equal(data[:, 0, 0, 0], [*range(0, 200, 2), *range(1, 200, 2)])


def test_mode(tmp_path):
    grey = pixels(0, (4, 3))
    write(tmp_path, "a/grey.png", grey)
    assert_array_equal(load_image_folder(tmp_path, mode="L").data, [grey])
    assert_array_equal(load_image_folder(tmp_path).data, [np.stack([grey] * 3, axis=-1)])
    with pytest.raises(ValueError, match=r"mode must be one of .* got 'RGBA'"):
        load_image_folder(tmp_path, mode="RGBA")


def test_size(tmp_path):
    write(tmp_path, "a/1.png", pixels(0, (6, 5, 3)))
    write(tmp_path, "a/2.png", pixels(1, (3, 8, 3)))
    with pytest.raises(
        ValueError, match=r"'a/1.png' is \(6, 5\) and 'a/2.png' is \(3, 8\) .* size=\(height, width"
    ):
        load_image_folder(tmp_path)
    data = load_image_folder(tmp_path, size=(4, 7)).data
    assert data.shape == (2, 4, 7, 3)
    resized = Image.fromarray(pixels(0)).resize((7, 4), Image.Resampling.BILINEAR)
    assert_array_equal(data[0], np.asarray(resized))


@pytest.mark.parametrize("size", [5, np.int64(5), [5, 5], (5, np.int32(5))])
def test_one_size_for_both(animals, size):
    assert_array_equal(
        load_image_folder(animals, size=size).data, load_image_folder(animals, size=(5, 5)).data
    )


@pytest.mark.parametrize("size", [0, -3, True, 64.0, "64", (0, 4), (1, 2, 3), (64.5, 3), (None, 8)])
def test_bad_size(animals, size):
    with pytest.raises(ValueError, match="size must be a tuple"):
        load_image_folder(animals, size=size)


@pytest.mark.parametrize("source", [Path, zipped])
def test_subset(split, source):
    path = source(split)
    bunch = load_image_folder(path, subset="train")
    assert bunch.filenames == ["train/cat/1.png", "train/dog/1.png"]
    assert bunch.target_names == ["cat", "dog"]
    with pytest.warns(UserWarning, match="Other subsets have the class 'dog'"):
        assert load_image_folder(path, subset="test/").data.shape == (1, 6, 5, 3)
    for subset in (None, "val", "train/cat"):
        with pytest.raises(ValueError, match=r"one of \['test', 'train'\]"):
            load_image_folder(path, subset=subset)


def test_unknown_subset_of_class_folders(animals):
    with pytest.raises(ValueError, match=r"subset='train' .* one of \[None\]"):
        load_image_folder(animals, subset="train")


def test_folders_of_images_beside_images(split):
    write(split, "samples/1.png", pixels(0))
    with pytest.raises(ValueError, match=r"both images and folders .* \['test', 'train'\]"):
        load_image_folder(split)


def test_other_files_are_ignored(animals):
    for name in (".git/a.png", "__MACOSX/cat/a.png", "cat/._10.png", "cat/Thumbs.db", "top.png"):
        (animals / name).parent.mkdir(parents=True, exist_ok=True)
        (animals / name).write_bytes(b"no image")
    (animals / ".empty").mkdir()
    assert load_image_folder(animals).filenames == SORTED
    assert load_image_folder(zipped(animals)).filenames == SORTED
    (animals / "cat/notes.txt").write_bytes(b"no image")
    for path in (animals, zipped(animals)):
        with pytest.warns(UserWarning, match="1 file .txt, the first of them 'cat/notes.txt'"):
            assert load_image_folder(path).filenames == SORTED


@pytest.mark.parametrize("source", [Path, zipped])
def test_broken_image(animals, source):
    whole = (animals / "cat/10.png").read_bytes()
    (animals / "dog/a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"'dog/a.png' cannot be read .* replace or remove"):
        load_image_folder(source(animals))


def test_no_images(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="Found no images in class folders"):
        load_image_folder(tmp_path)


def test_no_such_source(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_image_folder(tmp_path / "nowhere")
    (tmp_path / "list.txt").write_text("a.png 0")
    with pytest.raises(ValueError, match="neither a folder nor a zip file"):
        load_image_folder(tmp_path / "list.txt")


def test_real_zip():
    default = Path(__file__).parents[3] / "shared" / "data"
    file = Path(os.environ.get("SKLEARN_OPEN_DATA", default)) / "cifar10-images.zip"
    if not file.exists():
        pytest.skip(f"no cifar10-images.zip in {file.parent} (set SKLEARN_OPEN_DATA)")
    bunch = load_image_folder(file, subset="test")
    assert bunch.data.shape == (10_000, 32, 32, 3)
    assert bunch.target_names[0] == "airplane"
    assert bunch.target_names[-1] == "truck"
    assert_array_equal(np.bincount(bunch.target), [1000] * 10)
    assert 110 < bunch.data.mean() < 130


def test_sixteen_bit_images_keep_their_values(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(folder / "0.png")
    data = load_image_folder(tmp_path, mode="L").data
    np.testing.assert_array_equal(data, np.full((1, 4, 4), 40000))
    assert data.dtype == np.uint16


def test_memory_is_asked_for_by_the_size_of_a_value():
    with pytest.raises(ValueError, match=r"pixels need 301749 GiB"):
        _into_array._allocate(10**9, (9000, 18), np.uint16)


# --- read while training ---


@pytest.fixture
def mixed(tmp_path):
    """Write 30 images of two classes, in different sizes."""
    for i in range(30):
        image = pixels(i, (9 + i % 3, 8 + i % 4, 3)) // 2 + 100 * (i % 3 == 0)
        write(tmp_path / "mixed", f"{'rare' if i % 3 == 0 else 'common'}/{i:02}.png", image)
    return tmp_path / "mixed"


def small_classifier():
    return OPeNClassifier(
        module__width=4, max_epochs=2, start_epoch=1, batch_size=8, random_state=0, verbose=0
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "auto"])
@pytest.mark.parametrize("resize", ["squeeze", "pad", "crop"])
def test_the_same_pixels_are_read_while_training(mixed, mode, resize):
    settings = {"size": (7, 8), "mode": mode, "resize": resize}
    array = load_image_folder(mixed, **settings)
    listed = load_image_folder(mixed, **settings, in_memory=False)
    assert isinstance(listed.data, ListedImages)
    assert_array_equal([image for image, _ in listed.data], array.data)
    assert_array_equal(listed.target, array.target)
    assert_array_equal(listed.data.targets, array.target)
    for name in ("target_names", "filenames", "reader"):
        assert listed[name] == array[name]
    assert "data of shape (30,), read while they are needed" in listed.DESCR


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_fits_are_the_same(mixed, mode):
    X, y = load_image_folder(mixed, size=8, mode=mode, return_X_y=True)
    listed, codes = load_image_folder(mixed, size=8, mode=mode, in_memory=False, return_X_y=True)
    in_memory = small_classifier().fit(X, y)
    for given in (None, codes):
        streamed = small_classifier().fit(listed, given)
        assert streamed.image_shape_ == in_memory.image_shape_
        assert_array_equal(streamed.predict_proba(listed), in_memory.predict_proba(X))
    assert_array_equal(streamed.predict(listed[[3, 5]]), in_memory.predict(X[[3, 5]]))


def test_fits_of_sixteen_bits_are_the_same(tmp_path):
    for i in range(12):
        deep = np.random.RandomState(i).randint(4096, size=(8, 8)).astype(np.uint16)
        write(tmp_path, f"{'ab'[i % 2]}/{i:02}.png", deep)
    X, y = load_image_folder(tmp_path, mode="auto", return_X_y=True)
    listed = load_image_folder(tmp_path, mode="auto", in_memory=False).data
    assert (X.dtype, X.shape) == (np.uint16, (12, 8, 8))
    assert_array_equal(
        small_classifier().fit(listed).predict_proba(listed),
        small_classifier().fit(X, y).predict_proba(X),
    )


def test_cross_validation_takes_them(mixed):
    data = load_image_folder(mixed, size=8, in_memory=False)
    groups = groups_from_filenames(data.filenames, r"(\d)\.")
    scores = cross_val_score(
        small_classifier().set_params(max_epochs=1),
        data.data,
        data.target,
        groups=groups,
        cv=GroupKFold(2),
    )
    assert scores.shape == (2,)


def test_files_are_refused_when_they_are_read(mixed):
    (mixed / "rare/00.png").write_bytes(b"no image")
    data = load_image_folder(mixed, size=8, in_memory=False)
    with pytest.raises(ValueError, match=r"'rare/00\.png' cannot be read as an image"):
        small_classifier().fit(data.data)
    with pytest.warns(UserWarning, match="1 of 30 files were left out"):
        data = load_image_folder(mixed, size=8, in_memory=False, on_error="skip")
    assert len(data.data) == len(data.target) == len(data.filenames) == 29
    with pytest.warns(UserWarning, match="left out"):
        array = load_image_folder(mixed, size=8, on_error="skip")
    assert_array_equal([image for image, _ in data.data], array.data)


def test_a_zip_file_is_not_read_while_training(animals):
    with pytest.raises(ValueError, match="Unpack a zip file into a folder"):
        load_image_folder(zipped(animals), in_memory=False)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_out_of_the_folder_are_refused_while_training(animals, tmp_path):
    write(tmp_path, "elsewhere.png", pixels(9))
    (animals / "cat/link.png").symlink_to(tmp_path / "elsewhere.png")
    at = SORTED.index("cat/9.PNG") + 1
    with pytest.raises(ValueError, match="is a link out of the folder"):
        load_image_folder(animals, in_memory=False).data[at]
    image, _ = load_image_folder(animals, in_memory=False, follow_links=True).data[at]
    assert_array_equal(image, pixels(9))
