"""Pixels come out of files with every level they have, or the file is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import ListedImages, load_image_folder
from sklearn_open.datasets._decode import decode_image


def deep(seed=0, shape=(7, 9), highest=65535, dtype=np.uint16):
    return np.random.RandomState(seed).randint(highest + 1, size=shape).astype(dtype)


def decoded(file, **kwargs):
    return decode_image(lambda name: file.read_bytes(), file.name, **kwargs)


# Formats of 16-bit grey that Pillow, or the fixture, writes.
GREY = {
    "png": lambda write, file, x: Image.fromarray(x).save(file.with_suffix(".png")),
    "pgm": lambda write, file, x: Image.fromarray(x).save(file.with_suffix(".pgm")),
    "plain pgm": lambda write, file, x: write(file.with_suffix(".pgm"), x, plain=True),
    "tiff": lambda write, file, x: Image.fromarray(x).save(file.with_suffix(".tif")),
    "lzw tiff": lambda write, file, x: Image.fromarray(x).save(
        file.with_suffix(".tif"), compression="tiff_lzw"
    ),
    "big-endian tiff": lambda write, file, x: write(file.with_suffix(".tif"), x, order=">"),
    "packed big-endian tiff": lambda write, file, x: write(
        file.with_suffix(".tif"), x, order=">", packed=True
    ),
}


@pytest.fixture
def write_grey(write_deep):
    """Write 16-bit grey in one of the formats; return the file."""

    def write(kind, file, pixels):
        file.parent.mkdir(parents=True, exist_ok=True)
        GREY[kind](write_deep, file, pixels)
        return next(file.parent.glob(f"{file.name}.*"))

    return write


# --- 16-bit grey ---


@pytest.mark.parametrize("kind", GREY)
@pytest.mark.parametrize("highest", [255, 4095, 65535])
def test_all_levels_are_kept(tmp_path, write_grey, kind, highest):
    pixels = deep(highest=highest)
    file = write_grey(kind, tmp_path / "a" / "1", pixels)
    for mode in ("RGB", "L"):
        image = decoded(file, mode=mode)
        assert image.mode == "I;16"
        assert_array_equal(np.asarray(image), pixels)
    data = load_image_folder(tmp_path, mode="L").data
    assert data.dtype == np.uint16
    assert_array_equal(data, [pixels])
    colour = load_image_folder(tmp_path).data
    assert colour.dtype == np.uint16
    assert_array_equal(colour, np.stack([pixels] * 3, axis=-1)[None])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(GREY)),
    levels=st.lists(st.integers(0, 65535), min_size=2, max_size=12, unique=True),
)
def test_levels_that_differ_go_on_to_differ(tmp_path, write_grey, kind, levels):
    for old in tmp_path.glob("1.*"):
        old.unlink()
    file = write_grey(kind, tmp_path / "1", np.array([levels], np.uint16))
    assert np.asarray(decoded(file)).tolist() == [levels]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(white=st.integers(256, 65535), plain=st.booleans(), seed=st.integers(0, 99))
def test_a_pgm_says_which_value_is_white(tmp_path, write_deep, white, plain, seed):
    pixels = np.sort(
        np.random.RandomState(seed).choice(white + 1, (2, 8), replace=False), axis=None
    )
    pixels = pixels.reshape(2, 8).astype(np.uint16)
    write_deep(tmp_path / "1.pgm", pixels, highest=white, plain=plain)
    found = np.asarray(decoded(tmp_path / "1.pgm")).astype(float)
    np.testing.assert_allclose(found, pixels * (65535 / white), atol=0.5)
    assert (np.diff(found.ravel()) > 0).all()


@pytest.mark.parametrize("packed", [False, True])
def test_a_tiff_may_have_zero_for_white(tmp_path, write_deep, packed):
    pixels = deep()
    write_deep(tmp_path / "1.tif", pixels, packed=packed, tags={262: 0})
    assert_array_equal(np.asarray(decoded(tmp_path / "1.tif")), 65535 - pixels)
    eight = deep(highest=255, dtype=np.uint8)  # where Pillow does it
    write_deep(tmp_path / "2.tif", eight, packed=packed, tags={262: 0})
    assert_array_equal(np.asarray(decoded(tmp_path / "2.tif", mode="L")), 255 - eight)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(3, 4), (16, 20), (7, 9)])
def test_resizing_is_as_exact_as_the_values(tmp_path, write_grey, mode, size):
    pixels = deep(highest=4095)
    write_grey("png", tmp_path / "a" / "1", pixels)
    exact = Image.fromarray(pixels.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    data = load_image_folder(tmp_path, mode=mode, size=size).data
    assert data.dtype == np.uint16
    expected = np.rint(np.asarray(exact))
    assert_array_equal(data[0], np.stack([expected] * 3, axis=-1) if mode == "RGB" else expected)


def test_resized_extremes_do_not_wrap_around(tmp_path, write_grey):
    pixels = np.zeros((8, 8), np.uint16)
    pixels[:, ::2] = 65535
    write_grey("tiff", tmp_path / "a" / "1", pixels)
    data = load_image_folder(tmp_path, mode="L", size=(24, 24)).data[0]
    assert data.min() == 0
    assert data.max() == 65535


# --- 8 bits stay 8 bits ---


@pytest.mark.parametrize("white", [1, 15, 100, 255])
def test_pgm_of_few_levels(tmp_path, write_deep, white):
    pixels = deep(highest=white, dtype=np.uint8)
    write_deep(tmp_path / "1.pgm", pixels, highest=white)
    image = decoded(tmp_path / "1.pgm", mode="L")
    assert image.mode == "L"
    np.testing.assert_allclose(np.asarray(image), pixels * (255 / white), atol=0.5)


@pytest.mark.parametrize("bits", ["BGR;15", "BGR;16"])
def test_bitmaps_of_16_bits_for_all_channels_are_of_bytes(tmp_path, bits):
    image = Image.fromarray(deep(shape=(4, 4, 3), highest=255, dtype=np.uint8))
    image.save(tmp_path / "1.bmp")
    content = bytearray((tmp_path / "1.bmp").read_bytes())
    offset = int.from_bytes(content[10:14], "little")
    content[28:30] = (16).to_bytes(2, "little")
    if bits == "BGR;16":  # masks of 5, 6 and 5 bits
        content[30:34] = (3).to_bytes(4, "little")
        masks = b"".join(mask.to_bytes(4, "little") for mask in (0xF800, 0x7E0, 0x1F))
        content[offset:offset] = masks
        content[10:14] = (offset + 12).to_bytes(4, "little")
    (tmp_path / "1.bmp").write_bytes(content)
    assert decoded(tmp_path / "1.bmp").mode == "RGB"


# --- what would lose levels is refused ---

COLOUR = {
    "png": (".png", 3, {}),
    "png, grey and alpha": (".png", 2, {}),
    "png, colour and alpha": (".png", 4, {}),
    "tiff": (".tif", 3, {}),
    "packed tiff": (".tif", 3, {"packed": True}),
    "big-endian tiff": (".tif", 3, {"order": ">"}),
    "packed big-endian tiff": (".tif", 3, {"order": ">", "packed": True}),
    "tiff, planes": (".tif", 3, {"planar": True}),
    "tiff, colour and alpha": (".tif", 4, {}),
    "tiff, printing colours": (".tif", 4, {"tags": {262: 5, 338: None}}),
    "ppm": (".ppm", 3, {}),
    "ppm of 12 bits": (".ppm", 3, {"highest": 4095}),
    "plain ppm": (".ppm", 3, {"plain": True, "highest": 256}),
}


@pytest.mark.parametrize("kind", COLOUR)
def test_colour_of_16_bits_is_refused(tmp_path, write_deep, kind):
    suffix, channels, how = COLOUR[kind]
    file = tmp_path / "a" / f"2{suffix}"
    file.parent.mkdir()
    write_deep(file, deep(shape=(4, 5, channels), highest=how.get("highest", 65535)), **how)
    with pytest.raises(ValueError, match=rf"'2{suffix}' has 16 bits in each channel .* 8 bits in"):
        decoded(file)
    Image.new("RGB", (5, 4)).save(tmp_path / "a" / "1.png")
    with pytest.warns(UserWarning, match=rf"1 of 2 files were left out. The first: 'a/2{suffix}'"):
        assert load_image_folder(tmp_path, on_error="skip").filenames == ["a/1.png"]
    with pytest.raises(ValueError, match=rf"'a/2{suffix}'"):
        ListedImages(tmp_path, [f"a/2{suffix}"], [0])[0]


def test_kinds_of_tiff_that_pillow_does_not_know(tmp_path, write_deep):
    write_deep(tmp_path / "1.tif", deep(shape=(4, 5, 2)))
    with pytest.raises(
        ValueError, match=r"'1.tif' cannot be .*TIFF of a kind that is not read, as"
    ):
        decoded(tmp_path / "1.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_colour_of_8_bits_is_read(tmp_path, write_deep, suffix):
    pixels = deep(shape=(4, 5, 3), highest=255, dtype=np.uint8)
    write_deep(tmp_path / f"1{suffix}", pixels, **({"highest": 255} if suffix == ".ppm" else {}))
    assert_array_equal(np.asarray(decoded(tmp_path / f"1{suffix}")), pixels)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pixels_with_a_sign_are_refused(tmp_path, write_deep, dtype, order):
    bits = 8 * np.dtype(dtype).itemsize
    write_deep(tmp_path / "1.tif", np.arange(-6, 6).reshape(3, 4).astype(dtype), order=order)
    with pytest.raises(ValueError, match=rf"'1.tif' has pixels of {bits} bits with a sign, .*with"):
        decoded(tmp_path / "1.tif")


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bits_are_refused(tmp_path, dtype):
    Image.fromarray(deep().astype(dtype)).save(tmp_path / "1.tif")
    with pytest.raises(ValueError, match="pixels of 32 bits"):
        decoded(tmp_path / "1.tif")


# --- 8 and 16 bits in one folder ---


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(("first", "second"), [(np.uint8, np.uint16), (np.uint16, np.uint8)])
def test_a_mixture_is_refused_by_name(tmp_path, mode, first, second):
    (tmp_path / "a").mkdir()
    for i, dtype in enumerate([first, first, second]):
        Image.fromarray(deep(highest=255, dtype=dtype)).save(tmp_path / "a" / f"{i}.png")
    bits = [8 * np.dtype(dtype).itemsize for dtype in (first, second)]
    message = f"'a/0.png' has {bits[0]} bits and 'a/2.png' has {bits[1]}"
    with pytest.raises(ValueError, match=f"pixels of one kind, but {message}"):
        load_image_folder(tmp_path, mode=mode)
    with pytest.warns(UserWarning, match=f"1 of 3 files were left out.*{message}"):
        data = load_image_folder(tmp_path, mode=mode, on_error="skip").data
    assert data.dtype == first
    assert len(data) == 2


# --- the classifier sees what the files hold ---


def fitted(X, y):
    clf = OPeNClassifier(
        SmallCNN,
        module__in_channels=1,
        module__width=4,
        max_epochs=1,
        start_epoch=0,
        batch_size=8,
        random_state=0,
        verbose=0,
    )
    return clf.fit(X, y)


@pytest.mark.parametrize("kind", ["png", "big-endian tiff", "pgm"])
def test_files_train_as_their_pixels(tmp_path, write_grey, kind):
    X, y = deep(shape=(16, 8, 8), highest=4095), np.repeat([0, 1], [12, 4])
    X[y == 1] //= 16
    files = [
        write_grey(kind, tmp_path / f"class {label}" / f"{i:02}", pixels)
        for i, (pixels, label) in enumerate(zip(X, y, strict=True))
    ]
    listed = ListedImages(tmp_path, [file.relative_to(tmp_path) for file in files], y)
    loaded, target = load_image_folder(tmp_path, mode="L", return_X_y=True)
    assert_array_equal(loaded, X)
    assert_array_equal(target, y)
    expected = fitted(X, y).predict_proba(X)
    assert_array_equal(fitted(listed, None).predict_proba(listed), expected)
    assert_array_equal(fitted(loaded, y).predict_proba(listed), expected)
    pil = [Image.open(file) for file in files]  # in Pillow's own modes, "I" and "I;16B" among them
    assert_array_equal(fitted(pil, y).predict_proba(pil), expected)
    small = fitted((X // 257).astype(np.uint8), y).predict_proba((X // 257).astype(np.uint8))
    assert not np.array_equal(small, expected)


def test_transforms_see_16_bits(tmp_path, write_grey):
    pixels = deep()
    file = write_grey("png", tmp_path / "1", pixels)
    image, _ = ListedImages(tmp_path, [file.name], [0])[0]
    assert image.mode == "I;16"
    half = ListedImages(tmp_path, [file.name], [0], lambda image: np.asarray(image) // 2)
    assert_array_equal(half[0][0], pixels // 2)
