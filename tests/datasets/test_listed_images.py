"""Images that are listed train and predict from their files, a batch at a time."""

import os
import pickle
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from torch import nn
from torchvision import transforms
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import ImageReader, ListedImages, _image_files
from sklearn_open.datasets._listed_images import check_transform, resize_and_crop, squeeze


@pytest.fixture
def listed(tmp_path, write_images):
    entries = [(f"{'abc'[label]}/{i}.jpg", label) for i, label in enumerate([0] * 12 + [1] * 6)]
    write_images(tmp_path, entries)
    paths, labels = zip(*entries, strict=True)
    return ListedImages(tmp_path, paths, labels, squeeze(8))


def classifier(module=None):
    torch.manual_seed(0)
    return OPeNClassifier(
        module or SmallCNN(2, 3, 4),
        max_epochs=2,
        start_epoch=1,
        batch_size=8,
        random_state=0,
        verbose=0,
    )


def test_items(listed, tmp_path):
    assert len(listed) == 18
    image, label = listed[13]
    assert image.size == (8, 8)
    assert image.mode == "RGB"
    assert label == 1
    assert_array_equal(listed.targets, [0] * 12 + [1] * 6)
    whole, _ = ListedImages(tmp_path, listed.filenames, listed.targets)[1]
    assert whole.size == (13, 13)


def test_streams_as_the_same_pixels_in_memory(listed):
    X = np.stack([np.asarray(listed[i][0]) for i in range(len(listed))])
    streamed = classifier().fit(listed)
    in_memory = classifier().fit(X, listed.targets)
    assert_array_equal(streamed.predict_proba(listed), in_memory.predict_proba(X))
    assert_array_equal(streamed.classes_, [0, 1])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(2, 9, 3), [2, 5, 8]),
        (slice(-2, None), [16, 17]),
        ([3, -1, 3], [3, 17, 3]),
        (np.array([13]), [13]),
        (torch.tensor([13, 1]), [13, 1]),
        (np.arange(18) > 15, [16, 17]),
        ((np.array([0, 14]), ...), [0, 14]),
        ([], []),
    ],
)
def test_several_rows_are_listed_images_unopened(listed, rows, expected):
    for name in listed.filenames:
        (listed.root / name).unlink()
    some = listed[rows]
    assert isinstance(some, ListedImages)
    assert some.filenames == [listed.filenames[i] for i in expected]
    assert_array_equal(some.targets, listed.targets[expected])
    assert some.shape == (len(expected),) == (len(some),)
    assert (some.root, some.transform) == (listed.root, listed.transform)
    assert len(listed) == 18


@pytest.mark.parametrize("row", [13, np.int64(13), -5, np.array(13), torch.tensor(13)])
def test_a_single_row_is_an_item(listed, row):
    image, label = listed[row]
    assert_array_equal(image, listed[13][0])
    assert label == 1


@pytest.mark.parametrize("rows", [18, [18], np.ones(17, bool), "a", 1.5])
def test_rows_that_there_are_not(listed, rows):
    with pytest.raises(IndexError):
        listed[rows]


def test_repr(listed):
    assert repr(listed[:13]).startswith("ListedImages(13 images of 2 classes, root='")
    listed.transform = v2.Compose([v2.Resize(8), v2.CenterCrop(8)])
    assert "\n" not in repr(listed)
    assert "transform=Compose( Resize" in repr(listed)


def test_splits_of_scikit_learn_stream(listed):
    X = np.stack([np.asarray(image) for image, _ in listed])
    parts = train_test_split(listed, listed.targets, stratify=listed.targets, random_state=0)
    assert isinstance(parts[0], ListedImages)
    assert_array_equal(parts[1].targets, parts[3])
    scores = cross_val_score(classifier(), listed, listed.targets, cv=2)
    assert_array_equal(scores, cross_val_score(classifier(), X, listed.targets, cv=2))
    search = GridSearchCV(classifier(), {"delta": [0, 0.5]}, cv=2).fit(listed, listed.targets)
    assert search.predict(listed[:3]).shape == (3,)


def test_random_transforms_and_workers(listed):
    listed.transform = v2.RandomResizedCrop(8)
    alone = classifier().fit(listed)
    workers = clone(alone).set_params(iterator_train__num_workers=1).fit(listed)
    for a, b in zip(alone.module_.parameters(), workers.module_.parameters(), strict=True):
        assert_array_equal(a.detach(), b.detach())


def test_it_holds_paths_and_no_pixels(listed):
    clf = classifier().fit(listed)
    before = len(pickle.dumps(listed))
    clf.predict(listed)
    assert len(pickle.dumps(listed)) == before
    arrays = [value for value in vars(listed).values() if hasattr(value, "dtype")]
    assert [array.shape for array in arrays] == [(18,)]


