"""Every benchmark runs and reports what it should. How fast anything is, is not tested."""

import json
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "benchmarks"
VERSIONS = {
    "sklearn_open",
    "torch",
    "torchvision",
    "skorch",
    "scikit-learn",
    "imbalanced-learn",
    "numpy",
    "kornia",
    "python",
}
MACHINE = {"cpu", "cores", "threads", "memory_gib", "gpu", "bf16"}


def results_of(script, tmp_path, *arguments):
    """Run a benchmark, check what all of them report, and return its results."""
    out = tmp_path / "new" / "results.json"
    command = [sys.executable, str(FOLDER / script), "--quick", "--out", str(out), *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    record = json.loads(out.read_text())
    assert record["script"] == f"examples/benchmarks/{script}"
    assert record["arguments"]["quick"] is True
    assert record["machine"].keys() == MACHINE
    assert record["versions"].keys() == VERSIONS
    return record["results"]


def check_race(result, contestants, ratios):
    assert result["contestants"].keys() == contestants
    assert result["ratios"].keys() == ratios
    for contestant in result["contestants"].values():
        assert contestant["median_seconds"] > 0
        assert contestant["rate"] > 0
    for ratio in result["ratios"].values():
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"] < math.inf


def test_step(tmp_path):
    results = results_of("step.py", tmp_path)
    assert [result["precision"] for result in results] == ["float32", "auto"]
    names = {"plain", "open head", "open all"}
    ratios = {"open head / plain", "open all / plain"}
    listing = {"masked listing / plain", "masked listing / open head"}
    check_race(results[0], names | {"masked listing"}, ratios | listing)
    check_race(results[1], names, ratios)


@pytest.mark.slow
def test_losses(tmp_path):
    results = results_of("step.py", tmp_path, "--losses")
    names = {"balanced_softmax", "ldam", "lade", "label_aware_smoothing", "focal"}
    names |= {"class_weight", "mixup", "cross_entropy again"}
    for result in results:
        check_race(result, names | {"cross_entropy"}, {f"{n} / cross_entropy" for n in names})


@pytest.mark.slow
def test_translation(tmp_path):
    results = results_of("translation.py", tmp_path)
    assert [result["precision"] for result in results] == ["float32", "auto"]
    pairs = {"m2m / plain", "bare passes / plain", "m2m / bare passes"}
    for result in results:
        check_race(result, {"m2m", "plain", "bare passes"}, pairs)


@pytest.mark.slow
def test_epoch(tmp_path):
    results = results_of("epoch.py", tmp_path)
    assert [result["augment"] for result in results] == ["flip_crop", "simclr"]
    for result in results:
        assert result["noise_share"] == pytest.approx(0.25, abs=0.02)
        pairs = {f"sklearn_open {p} / bare network {p}" for p in ("auto", "float32")}
        names = ("auto", "float32", "float32 delta=0")
        pairs |= {f"sklearn_open {name} / ordinary skorch" for name in names}
        check_race(result, {name for pair in pairs for name in pair.split(" / ")}, pairs)


def test_time_to_accuracy(tmp_path):
    (result,) = results_of("time_to_accuracy.py", tmp_path)
    check_race(result, {"cifar10_lt_fast", "cpu_wrn16"}, {"cifar10_lt_fast / cpu_wrn16"})
    assert result["image_passes"]["cpu_wrn16"] == 62 * 12406
    assert 0 < result["passes_ratio"] < 0.5


def test_time_to_accuracy_is_of_the_training_whose_accuracy_is_known(script, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    known = script("experiments").Experiment(method="open", scale="cpu_wrn16").classifier()
    raced = runpy.run_path(str(FOLDER / "time_to_accuracy.py"))["classifiers"]()["cpu_wrn16"]
    given, expected = (clf.get_params(deep=False) for clf in (raced, known))
    del expected["random_state"], given["random_state"]
    assert given == expected


@pytest.mark.slow
def test_search(tmp_path):
    (result,) = results_of("search.py", tmp_path)
    check_race(result, {"with memory", "without"}, {"with memory / without"})
    assert 0 < result["ideal_ratio"] < 1
    assert len(result["scores"]["split0_test_score"]) == len(result["deltas"]) == 5


@pytest.mark.slow
def test_predict(tmp_path):
    (result,) = results_of("predict.py", tmp_path)
    ours = {"sklearn_open auto", "sklearn_open float32"}
    check_race(result, ours | {"skorch"}, {f"{name} / skorch" for name in ours})
    assert result["largest_difference"]["float32"] < 1e-4


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory(tmp_path):
    results = results_of("memory.py", tmp_path)
    assert [result["kind"] for result in results] == ["few images", "memory map", "array"]
    for result in results:
        assert result["VmHWM"] >= result["RssAnon"] > 0
    assert all("copies" in result for result in results[1:])


@pytest.mark.slow
def test_roofline(tmp_path):
    results = results_of("roofline.py", tmp_path)
    assert [result["precision"] for result in results] == ["float32", "auto"]
    for result in results:
        assert result["gflop_per_image"]["open head"] < result["gflop_per_image"]["plain"]
        assert result["plain"]["share_of_peak"] > 0
        assert sum(result["profile"].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_parity(tmp_path):
    results = {result["variant"]: result for result in results_of("parity.py", tmp_path)}
    assert results.keys() == {"float32", "auto", "auto, compiled", "auto, from memory"}
    runs = [results[name]["runs"] for name in ("auto", "auto, from memory")]
    plain, remembered = ([run["accuracy"] for run in one] for one in runs)
    assert plain == remembered


@pytest.mark.slow
def test_ranks(tmp_path):
    (result,) = results_of("ranks.py", tmp_path)
    one, threads, ranks = "1 process, 1 thread", "1 process, 2 threads", "2 ranks, 1 thread each"
    pairs = {f"{ranks} / {one}", f"{ranks} / {threads}", f"{threads} / {one}"}
    check_race(result, {one, threads, ranks}, pairs)
    # Augmentation is that of each rank, so losses are alike, not the same.
    assert result["first_losses"][ranks] == pytest.approx(result["first_losses"][one], rel=0.01)
    assert result["weights_differ_by"]["batches of 128, 1 epochs"] < 1e-12
    assert result["weights_differ_by"]["batches of 5, 1 epochs"] < 1e-9


def test_traffic(tmp_path):
    results = {r["step"]: r for r in results_of("traffic.py", tmp_path)}
    assert results.keys() == {"plain", "noise, head", "noise, all"}
    for step, result in results.items():
        layers, channels, sent = result["norm_layers"], result["norm_channels"], result["sent"]
        forward, backward = 1 + (step != "plain"), 1 + (step == "noise, all")
        assert sent["norm, forward"] == {
            "calls": forward * layers,
            "bytes": forward * 3 * 4 * channels,
        }
        assert sent["norm, backward"] == {
            "calls": backward * layers,
            "bytes": backward * 2 * 4 * channels,
        }
        assert sent["logits"] == {"calls": 1, "bytes": 4 * result["rows"] * result["classes"]}
        assert sent["gradients"]["bytes"] == pytest.approx(4 * result["parameters"], rel=1e-3)


@pytest.mark.slow
def test_import_time(tmp_path):
    (result,) = results_of("import_time.py", tmp_path)
    names = {"sklearn_open", "its requirements"}
    check_race(result, names, {"sklearn_open / its requirements"})
    loaded = result["optional_libraries_loaded"]
    assert set(loaded["sklearn_open"]) <= set(loaded["its requirements"])


@pytest.mark.slow
def test_gpu(tmp_path):
    results = {r.pop("section"): r for r in results_of("gpu.py", tmp_path)}
    assert not [
        (name, r) for name, r in results.items() if {"error", "errors", "skipped"} & r.keys()
    ]
    assert results["bf16 matrix peak"]["tflops"] > 0
    operations = results["operations"]["gflop_per_image"]
    assert 0 < operations["open head"] < operations["open all"] <= operations["plain"]
    names = {"plain", "open head", "open all"}
    for section in ("steps, compiled", "steps, reduce-overhead"):
        check_race(results[section], names, {"open head / plain", "open all / plain"})
    for augment in ("flip_crop", "simclr"):
        assert results[f"epochs, {augment}, eager"]["projected_minutes_of_200_epochs"] > 0
        shares = results[f"kernels, {augment}"]["share_by_group"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert shares["convolution and matrix product"] > 0


@pytest.mark.slow
def test_budget(tmp_path):
    """One file for each data set; what is there is not trained again, and makes the tables."""
    script, out = FOLDER / "budget.py", tmp_path / "out"
    command = [sys.executable, str(script), "--quick", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for n_lines in (2, 0):
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == n_lines
    record = json.loads((out / "tiles.json").read_text())
    assert record["machine"].keys() == MACHINE
    assert record["versions"].keys() == VERSIONS
    (result,) = record["results"]
    names = ("data", "method", "batch", "rows")
    assert [result[name] for name in names] == ["tiles", "erm", 64, 82]
    tables = runpy.run_path(str(FOLDER / "budget_tables.py"))["tables"](out)
    assert len(tables["ladder erm"]) == 4


@pytest.mark.slow
def test_dask_worker(tmp_path):
    pytest.importorskip("distributed", reason="needs Dask: pip install distributed")
    results = results_of("dask_worker.py", tmp_path)
    faults = {result["kind"]: result["faults"] for result in results}
    assert faults.keys() == {"outside", "in a worker", "in a worker, given back"}
    # A step of SmallCNN fills a few thousand pages anew where nothing is kept.
    assert faults["in a worker"] < faults["in a worker, given back"] / 10
    assert all(len(result["all_faults"]) == 1 for result in results)
