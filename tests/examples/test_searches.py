"""The examples of searches on several processes run, from any directory, and agree."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed_by(script, folder, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def scores_in(printed):
    found = re.findall(r"^(\d\.\d{3}) (\{.*\})$", printed, re.MULTILINE)
    assert len(found) == 6
    assert re.search(r"^best: \{'delta'", printed, re.MULTILINE)
    return found


@pytest.fixture
def example(monkeypatch):
    """The example of Optuna, as a module that its classes are found in."""
    pytest.importorskip("optuna", reason="the example needs Optuna: pip install optuna")
    path = ROOT / "examples" / "search_optuna.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_trials_of_optuna_are_pruned_and_share_epochs(example, tmp_path, capsys):
    shared = ["--storage", f"sqlite:///{tmp_path}/search.db", "--memory", str(tmp_path / "memory")]
    example.main(["--epochs", "6", "--trials", "5", *shared])
    printed = capsys.readouterr().out
    trials = re.findall(r"^ +\d (\w+) +epoch +(\d+) (\S+) \{", printed, re.MULTILINE)
    assert len(trials) == 5
    for state, epoch, score in trials:
        assert epoch == "6" if state == "COMPLETE" else state == "PRUNED"
        assert int(epoch) > 3  # the epochs that trials have in common prune nothing
        assert 0.5 < float(score) < 1
    assert "PRUNED" in dict(trials_of[:2] for trials_of in trials)
    assert "epochs before start_epoch were trained 2 times" in printed  # once for each rate
    example.main(["--epochs", "6", "--trials", "1", *shared])
    again = capsys.readouterr().out
    assert again.splitlines()[:5] == printed.splitlines()[:5]  # the study goes on
    assert "were trained 2 times" in again


@pytest.mark.slow
def test_dask_and_ray_find_the_same(tmp_path):
    pytest.importorskip("distributed", reason="the example needs Dask: pip install distributed")
    on_dask = scores_in(printed_by("search_dask.py", tmp_path, "--epochs", "5"))
    pytest.importorskip("ray", reason="the example needs Ray: pip install ray")
    assert scores_in(printed_by("search_ray.py", tmp_path, "--epochs", "5")) == on_dask


@pytest.mark.slow
def test_a_cluster_is_found_by_its_address(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        found = scores_in(
            printed_by(
                *("search_dask.py", tmp_path, "--epochs", "5"),
                *("--address", cluster.scheduler_address, "--folder", str(tmp_path / "shared")),
            )
        )
    assert found == scores_in(printed_by("search_dask.py", tmp_path, "--epochs", "5"))
    assert (tmp_path / "shared" / "images.npy").exists()
