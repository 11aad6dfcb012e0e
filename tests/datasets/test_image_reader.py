import dataclasses
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from sklearn_open.datasets import ImageReader, load_image_folder


def pixels(seed, shape=(6, 5, 3)):
    return np.random.RandomState(seed).randint(256, size=shape, dtype=np.uint8)


@pytest.fixture
def photos(tmp_path):
    """Write images of colour and of grey, the last of them 16 bits deep."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(pixels(i)).save(folder / f"colour{i}.png")
        Image.fromarray(pixels(i, (6, 5))).save(folder / f"grey{i}.png")
    deep = np.random.RandomState(0).randint(65536, size=(6, 5)).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    return folder


COLOUR = [f"colour{i}.png" for i in range(3)]
GREY = [f"grey{i}.png" for i in range(3)]

# --- a value ---


def test_a_value():
    reader = ImageReader(64, "L", "pad")
    assert reader == ImageReader(size=[64, np.int64(64)], mode="L", resize="pad")
    assert reader != ImageReader(64, "L", "crop")
    assert hash(reader) == hash(ImageReader((64, 64), "L", "pad", np.True_))
    assert repr(reader) == (
        "ImageReader(size=(64, 64), mode='L', resize='pad', exif_transpose=True)"
    )
    assert pickle.loads(pickle.dumps(reader)) == reader
    with pytest.raises(dataclasses.FrozenInstanceError):
        reader.mode = "RGB"


@pytest.mark.parametrize("reader", [ImageReader(), ImageReader((3, 4), "auto", "crop", False)])
def test_plain_values(reader):
    values = json.loads(json.dumps(reader.to_dict()))
    assert ImageReader.from_dict(values) == reader
    assert ImageReader.from_dict({}) == ImageReader()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1], "made of a dict"),
        ({"sise": 3}, "no parameter 'sise'.*Is it 'size'"),
        ({3: 3}, "no parameter 3"),
        ({"size": "64"}, "size must be"),
        ({"size": [True, 3]}, "size must be"),
        ({"mode": "RGBA"}, "mode must be one of"),
        ({"mode": ["L"]}, "mode must be one of"),
        ({"resize": "stretch"}, "resize must be one of .* got 'stretch'"),
        ({"exif_transpose": 1}, "exif_transpose must be True or False; got 1"),
    ],
)
def test_bad_values(values, said):
    with pytest.raises(ValueError, match=said):
        ImageReader.from_dict(values)


# --- one image ---


def test_read(photos):
    for file in (photos / "colour1.png", str(photos / "colour1.png")):
        assert_array_equal(ImageReader().read(file), pixels(1))
        assert ImageReader().read(file).flags.writeable
    with (photos / "grey1.png").open("rb") as file:
        assert_array_equal(ImageReader(mode="L").read(file), pixels(1, (6, 5)))
    assert_array_equal(
        ImageReader().read(io.BytesIO((photos / "colour1.png").read_bytes())), pixels(1)
    )


def test_what_cannot_be_read_is_named(photos):
    with pytest.raises(FileNotFoundError, match=r"image files are not there.*nowhere\.png"):
        ImageReader().read(photos / "nowhere.png")
    (photos / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken.png' cannot be read as an image"):
        ImageReader().read(photos / "broken.png")
    with pytest.raises(ValueError, match=r"BytesIO.* cannot be read as an image"):
        ImageReader().read(io.BytesIO(b"no image"))
    with pytest.raises(ValueError, match="open it with mode 'rb'"):
        ImageReader().read(io.StringIO("text"))


@pytest.mark.parametrize("resize", ["squeeze", "pad", "crop"])
def test_size(photos, resize):
    assert ImageReader((4, 8), resize=resize).read(photos / "colour0.png").shape == (4, 8, 3)
    deep = ImageReader(4, "L", resize).read(photos / "deep.png")
    assert (deep.shape, deep.dtype) == ((4, 4), np.uint16)


def test_crop_is_of_the_centre(tmp_path):
    stripes = np.repeat(np.arange(9, dtype=np.uint8)[None], 3, axis=0)
    Image.fromarray(stripes).save(tmp_path / "1.png")
    assert_array_equal(ImageReader(3, "L", "crop").read(tmp_path / "1.png"), [[3, 4, 5]] * 3)


# --- many ---


@pytest.mark.parametrize("names", [COLOUR, [Path(name) for name in COLOUR], iter(COLOUR)])
def test_read_many(photos, names):
    assert_array_equal(ImageReader().read_many(names, root=photos), [pixels(i) for i in range(3)])


def test_paths_without_a_root(photos):
    data = ImageReader(mode="L").read_many([photos / name for name in GREY])
    assert_array_equal(data, [pixels(i, (6, 5)) for i in range(3)])


def test_a_zip_file(photos):
    file = photos.parent / "photos.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in COLOUR:
            archive.write(photos / name, name)
    assert_array_equal(ImageReader().read_many(COLOUR, root=file), [pixels(i) for i in range(3)])
    with pytest.raises(ValueError, match=r"'nothing\.png' cannot be read"):
        ImageReader().read_many(["nothing.png"], root=file)


def test_many_that_are_refused(photos):
    (photos / "broken.png").write_bytes(b"no image")
    names = [GREY[0], "broken.png", GREY[1]]
    with pytest.raises(ValueError, match=r"'broken\.png' cannot be read as an image"):
        ImageReader().read_many(names, root=photos)
    with pytest.warns(UserWarning, match="1 of 3 files were left out"):
        data, kept = ImageReader().read_many(names, photos, on_error="skip", return_kept=True)
    assert_array_equal(kept, [0, 2])
    assert data.shape == (2, 6, 5, 3)
    with pytest.raises(ValueError, match="pixels of one kind"):
        ImageReader(mode="L").read_many([GREY[0], "deep.png"], root=photos)
    for on_error in ("raise", "skip"):
        with pytest.raises(FileNotFoundError, match=r"2 of 3 .* 'a.png'. Paths are relative to ro"):
            ImageReader().read_many(["a.png", GREY[0], "b.png"], photos, on_error)


@pytest.mark.parametrize("files", ["1.png", Path("1.png"), b"2.png"])
def test_one_path_is_not_many(files):
    with pytest.raises(ValueError, match="Use read for one"):
        ImageReader().read_many(files)


def test_no_paths():
    with pytest.raises(ValueError, match="files is empty"):
        ImageReader().read_many([])


# --- grey or not ---


def test_auto_is_grey_where_all_are(photos):
    reader = ImageReader(mode="auto")
    assert reader.settled([*GREY, "deep.png"], photos) == ImageReader(mode="L")
    assert reader.settled([*GREY, COLOUR[0]], photos) == ImageReader(mode="RGB")
    assert ImageReader(mode="L").settled(COLOUR, photos) == ImageReader(mode="L")
    assert reader.read_many(GREY, photos).shape == (3, 6, 5)
    assert reader.read_many([*GREY, COLOUR[0]], photos).shape == (4, 6, 5, 3)
    assert reader.read(photos / GREY[0]).shape == (6, 5)
    assert reader.read(photos / COLOUR[0]).shape == (6, 5, 3)
    assert reader.read(photos / "deep.png").shape == (6, 5)


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("1", True), ("L", True), ("LA", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_grey_by_the_header(tmp_path, mode, grey):
    file = tmp_path / "1.png"
    Image.fromarray(pixels(0)).convert(mode).save(file)
    assert (ImageReader(mode="auto").settled([file]).mode == "L") == grey
    assert (ImageReader(mode="auto").read(file).ndim == 2) == grey


def test_grey_by_the_palette(tmp_path):
    Image.fromarray(pixels(0, (6, 5))).convert("P").save(tmp_path / "1.png")
    with Image.open(tmp_path / "1.png") as image:
        assert image.mode == "P"
    assert ImageReader(mode="auto").settled([tmp_path / "1.png"]).mode == "L"


def test_files_that_cannot_be_read_have_no_say(photos):
    (photos / "broken.png").write_bytes(b"no image")
    assert ImageReader(mode="auto").settled([*GREY, "broken.png"], photos).mode == "L"


# --- of a folder ---


def test_a_folder_tells_how_it_was_read(tmp_path):
    for i, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels(i, (6, 9))).save(tmp_path / name / "1.png")
    data = load_image_folder(tmp_path, size=4, mode="auto", resize="pad")
    assert data.reader == ImageReader(4, "L", "pad")
    assert_array_equal(data.reader.read_many(data.filenames, tmp_path), data.data)
    Image.fromarray(pixels(0)).save(tmp_path / "b/2.png")
    data = load_image_folder(tmp_path, size=4, mode="auto", exif_transpose=False)
    assert data.reader == ImageReader(4, "RGB", exif_transpose=False)
    assert data.data.shape == (3, 4, 4, 3)
    with pytest.raises(ValueError, match="resize must be one of"):
        load_image_folder(tmp_path, resize="stretch")
