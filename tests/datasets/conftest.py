"""Lists and small images for the tests of data sets."""

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_open.datasets._image_files import is_image
from sklearn_open.datasets._image_lists import read_image_list


@pytest.fixture
def write_list():
    """Write lines "path label" to a list, gzipped if its name says so."""

    def write(file, entries):
        text = "".join(f"{path} {label}\n" for path, label in entries)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
        return file

    return write


@pytest.fixture
def write_images():
    """Write small JPEGs of different sizes, in one colour for each label."""

    def write(root, entries, size=12):
        for i, (path, label) in enumerate(entries):
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.RandomState(i).randint(0, 60, (size + i % 3, size + i % 5, 3))
            pixels[..., label % 3] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(file)

    return write


@pytest.fixture(scope="session")
def real_list(data_home):
    """Read one of the published lists; the test is skipped where it is absent."""

    def read(name, **kwargs):
        file = data_home / "splits" / f"{name}.txt.gz"
        if not file.exists():
            pytest.skip(f"no {file.name} in {file.parent} (set SKLEARN_OPEN_DATA)")
        return read_image_list(file, **kwargs)

    return read


@pytest.fixture
def tree(tmp_path):
    """Make a folder of small images, other files, and folders where a name ends with "/"."""

    def make(*names, folder="data"):
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for i, name in enumerate(names):
            file = root / name
            (file if name[-1:] == "/" else file.parent).mkdir(parents=True, exist_ok=True)
            if is_image(name):
                pixels = np.full((4, 5, 3), i % 256, np.uint8)
                Image.fromarray(pixels).save(file, "JPEG" if "jp" in file.suffix.lower() else "PNG")
            elif name[-1:] != "/":
                file.write_bytes(b"no image")
        return root

    return make


def zipped(folder):
    """Pack a folder, with an entry for each folder in it."""
    file = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return file


@pytest.fixture(params=[lambda folder: folder, zipped], ids=["folder", "zip"])
def source(request):
    """A folder as it is, and as a zip file."""
    return request.param


@pytest.fixture
def write_deep():
    """Write pixels of 16 bits (or others) to formats that Pillow does not write them to."""
    return lambda file, pixels, **settings: file.write_bytes(
        _encoded(file.suffix, pixels, settings)
    )


def _encoded(suffix, pixels, settings):
    encode = {".png": _png, ".tif": _tiff, ".pgm": _pnm, ".ppm": _pnm}[suffix]
    return encode(pixels if pixels.ndim == 3 else pixels[..., None], **settings)


def _png(pixels):
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    bits = 8 * pixels.itemsize
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(f">u{pixels.itemsize}"))
    chunks = [
        (b"IHDR", struct.pack(">LLBBBBB", width, height, bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
        for name, data in chunks
    )


def _pnm(pixels, highest=65535, plain=False):
    height, width, channels = pixels.shape
    magic = {(1, False): 5, (3, False): 6, (1, True): 2, (3, True): 3}[channels, plain]
    header = f"P{magic}\n{width} {height}\n{highest}\n".encode()
    if plain:
        return header + " ".join(map(str, pixels.ravel())).encode() + b"\n"
    return header + pixels.astype(">u2" if highest > 255 else "u1").tobytes()


def _tiff(pixels, order="<", packed=False, planar=False, tags=None):
    height, width, channels = pixels.shape
    signed = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    planes = np.moveaxis(pixels, 2, 0) if planar else pixels
    data = planes.astype(planes.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if packed else data
    plane = len(data) // channels if planar else len(data)
    entries = {
        256: width,
        257: height,
        258: [8 * pixels.itemsize] * channels,
        259: 8 if packed else 1,
        262: {1: 1, 2: 1, 3: 2, 4: 2}[channels],
        273: [i * plane for i in range(channels if planar else 1)],
        277: channels,
        278: height,
        279: [plane] * (channels if planar else 1),
        284: 2 if planar else 1,
        339: [signed] * channels,
        **({338: 2} if channels in (2, 4) else {}),
        **(tags or {}),
    }
    entries = {tag: value for tag, value in entries.items() if value is not None}
    start = 8 + 2 + 12 * len(entries) + 4
    n_outside = sum(4 * len(v) for v in entries.values() if isinstance(v, list) and len(v) > 1)
    entries[273] = [start + n_outside + offset for offset in entries[273]]
    table, outside = b"", b""
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, list) else [value]
        packed_values = struct.pack(f"{order}{len(values)}L", *values)
        if len(values) > 1:
            outside += packed_values
            packed_values = struct.pack(f"{order}L", start + len(outside) - 4 * len(values))
        table += struct.pack(f"{order}HHL", tag, 4, len(values)) + packed_values
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(f"{order}LH", 8, len(entries))
    return head + table + struct.pack(f"{order}L", 0) + outside + data
