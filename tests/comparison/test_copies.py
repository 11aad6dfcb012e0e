"""Copies of images across a split: planted ones are found, others are not."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_open.comparison._copies import MAX_ROWS, find_copies, tell_of_copies


@pytest.fixture(scope="module")
def patches():
    """Forty patches of a photograph that are not sky, (40, 3, 48, 48), uint8."""
    china = load_sample_images().images[0]
    found = extract_patches_2d(china, (48, 48), max_patches=200, random_state=0)
    found = found[found.std(axis=(1, 2, 3)) > 40][:40]
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))


def saved_anew(image, quality=75, brighter=0.0, side=48):
    picture = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side)).resize((48, 48))
    picture = picture.point(lambda value: min(255, int(value * (1 + brighter))))
    content = BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content)).transpose(2, 0, 1)


def test_equal_pixels_are_exact_copies(patches):
    images = np.concatenate([patches, patches[[3, 3, 7]]])
    first, near = find_copies(images)
    assert first[40:].tolist() == [3, 3, 7]
    assert (first[:40] == np.arange(40)).all()
    assert not len(near)


@pytest.mark.parametrize(
    "how", [{}, {"quality": 50}, {"brighter": 0.1}, {"side": 64}, {"side": 36}]
)
def test_images_that_were_saved_anew_are_near_copies(patches, how):
    copies = np.stack([saved_anew(image, **how) for image in patches[:10]])
    _, near = find_copies(np.concatenate([patches, copies]))
    assert {(i, 40 + i) for i in range(10)} <= set(map(tuple, near.tolist()))


def test_other_pictures_are_no_copies(patches):
    assert not len(find_copies(patches)[1])
    light = np.linspace(0, 150, 48)[:, None] + np.zeros(48)  # the same on all
    noise = np.random.RandomState(0).randint(0, 60, (30, 1, 48, 48))
    assert not len(find_copies((light + noise).astype(np.uint8))[1])


def test_digits_are_no_copies_of_one_another():
    """Images so small are alike without being copies."""
    first, near = find_copies(load_digits().images[:, None])
    assert (first == np.arange(1797)).all()
    assert not len(near)


def test_plain_areas_are_copies_only_if_they_are_equal():
    images = np.full((4, 1, 20, 20), 100, dtype=np.uint8)
    images[2:] = 120
    first, near = find_copies(images)
    assert first.tolist() == [0, 0, 2, 2]
    assert not len(near)


def test_tables_and_very_many_rows_are_compared_exactly(patches):
    first, near = find_copies(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]], dtype=np.float32))
    assert first.tolist() == [0, 0, 2]
    assert near.shape == (0, 2)
    many = np.zeros((MAX_ROWS + 1, 1, 16, 16), dtype=np.uint8)
    assert find_copies(many)[1].shape == (0, 2)


def test_copies_across_the_split_are_told_of(patches):
    images = np.concatenate([patches[:10], patches[[2]], saved_anew(patches[5])[None]])
    rows, y = np.arange(12), np.zeros(12)
    together = [(rows[:6], rows[6:10]), (np.array([2, 10, 5, 11]), rows[6:9])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts, pairs = tell_of_copies(images, y, together, None)
    assert counts == {"exact": 0, "near": 0}
    assert pairs.shape == (0, 2)
    with pytest.warns(
        UserWarning, match=r"copies are trained on: 1 while the same is and 1 while nearly"
    ):
        counts, pairs = tell_of_copies(images, y, [(rows[:6], rows[6:])], None)
    assert counts == {"exact": 1, "near": 1}
    assert pairs.tolist() == [[10, 2], [11, 5]]
    with pytest.warns(UserWarning, match="groups do not hold these together"):
        tell_of_copies(images, y, [(rows[:6], rows[6:])], groups=rows)


def test_every_copy_counts_where_there_are_several(patches):
    images = np.concatenate([patches[:3], patches[[0, 0]]])
    with pytest.warns(UserWarning, match="2 while the same is"):
        counts, _ = tell_of_copies(
            images, np.zeros(5), [(np.array([1, 4]), np.array([0, 2, 3]))], None
        )
    assert counts["exact"] == 2


def test_an_image_with_two_labels_is_told_of(patches):
    images = np.concatenate([patches[:3], patches[[1]]])
    y = np.array(["good", "good", "good", "crack"])
    with pytest.warns(
        UserWarning, match=r"images 1 and 3, good and crack, for one\): one of the two"
    ):
        tell_of_copies(images, y, [(np.array([1, 3]), np.array([0, 2]))], None)


def test_a_table_that_all_objects_lie_on_makes_no_copies():
    """Pictures from one camera have their background in common, and nothing else."""
    rng = np.random.RandomState(0)
    background = np.kron(rng.randint(0, 200, (8, 8)), np.ones((6, 6)))
    images = (background + rng.normal(0, 12, (60, 1, 48, 48))).clip(0, 255).astype(np.uint8)
    assert not len(find_copies(images)[1])
    images[59] = images[7] + 1
    assert find_copies(images)[1].tolist() == [[7, 59]]
