"""What the tests of scripts share."""

import importlib
import sys
from pathlib import Path

import pytest

REPRODUCTION = Path(__file__).parents[2] / "examples" / "reproduction"


@pytest.fixture
def script(monkeypatch):
    """A function that imports one of the reproduction's scripts."""
    monkeypatch.syspath_prepend(str(REPRODUCTION))
    yield importlib.import_module
    for path in REPRODUCTION.glob("*.py"):
        sys.modules.pop(path.stem, None)
