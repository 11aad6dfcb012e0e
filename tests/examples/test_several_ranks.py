"""The example of one training on several ranks, which is that of one process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from sklearn_open import OPeNClassifier

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "examples" / "several_ranks.py")
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]


def run(launcher, folder, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, SCRIPT, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_ranks_print_once_and_save_one_classifier(tmp_path):
    launcher = [*TORCHRUN, "--nproc-per-node=2"]
    printed = run(launcher, tmp_path, "--epochs", "4", "--save", "digits.safetensors")
    counts, loss, accuracy, groups = printed.splitlines()
    assert counts == "training images per class: [124  80  51  33  21  14   9   5   3   2]"
    assert re.fullmatch(r"loss of the last epoch: \d\.\d{6}", loss)
    assert re.fullmatch(r"accuracy: \d\d\.\d", accuracy)
    assert groups.startswith("by class group")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]
    clf = OPeNClassifier.load(tmp_path / "digits.safetensors")
    assert clf.predict(load_digits().images[:5]).shape == (5,)


@pytest.mark.slow
def test_two_ranks_do_what_one_process_does(tmp_path):
    launcher = [*TORCHRUN, "--nproc-per-node=2"]
    losses = [
        float(re.search(r"epoch: ([\d.]+)", run(start, tmp_path, "--epochs", "4"))[1])
        for start in (launcher, [])
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
