"""Images are upright, whatever their camera held for up; what cannot be read turns nothing."""

import random
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps, PngImagePlugin

from sklearn_open.datasets import ListedImages, load_image_folder, load_places_lt
from sklearn_open.datasets._decode import decode_image

ORIENTATION = 0x0112
LOSSLESS = {"png": {}, "tif": {}, "webp": {"lossless": True}}
FORMATS = {**LOSSLESS, "jpg": {"quality": 100, "subsampling": 0}}
# What each orientation means, in NumPy's words: from the rows stored to the image upright.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


def pixels(shape=(6, 10, 3), seed=0):
    """Return a picture that is smooth, so that JPEG keeps it, and differs from all its turns."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    picture = np.stack([8 * x + 40, 12 * y + 60, 3 * x + 5 * y + seed], axis=-1)
    return picture[..., : shape[2]].astype(np.uint8) if len(shape) == 3 else picture[..., 0]


def exif(orientation):
    block = Image.Exif()
    block[ORIENTATION] = orientation
    block[0x010E] = "a picture"
    return block


def write(file, image, orientation, **settings):
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, exif=exif(orientation), **settings)
    return file


def decoded(file, **kwargs):
    return np.asarray(decode_image(lambda name: file.read_bytes(), file.name, **kwargs))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_all_orientations(tmp_path, suffix, orientation):
    stored = pixels()
    file = write(
        tmp_path / "a" / f"1.{suffix}", Image.fromarray(stored), orientation, **FORMATS[suffix]
    )
    far = 6 if suffix == "jpg" else 0
    upright = UPRIGHT[orientation](stored)
    assert_array_equal(decoded(file), ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
    data = load_image_folder(tmp_path).data[0]
    np.testing.assert_allclose(data.astype(int), upright, atol=far)
    listed = ListedImages(tmp_path, [f"a/1.{suffix}"], [0])
    assert_array_equal(listed[0][0], data)
    as_stored = load_image_folder(tmp_path, exif_transpose=False).data[0]
    np.testing.assert_allclose(as_stored.astype(int), stored, atol=far)
    listed = ListedImages(tmp_path, [f"a/1.{suffix}"], [0], exif_transpose=False)
    assert_array_equal(listed[0][0], as_stored)
    assert_array_equal(listed[:1][0][0], as_stored)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("how", [{}, {"order": ">"}, {"packed": True}])
def test_16_bit_images_too(tmp_path, write_deep, orientation, how):
    stored = np.random.RandomState(0).randint(65536, size=(4, 7)).astype(np.uint16)
    write_deep(tmp_path / "1.tif", stored, **how, tags={ORIENTATION: orientation})
    assert_array_equal(decoded(tmp_path / "1.tif"), UPRIGHT[orientation](stored))
    assert_array_equal(decoded(tmp_path / "1.tif", exif_transpose=False), stored)
    file = write(tmp_path / "1.png", Image.fromarray(stored), orientation)
    assert_array_equal(decoded(file), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGBA"])
def test_other_kinds_of_images(tmp_path, mode):
    image = Image.fromarray(pixels()).convert(mode)
    file = write(tmp_path / "1.png", image, 6)
    assert_array_equal(decoded(file), np.rot90(np.asarray(image.convert("RGB")), -1))


def test_sizes_are_those_of_upright_images(tmp_path):
    write(tmp_path / "a" / "1.png", Image.fromarray(pixels((6, 10, 3))), 6)
    write(tmp_path / "a" / "2.png", Image.fromarray(pixels((10, 6, 3))), 1)
    assert load_image_folder(tmp_path).data.shape == (2, 10, 6, 3)
    with pytest.raises(ValueError, match=r"'a/1.png' is \(6, 10\) and 'a/2.png' is \(10, 6\)"):
        load_image_folder(tmp_path, exif_transpose=False)


def test_the_published_lists_are_read_upright(tmp_path, write_list):
    entries = [("train/bird/1.jpg", 0), ("train/cat/2.jpg", 1)]
    write_list(tmp_path / "Places_LT_train.txt", entries)
    for path, _ in entries:
        write(tmp_path / path, Image.fromarray(pixels()), 6, **FORMATS["jpg"])
    places = load_places_lt(list_dir=tmp_path, image_root=tmp_path, transform=np.asarray)
    for image, _ in places.data:
        np.testing.assert_allclose(image.astype(int), np.rot90(pixels(), -1), atol=6)


# --- where else it may stand ---


def test_behind_the_pixels_of_a_png(tmp_path):
    write(tmp_path / "1.png", Image.fromarray(pixels()), 8)
    content = (tmp_path / "1.png").read_bytes()
    at = content.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(content[at : at + 4], "big")
    last = content.index(b"IEND") - 4
    (tmp_path / "1.png").write_bytes(
        content[:at] + content[end:last] + content[at:end] + content[last:]
    )
    assert_array_equal(decoded(tmp_path / "1.png"), np.rot90(pixels()))


def test_as_text_in_a_png(tmp_path):
    info = PngImagePlugin.PngInfo()
    block = exif(6).tobytes().hex()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block) // 2:8}\n{block}\n")
    Image.fromarray(pixels()).save(tmp_path / "1.png", pnginfo=info)
    assert_array_equal(decoded(tmp_path / "1.png"), np.rot90(pixels(), -1))
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n8\nno hexadecimals\n")
    Image.fromarray(pixels()).save(tmp_path / "2.png", pnginfo=info)
    assert_array_equal(decoded(tmp_path / "2.png"), pixels())


def test_in_xmp(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="3"/>')
    Image.fromarray(pixels()).save(tmp_path / "1.png", pnginfo=info)
    assert_array_equal(decoded(tmp_path / "1.png"), pixels()[::-1, ::-1])
    xmp = b"<tiff:Orientation>6</tiff:Orientation>"
    Image.fromarray(pixels()).save(tmp_path / "1.webp", lossless=True, xmp=xmp)
    assert_array_equal(decoded(tmp_path / "1.webp"), np.rot90(pixels(), -1))


# --- damage ---


def damaged(block, seed):
    rng, block = random.Random(seed), bytearray(block)
    for _ in range(rng.choice([1, 3, 10, 40])):
        block[rng.randrange(6, len(block))] = rng.randrange(256)
    return bytes(block[: rng.randrange(len(block))] if rng.random() < 0.3 else block)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6),
    suffix=st.sampled_from(["png", "webp", "jpg"]),
    action=st.sampled_from(["error", "ignore"]),
)
def test_a_damaged_block_turns_nothing_but_the_image(tmp_path, seed, suffix, action):
    """It is one of the eight pictures, and no setting of warnings refuses it."""
    file = tmp_path / f"1.{suffix}"
    block = exif(6)
    block.get_ifd(0x8769)[0x927C] = b"maker" * 9
    Image.fromarray(pixels()).save(file, exif=damaged(block.tobytes(), seed), **FORMATS[suffix])
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        upright = decoded(file)
        stored = decoded(file, exif_transpose=False)
    np.testing.assert_allclose(stored.astype(int), pixels(), atol=6)
    assert any(np.array_equal(upright, turn(stored)) for turn in UPRIGHT.values())


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0garbage, and no end of it",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0",  # ends before the value
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0\x06\0\0\0\0\0\0\0",  # a text
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",  # there is no 9
    ],
)
def test_an_unreadable_orientation_counts_as_none(tmp_path, suffix, block):
    file = tmp_path / f"1.{suffix}"
    Image.fromarray(pixels()).save(file, exif=block, **FORMATS[suffix])
    np.testing.assert_allclose(decoded(file).astype(int), pixels(), atol=6)


@pytest.mark.parametrize("orientation", [0, 9, 65536])
def test_numbers_that_mean_nothing(tmp_path, write_deep, orientation):
    write_deep(tmp_path / "1.tif", pixels(), tags={ORIENTATION: orientation})
    for exif_transpose in (True, False):
        assert_array_equal(decoded(tmp_path / "1.tif", exif_transpose=exif_transpose), pixels())


def test_a_tiff_whose_exif_lies_nowhere(tmp_path, write_deep):
    write_deep(tmp_path / "1.tif", pixels(), tags={ORIENTATION: 6, 0x8769: 10**6, 0x8825: 3})
    assert_array_equal(decoded(tmp_path / "1.tif"), np.rot90(pixels(), -1))
    assert_array_equal(decoded(tmp_path / "1.tif", exif_transpose=False), pixels())


def test_filters_of_warnings_are_left_as_found(tmp_path):
    description = b"\x0e\x01\x02\0\xff\0\0\0\xff\xff\0\0"  # of 255 letters, far behind the end
    upright = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels()).save(
        tmp_path / "a" / "1.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0" + description + upright
    )
    before = list(warnings.filters)
    with pytest.warns(UserWarning, match="EXIF|Truncated"), Image.open(tmp_path / "a" / "1.jpg"):
        pass
    assert load_image_folder(tmp_path).data.shape == (1, 10, 6, 3)  # as warnings are errors here
    assert warnings.filters == before
