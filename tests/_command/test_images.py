"""From a folder on the command line to images."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from sklearn_open._command import images as module
from sklearn_open._command.arguments import parse
from sklearn_open._command.images import load
from sklearn_open.datasets import ListedImages


def loaded(folder, *options):
    return load(parse(["compare", str(folder), *options]))


def write(path, size, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).convert("L").save(path)


def test_small_images_keep_their_size(folder, capsys):
    images = loaded(folder)
    assert images.X.shape == (52, 12, 12, 3)
    assert images.counts == {"good": 28, "crack": 14, "hole": 10}
    assert images.groups is None
    assert capsys.readouterr().out == (
        "52 colour images at 12 x 12 pixels: good 28, crack 14, hole 10.\n"
    )


def test_groups_come_from_names(folder, capsys):
    images = loaded(folder, "--groups-by", r"num_(\w+)\.")
    assert len(np.unique(images.groups)) == 26
    assert "26 groups" in capsys.readouterr().out


def test_images_of_many_sizes_come_to_one_and_grey_stays_grey(tmp_path):
    for i in range(4):
        write(tmp_path / "a" / f"{i}.png", (40 + i, 90))
        write(tmp_path / "b" / f"{i}.png", (70, 30 + i))
    images = loaded(tmp_path)
    assert images.X.shape == (8, 64, 64)
    assert (images.reader.mode, images.reader.resize) == ("L", "pad")
    assert loaded(tmp_path, "--size", "20x30", "--resize", "crop").X.shape == (8, 20, 30)
    assert loaded(tmp_path, "--mode", "RGB").X.shape == (8, 64, 64, 3)


def test_one_image_of_another_size_is_brought_to_that_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 1)
    for i in range(4):
        write(tmp_path / "a" / f"{i}.png", (16, 16))
        write(tmp_path / "b" / f"{i}.png", (16, 16))
    write(tmp_path / "b" / "9.png", (30, 20))
    assert loaded(tmp_path).X.shape == (9, 16, 16)


def test_photographs_beside_masks_in_folders_of_their_own(tmp_path, capsys):
    for name in ("MT_Free", "MT_Crack"):
        for i in range(3):
            write(tmp_path / name / "Imgs" / f"exp{i}_num_7.jpg", (90 + i, 70), 90 + 10 * i)
            mask = Image.new("L", (70, 90 + i))
            mask.save(tmp_path / name / "Imgs" / f"exp{i}_num_7.png")
    images = loaded(tmp_path)
    assert images.X.shape == (6, 64, 64)
    assert all(name.endswith(".jpg") for name in images.filenames)
    assert "Images are taken by --pattern 'Imgs/*.jpg'." in capsys.readouterr().out


def test_zip_files_are_read_in_place(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    np.testing.assert_array_equal(loaded(tmp_path / "photos.zip").X, loaded(folder).X)


def test_what_memory_does_not_hold_is_read_while_training(folder, monkeypatch):
    held = loaded(folder)
    monkeypatch.setattr(module, "SHARE_OF_MEMORY", 0)
    read = loaded(folder)
    assert isinstance(read.X, ListedImages)
    np.testing.assert_array_equal(read.y, held.y)
    np.testing.assert_array_equal(read.X[5][0], held.X[5])
    assert str(read) == str(held)


def test_damaged_files_are_refused_or_left_out(tmp_path):
    for i in range(3):
        write(tmp_path / "a" / f"{i}.png", (8, 8))
        write(tmp_path / "b" / f"{i}.png", (8, 8))
    (tmp_path / "b" / "9.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"b/9\.png"):
        loaded(tmp_path)
    with pytest.warns(UserWarning, match="1 of 7 files were left out"):
        images = loaded(tmp_path, "--skip-damaged")
    assert len(images.y) == 6


def test_one_class_is_refused(tmp_path):
    write(tmp_path / "a" / "1.png", (8, 8))
    with pytest.raises(ValueError, match="could be classes"):
        loaded(tmp_path)
    with pytest.raises(ValueError, match="the class 'a' alone"):
        loaded(tmp_path, "--pattern", "*")
