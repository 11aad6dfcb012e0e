"""The reproduction's scripts, on images made here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "reproduction"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of train/<class>/ and test/<class>/ with ten classes, 100 and 2 images each."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for subset, n in (("train", 100), ("test", 2)):
        for c in range(10):
            home = folder / subset / f"class{c}"
            home.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(home / f"{i:03d}.png")
    return folder


def run(script, cwd, *arguments):
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_result_has_all_that_repeats_it_and_is_not_computed_twice(images, tmp_path):
    for method in ("erm", "open-aux"):
        given = ("--method", method, "--epochs", 3, "--data", images, "--verbose", 0)
        run("run.py", tmp_path, *given)
    path = tmp_path / "results" / "reproduction" / "cpu_cifar10_ir100_cutout_open-aux_seed0.json"
    result = json.loads(path.read_text())
    assert result["class_counts"][0] == 100
    assert result["class_counts"][-1] == 1
    assert len(result["train_loss"]) == 3
    assert len(result["class_accuracy"]) == 10
    assert result["parameters"]["norm"] == "'aux'"
    assert result["parameters"]["random_state"] == "0"
    assert "exists" in run("run.py", tmp_path, *given)

    table = run("table.py", tmp_path, tmp_path / "results" / "reproduction")
    assert "cifar10, ratio 100, cutout, scale cpu, 3 epochs" in table
    assert "| 79.6 ± 0.2 |" in table
    assert "| open-aux | 1 |" in table
