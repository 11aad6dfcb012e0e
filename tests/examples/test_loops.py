"""The examples with a training loop of one's own run from any directory, and agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed_by(script, tmp_path, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), "--epochs", "4", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    counts, plain, noisy = done.stdout.splitlines()
    assert counts == "training images per class: [124  80  51  33  21  14   9   5   3   2]"
    assert plain.startswith("plain ")
    assert noisy.startswith("with noise ")
    assert plain.split()[1:] != noisy.split()[2:]
    return plain, noisy


@pytest.fixture(scope="module")
def plain_loop(tmp_path_factory):
    return printed_by("pytorch_loop.py", tmp_path_factory.mktemp("loop"))


def test_workers_change_nothing(plain_loop, tmp_path):
    assert printed_by("pytorch_loop.py", tmp_path, "--workers", "1") == plain_loop


def test_lightning_does_what_the_plain_loop_does(plain_loop, tmp_path):
    pytest.importorskip("lightning", reason="the example needs Lightning: pip install lightning")
    assert printed_by("lightning_loop.py", tmp_path) == plain_loop
