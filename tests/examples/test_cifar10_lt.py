"""The CIFAR-10-LT example runs on an image folder and writes what is needed to repeat it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "cifar10_lt.py"


def test_all_methods_on_a_small_folder(tmp_path):
    rng = np.random.RandomState(0)
    for subset in ("train", "test"):
        for c in range(10):
            folder = tmp_path / "images" / subset / f"class{c}"
            folder.mkdir(parents=True)
            for i in range(6):
                pixels = rng.randint(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    out = tmp_path / "new" / "results.json"
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path / "images"), "--method", "all"]
    command += ["--epochs", "2", "--imbalance-ratio", "3", "--json", str(out), "--verbose", "0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=env)
    record = json.loads(out.read_text())
    assert [result["method"] for result in record["results"]] == ["erm", "drs", "open"]
    assert record["class_counts"][0] == 6
    assert record["arguments"]["data"] == "images"
    losses = [result["train_loss"][0] for result in record["results"]]
    assert losses == [losses[0]] * 3  # before the start all methods are one
    for result in record["results"]:
        assert f"| {result['method']} | {100 * result['accuracy']:.1f} |" in done.stdout
