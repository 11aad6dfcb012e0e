"""The demonstration that newcomers run first."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sklearn_open import _demo


def _gain(seed):
    noisy, plain = (_demo.run(method, seed).group_accuracy for method in ("OPeN", "ERM"))
    return noisy[0] - plain[0]


def test_open_beats_plain_training_on_the_smallest_classes():
    gains = [_gain(seed) for seed in range(3)]
    # Measured over seeds 0 to 4: 0.11 to 0.21.
    assert np.mean(gains) > 0.05
    assert min(gains) > 0


def test_the_command(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(_demo.SETTINGS, "max_epochs", 4)
    _demo.main(["--seeds", "3", "4", "--output", str(tmp_path / "new")])
    out, err = capsys.readouterr()
    for word in ("smallest 20%", "ERM", "DRS", "OPeN against ERM", "open_demo.png"):
        assert word in out
    assert "seed 4: " in out
    assert err == ""  # the progress bar is for terminals
    chart = (tmp_path / "new" / "open_demo.png").read_bytes()
    assert chart.startswith(b"\x89PNG")
    assert len(chart) > 10_000
    record = json.loads((tmp_path / "new" / "open_demo.json").read_text())
    assert record["seeds"] == [3, 4]
    assert {name: np.shape(rows) for name, rows in record["scores"].items()} == dict.fromkeys(
        ("ERM", "DRS", "OPeN", "DRS, batch norm statistics of ERM"), (2, 6)
    )
    assert "With ERM's statistics the same" in out


def test_statistics_of_another_network_are_put_in_place(monkeypatch):
    monkeypatch.setitem(_demo.SETTINGS, "max_epochs", 4)
    erm, drs = _demo.run("ERM", 0), _demo.run("DRS", 0)
    own = _demo.with_statistics_of(drs.classifier, drs.classifier, 0)
    np.testing.assert_array_equal(own, [drs.accuracy, *drs.group_accuracy])
    before = drs.classifier.module_.state_dict()
    kept = {name: tensor.clone() for name, tensor in before.items()}
    swapped = _demo.with_statistics_of(drs.classifier, erm.classifier, 0)
    assert not np.array_equal(swapped, own)
    assert all(tensor.equal(kept[name]) for name, tensor in before.items())


def test_the_readme_shows_the_committed_result():
    root = Path(__file__).parents[1]
    record = json.loads((root / "results" / "demo.json").read_text())
    scores = {name: np.array(rows) for name, rows in record["scores"].items()}
    swapped = scores.pop("DRS, batch norm statistics of ERM")
    table = _demo._table(scores).split("\n\n")[-1]
    readme = " ".join((root / "README.md").read_text().split())
    assert table in (root / "README.md").read_text()
    assert f"reach {swapped[:, 0].mean():.1f} (smallest 20%: {swapped[:, 1].mean():.1f})" in readme


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"Run pip install matplotlib\.$"):
        _demo.main([])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_it_ends_when_asked_to(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-u", "-m", "sklearn_open", "--output", str(tmp_path / "demo")]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        while "OPeN " not in demo.stdout.readline():  # the last line before training
            assert demo.poll() is None
        time.sleep(0.5)
        demo.send_signal(signal.SIGTERM)  # SIGINT may be ignored where tests run
        start = time.perf_counter()
        _, err = demo.communicate(timeout=60)
    assert time.perf_counter() - start < 20
    # Python itself ends by SIGINT, which shells show as 130, where the signal met an exec().
    assert demo.returncode in (130, -signal.SIGINT), err
    assert "Stopped. Nothing was written" in err
    assert "Traceback" not in err
    assert list((tmp_path / "demo").iterdir()) == []
