"""The scripts around a comparison from the command line."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from tests.comparison.test_result import SCORES, made

matplotlib.use("agg")
EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_picture_comes_from_numbers_alone():
    found = made(SCORES)
    drawn = script("draw_comparison").display_of(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_allclose(drawn.scores, 100 * SCORES)
    np.testing.assert_allclose(drawn.standard_errors, 100 * found.standard_errors_)
    assert drawn.columns == ["hole", "crack", "good"]
    assert list(drawn.plot().order_) == [2, 1, 0]


def test_the_committed_picture_is_of_committed_results():
    for file in sorted((EXAMPLES.parent / "results" / "comparisons").glob("*.json")):
        results = json.loads(file.read_text())
        assert results["command"].startswith("python -m sklearn_open compare ")
        script("draw_comparison").display_of(results)


def test_counts_have_a_long_tail():
    counts = script("long_tailed_folder").counts_of(2000, 10, 100.0)
    assert sum(counts) == pytest.approx(2000, abs=5)
    assert counts[0] / counts[-1] == pytest.approx(100, rel=0.1)
    assert counts == sorted(counts, reverse=True)


def test_a_folder_is_written(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for label in ("cat", "dog"):
            for i in range(20):
                archive.writestr(f"train/{label}/{i:04}.jpg", b"jpeg")
    subprocess.run(
        [sys.executable, EXAMPLES / "long_tailed_folder.py", tmp_path / "images.zip", "20"]
        + [tmp_path / "out", "--ratio", "4"],
        check=True,
        capture_output=True,
    )
    assert [len(list((tmp_path / "out" / one).iterdir())) for one in ("cat", "dog")] == [16, 4]
