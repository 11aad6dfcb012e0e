"""Lists and small images for the tests of data sets."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
