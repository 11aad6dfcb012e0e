"""A folder of images, as a user has it, and comparisons of it that end quickly."""

import warnings

import numpy as np
import pytest
from PIL import Image

from sklearn_open._command import compare, run


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Fifty-two images of three classes, 12 x 12, two pictures of each object."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.RandomState(0)
    for label, (name, count) in enumerate({"good": 28, "crack": 14, "hole": 10}.items()):
        (root / name).mkdir()
        for i in range(count):
            pixels = rng.randint(0, 90, (12, 12, 3))
            pixels[4:8, 4:8, label] += 120
            file = root / name / f"exp{i % 2}_num_{name[0]}{i // 2}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    return root


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in this process; return its status, and what it printed.

    Methods and epochs are few; whatever is given on the command line comes last, and holds.
    """
    settings = compare.settings_of
    monkeypatch.setattr(compare, "settings_of", lambda *args: {**settings(*args), "max_epochs": 3})

    def call(*argv):
        if argv[0] == "compare":
            argv = ("compare", *argv[1:], "--jobs", "1")
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # they are notes on stderr
            try:
                status = run.run([str(one) for one in argv])
            except SystemExit as error:  # of wrong arguments
                status = error.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call
