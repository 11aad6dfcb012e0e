"""Folders and zip files from strangers: loaded, or refused with a sentence that names the file."""

import os
import random
import struct
import sys
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from sklearn_open.datasets import _image_files, _into_array, load_image_folder

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links and pipes")


def write(file, seed=0, shape=(6, 5, 3)):
    pixels = np.random.RandomState(seed).randint(256, size=shape, dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Two classes of two good images each."""
    for i, name in enumerate(["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]):
        write(tmp_path / "animals" / name, i)
    return tmp_path / "animals"


def zipped(folder, method=zipfile.ZIP_DEFLATED):
    file = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(file, "w", method) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return file


def add(archive, name, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), content, method)


def assert_refused(path, message, n_files=5):
    """One file is bad: by default nothing is loaded, and with "skip" everything else."""
    with pytest.raises(ValueError, match=message):
        load_image_folder(path)
    with pytest.warns(
        UserWarning, match=f"1 of {n_files} files were left out.*{message}"
    ) as caught:
        bunch = load_image_folder(path, on_error="skip")
    assert caught[-1].filename == __file__
    assert bunch.filenames == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]
    assert_array_equal(bunch.target, [0, 0, 1, 1])
    assert bunch.data.shape == (4, 6, 5, 3)


# --- links, pipes ---


@POSIX
class TestLinks:
    def test_an_image_outside(self, folder):
        pixels = write(folder.parent / "secret" / "9.png", 9)
        (folder / "dog" / "9.png").symlink_to(folder.parent / "secret" / "9.png")
        assert_refused(folder, r"'dog/9.png' is a link out of the folder, to .*follow_links=True")
        bunch = load_image_folder(folder, follow_links=True)
        assert_array_equal(bunch.data[-1], pixels)

    def test_a_folder_outside(self, folder):
        write(folder.parent / "secret" / "9.png", 9)
        (folder / "secret").symlink_to(folder.parent / "secret", target_is_directory=True)
        assert_refused(folder, "'secret' is a link out of the folder")
        bunch = load_image_folder(folder, follow_links=True)
        assert bunch.target_names == ["cat", "dog", "secret"]

    def test_a_folder_with_a_name_like_the_root_s_is_outside(self, folder):
        write(folder.parent / "animals2" / "9.png", 9)
        (folder / "dog" / "9.png").symlink_to("../../animals2/9.png")
        assert_refused(folder, "'dog/9.png' is a link out")

    def test_inside_they_are_followed(self, folder):
        (folder / "dog" / "3.png").symlink_to("../cat/1.png")
        (folder / "pet").symlink_to("cat", target_is_directory=True)
        bunch = load_image_folder(folder)
        assert bunch.target_names == ["cat", "dog", "pet"]
        assert len(bunch.data) == 7

    def test_the_root_may_be_a_link(self, folder):
        link = folder.parent / "link"
        link.symlink_to(folder, target_is_directory=True)
        assert len(load_image_folder(link).data) == 4

    def test_circles(self, folder):
        (folder / "dog" / "self").symlink_to(".", target_is_directory=True)
        assert_refused(folder, "'dog/self' is a link to a folder that it lies in")
        (folder / "dog" / "self").unlink()
        (folder / "dog" / "self").symlink_to("self")  # to itself: leads nowhere
        assert len(load_image_folder(folder).data) == 4

    def test_circles_by_way_of_others(self, folder):
        (folder / "cat" / "dogs").symlink_to("../dog", target_is_directory=True)
        (folder / "dog" / "cats").symlink_to("../cat", target_is_directory=True)
        with pytest.raises(ValueError, match="'cat/dogs/cats' is a link to a folder"):
            load_image_folder(folder)

    def test_circles_outside(self, folder):
        (folder / "up").symlink_to(folder.parent, target_is_directory=True)
        for follow_links in (False, True):
            with pytest.raises(ValueError, match="'up' is a link to a folder that it lies in"):
                load_image_folder(folder, follow_links=follow_links)

    def test_links_to_folders_of_links(self, folder, monkeypatch):
        monkeypatch.setattr(_image_files, "MAX_FOLDERS", 1000)
        for level in range(8):  # 5 to the 8th, 390,625 paths
            (folder / f"level{level}").mkdir()
            for i in range(5):
                (folder / f"level{level}" / f"{i}").symlink_to(f"../level{level + 1}")
        (folder / "level8").mkdir()
        with pytest.raises(ValueError, match="more than 1,000 folders"):
            load_image_folder(folder)

    def test_broken(self, folder):
        (folder / "dog" / "9.png").symlink_to("nowhere.png")
        assert_refused(folder, "'dog/9.png' cannot be read as an image .FileNotFoundError")

    def test_a_pipe(self, folder):
        os.mkfifo(folder / "dog" / "9.png")  # reading it would wait forever
        assert_refused(folder, "'dog/9.png' is no ordinary file")

    def test_a_device(self, folder):
        (folder / "dog" / "9.png").symlink_to("/dev/zero")
        with pytest.raises(ValueError, match="is no ordinary file"):
            load_image_folder(folder, follow_links=True)

    def test_hidden_ones_do_not_count(self, folder):
        (folder / ".cache").symlink_to("/", target_is_directory=True)
        (folder / "dog" / ".9.png").symlink_to("/etc/passwd")
        assert len(load_image_folder(folder).data) == 4


# --- names in zip files ---


@pytest.mark.parametrize(
    "name",
    [
        "../9.png",
        "../../dog/9.png",
        "dog/../../9.png",
        "dog/../9.png",
        "/dog/9.png",
        "//server/share/dog/9.png",
        "C:/dog/9.png",
        "C:dog/9.png",
        "dog\\9.png",
        "dog/x\\..\\..\\9.png",
    ],
)
def test_names_that_lead_out_of_the_zip_file(folder, name):
    archive = zipped(folder)
    add(archive, name, (folder / "cat" / "1.png").read_bytes())
    before = sorted(folder.parent.rglob("*"))
    assert_refused(archive, "'.*' is not a path inside of the zip file; names must be relative")
    assert sorted(folder.parent.rglob("*")) == before


def test_a_link_in_a_zip_file_is_no_image(folder):
    archive = zipped(folder)
    link = zipfile.ZipInfo("dog/9.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    assert_refused(archive, "'dog/9.png' cannot be read as an image")


# --- sizes ---


def test_files_too_large_for_an_image(folder, monkeypatch):
    monkeypatch.setattr(_image_files, "MAX_FILE_BYTES", 2000)
    (folder / "dog" / "9.png").write_bytes(bytes(2001))
    assert_refused(folder, "'dog/9.png' has more than 0 MiB")
    archive = zipped(folder)
    assert archive.stat().st_size < 2000
    assert_refused(archive, "'dog/9.png' has more than 0 MiB")


def test_a_bomb_that_says_it_is_small(folder):
    archive = zipped(folder)
    zeros = 2**26 + 12345
    add(archive, "dog/9.png", bytes(zeros))
    content = archive.read_bytes()
    assert len(content) < 2**17
    archive.write_bytes(content.replace(struct.pack("<L", zeros), struct.pack("<L", 100)))
    tracemalloc.start()
    assert_refused(archive, "'dog/9.png' cannot be read as an image .BadZipFile")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds(folder, method):
    archive = zipped(folder)
    add(archive, "dog/9.png", bytes(100), method)
    assert_refused(archive, "'dog/9.png' is packed by method .* pack the folder again")


def png_with_size(file, width, height):
    """A small PNG that says it is a large one."""
    Image.new("L", (1, 1)).save(file)
    content = bytearray(file.read_bytes())
    content[16:24] = struct.pack(">LL", width, height)
    content[29:33] = struct.pack(">L", zlib.crc32(content[12:29]))
    file.write_bytes(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_of_too_many_pixels(folder):
    assert Image.MAX_IMAGE_PIXELS < 10_000 * 10_000
    png_with_size(folder / "dog" / "9.png", 10_000, 10_000)  # Pillow warns
    assert_refused(folder, "'dog/9.png' has 10000 x 10000 pixels, more than PIL.Image.MAX")
    png_with_size(folder / "dog" / "9.png", 100_000, 100_000)  # Pillow refuses
    assert_refused(folder, "'dog/9.png' cannot be read as an image .DecompressionBombError")
    assert_refused(zipped(folder), "'dog/9.png' cannot be read as an image .DecompressionBombError")


def test_more_images_than_memory():
    with pytest.raises(ValueError, match=r"1000000000 images of \(9000, 9000\) pixels need .* GiB"):
        _into_array._allocate(10**9, (9000, 9000, 3))


# --- content ---


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        b"\x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",  # Pillow would call Ghostscript
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "text", "signature", "eps", "svg"],
)
@pytest.mark.parametrize("source", [lambda path: path, zipped], ids=["folder", "zip"])
def test_files_that_are_no_images(folder, content, source):
    (folder / "dog" / "9.png").write_bytes(content)
    assert_refused(source(folder), "'dog/9.png' cannot be read as an image .*; replace or remove")


def test_eps_is_not_even_looked_at(folder, monkeypatch):
    from PIL import EpsImagePlugin

    def run(*args, **kwargs):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    Image.new("RGB", (6, 5)).save(folder / "dog" / "9.eps")
    (folder / "dog" / "9.eps").rename(folder / "dog" / "9.png")
    assert_refused(folder, "'dog/9.png' cannot be read as an image")


def test_what_the_suffix_says_does_not_matter(folder):
    Image.new("RGB", (5, 6)).save(folder / "dog" / "9.gif")
    (folder / "dog" / "9.gif").rename(folder / "dog" / "9.png")
    assert len(load_image_folder(folder).data) == 5


def test_another_size(folder):
    write(folder / "dog" / "9.png", shape=(3, 3, 3))
    assert_refused(folder, r"'cat/1.png' is \(6, 5\) and 'dog/9.png' is \(3, 3\)")


def test_an_encrypted_member(folder):
    archive = zipped(folder)
    add(archive, "dog/9.png", b"secret")
    content = bytearray(archive.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the flag in the list of members
    archive.write_bytes(content)
    assert_refused(archive, "'dog/9.png' cannot be read as an image .*password")


# --- leaving out ---


def test_rows_move_up_where_files_are_left_out(tmp_path):
    expected = [write(tmp_path / "a" / f"{i:03}.png", i) for i in range(150)]
    for i in (0, 70, 149):
        (tmp_path / "a" / f"{i:03}.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="3 of 150 files were left out. The first: 'a/000.png'"):
        bunch = load_image_folder(tmp_path, on_error="skip")
    kept = [i for i in range(150) if i not in (0, 70, 149)]
    assert bunch.filenames == [f"a/{i:03}.png" for i in kept]
    assert_array_equal(bunch.data, [expected[i] for i in kept])


def test_nothing_left(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 2 files were left out. The first: 'a/1.png'"):
        load_image_folder(tmp_path, on_error="skip")


def test_whole_folders_warn_of_nothing(folder):
    assert len(load_image_folder(folder, on_error="skip").data) == 4


def test_on_error_is_checked(folder):
    with pytest.raises(ValueError, match=r"on_error must be one of .* got 'ignore'"):
        load_image_folder(folder, on_error="ignore")


# --- damage ---

OURS = (ValueError, _image_files.UnusableFileError)


def mutated(content, rng):
    """Some bytes changed, cut out, doubled, or the end missing."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(max(1, len(content)))
        kind = rng.choice(["byte", "byte", "byte", "bit", "cut", "double", "end", "number"])
        if at == len(content):
            break
        if kind == "byte":
            content[at] = rng.randrange(256)
        elif kind == "bit":
            content[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[at : at + rng.randrange(1, 50)]
        elif kind == "double":
            content[at:at] = content[at : at + 50]
        elif kind == "number":
            content[at : at + 4] = struct.pack("<L", rng.choice([0, 1, 2**31, 2**32 - 1]))
        else:
            del content[at:]
    return bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_zip_files_load_or_are_refused(folder, tmp_path, method):
    Image.open(folder / "cat" / "1.png").save(folder / "cat" / "1.jpg")
    Image.open(folder / "cat" / "1.png").save(folder / "cat" / "1.tif", compression="tiff_lzw")
    Image.open(folder / "cat" / "1.png").save(folder / "cat" / "1.webp")
    whole = zipped(folder, method).read_bytes()
    file = tmp_path / "mutated.zip"
    outcomes = {"loaded": 0, "refused": 0}
    for seed in range(200):
        rng = random.Random(seed)
        file.write_bytes(mutated(whole, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, and ours of what was left out
            try:
                bunch = load_image_folder(file, on_error=rng.choice(["raise", "skip"]))
            except ValueError as error:
                assert type(error) in OURS  # noqa: PT017 (not a UnicodeDecodeError, say)
                outcomes["refused"] += 1
            else:
                assert len(bunch.data) == len(bunch.target) == len(bunch.filenames)
                outcomes["loaded"] += 1
    assert min(outcomes.values()) > 20


def test_damaged_images_load_or_are_refused(folder):
    """As in folders, where no checksum of a zip file stands before the decoder."""
    first = Image.open(folder / "cat" / "1.png")
    for suffix in ("jpg", "tif", "webp", "bmp", "ppm", "png"):
        file = folder / "dog" / f"9.{suffix}"
        first.save(file)
        whole = file.read_bytes()
        for seed in range(40):
            file.write_bytes(mutated(whole, random.Random(seed)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bunch = load_image_folder(folder, on_error="skip")
            assert len(bunch.data) in (4, 5)
        file.unlink()