def test_training_and_prediction_hold_few_images_at_a_time(tmp_path):
    Image.new("RGB", (160, 160)).save(tmp_path / "0.jpg")
    n = 120
    data = ListedImages(tmp_path, ["0.jpg"] * n, np.arange(n) % 2, squeeze(160))
    clf = classifier(nn.Sequential(nn.AvgPool2d(16), SmallCNN(2, 3, 4)))
    tracemalloc.start()
    try:
        clf.fit(data).predict(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n * 160 * 160 * 3 / 2


def test_missing_image(listed):
    (listed.root / "a/3.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"Image 'a/3.jpg' is not in .* image_root"):
        listed[3]
    with pytest.raises(ValueError, match=r"item 3 of X .* Image 'a/3.jpg' is not in"):
        classifier().fit(listed)


def test_damaged_image(listed):
    (listed.root / "a/3.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"'a/3.jpg' cannot be read as an image"):
        listed[3]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes and links")
def test_pipes_are_refused_and_links_are_followed(listed, tmp_path):
    (listed.root / "a/3.jpg").unlink()
    os.mkfifo(listed.root / "a/3.jpg")  # reading it would wait forever
    with pytest.raises(ValueError, match=r"'a/3.jpg' is no ordinary file"):
        listed[3]
    (listed.root / "a/4.jpg").rename(tmp_path / "elsewhere.jpg")
    (listed.root / "a/4.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert listed[4][0].size == (8, 8)


def test_other_formats_are_not_even_looked_at(listed):
    (listed.root / "a/3.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    match = r"'a/3.jpg' cannot be read as an image \(it is none of BMP, .*; replace or remove the f"
    with pytest.raises(ValueError, match=match) as refused:
        listed[3]
    assert "object at" not in str(refused.value)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_an_unknown_range(listed, dtype):
    pixels = np.arange(144, dtype=dtype).reshape(12, 12)
    Image.fromarray(pixels).save(listed.root / "a/3.jpg", "TIFF")
    with pytest.raises(ValueError, match=r"'a/3.jpg' has .* pixels of 32 bits.* 8 or 16 bits\.$"):
        listed[3]


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_their_values(listed, suffix):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(listed.root / "a/3.jpg", suffix)
    image, _ = listed[3]
    assert image.mode == "I"  # for the transform, which makes negative numbers of 16 bits
    assert_array_equal(image, np.full((8, 8), 40000))


def test_a_portable_float_map(listed):
    (listed.root / "a/3.jpg").write_bytes(b"Pf\n8 8\n-1.0\n" + np.full(64, 0.5, "<f4").tobytes())
    with pytest.raises(ValueError, match=r"floating pixels|cannot be read as an image"):
        listed[3]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_of_too_many_pixels(listed, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    assert listed[0][0].size == (8, 8)  # 12 x 12 pixels
    with pytest.raises(ValueError, match=r"'a/4.jpg' has 16 x 13 pixels, more than PIL.Image.MAX"):
        listed[4]


def test_files_too_large_for_an_image(listed, monkeypatch):
    monkeypatch.setattr(_image_files, "MAX_FILE_BYTES", 2000)
    (listed.root / "a/3.jpg").write_bytes(bytes(2001))
    with pytest.raises(ValueError, match=r"'a/3.jpg' has more than 0 MiB"):
        classifier().fit(listed)


def test_lengths():
    with pytest.raises(ValueError, match="There are 1 filenames and 2 targets"):
        ListedImages("", ["a.jpg"], [0, 1])


@pytest.mark.parametrize("targets", [["a", "b"], [0.0, 1.0], [[0], [1]], 3, [None, 1]])
def test_targets(targets):
    with pytest.raises(ValueError, match=r"needed are integers, one for each image"):
        ListedImages("", ["a.jpg", "b.jpg"], targets)


def test_targets_do_not_wrap_around():
    with pytest.raises(ValueError, match=r"targets go up to 9223372036854775808, which 64 bits"):
        ListedImages("", ["a.jpg", "b.jpg"], np.array([0, 2**63], np.uint64))


def test_default_transforms():
    wide = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1)))
    cropped = np.asarray(resize_and_crop(28)(wide))  # to 32 x 64, then the middle
    assert cropped.shape == (28, 28)
    assert 55 < cropped.min() < cropped.max() < 145
    squeezed = np.asarray(squeeze(28)(wide))
    assert squeezed.shape == (28, 28)
    assert squeezed.min() < 10
    assert squeezed.max() > 190
    assert resize_and_crop(224).transforms[0].size == [256]


@pytest.mark.parametrize("size", [0, 2.5, None, (8, 8), True])
def test_bad_size(size):
    with pytest.raises(ValueError, match="image_size must be an integer of at least 1 pixel; got"):
        check_transform(None, size, squeeze)


def test_bad_transform():
    with pytest.raises(TypeError, match="transform must be a callable"):
        check_transform("flip", 8, squeeze)
    assert check_transform(np.asarray, None, squeeze) is np.asarray


@pytest.mark.parametrize(
    ("transform", "works"),
    [
        (transforms.ToTensor(), True),
        (v2.ToImage(), True),
        (v2.Resize(4), True),
        (v2.RGB(), False),
        (transforms.Grayscale(), False),
        (lambda image: image.convert("L"), False),
    ],
    ids=lambda one: type(one).__name__,
)
def test_transforms_keep_16_bits_or_are_refused(tmp_path, transform, works):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(levels).save(tmp_path / "a.png")
    images = ListedImages(tmp_path, ["a.png"], [0], transform=transform)
    if works:
        made = np.asarray(images[0][0])
        assert made.max() > 40000
        assert made.min() >= 0
    else:
        with pytest.raises(ValueError, match="has 16 bits, and transform made 8 of them"):
            images[0]


def test_a_reader_makes_arrays(listed, tmp_path):
    reader = ImageReader(6, "L", "pad")
    read = ListedImages(tmp_path, listed.filenames, listed.targets, reader=reader)
    image, label = read[13]
    assert_array_equal(image, reader.read(tmp_path / listed.filenames[13]))
    assert label == 1
    assert read[2:4].reader == reader
    assert repr(read[:1]).endswith(f"reader={reader!r})")
    again, _ = pickle.loads(pickle.dumps(read))[13]
    assert_array_equal(again, image)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"reader": 3}, "reader must be an ImageReader or None; got 3"),
        ({"reader": ImageReader(3), "transform": squeeze(3)}, "either a reader or a transform"),
    ],
)
def test_bad_readers(listed, settings, said):
    with pytest.raises(ValueError, match=said):
        ListedImages(listed.root, listed.filenames, listed.targets, **settings)
