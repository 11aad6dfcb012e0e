"""The example of fine-tuning writes what it prints, and the page has its figures."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fine_tuning.md"


@pytest.fixture(scope="module")
def example():
    path = ROOT / "examples" / "fine_tuning.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record():
    return json.loads((ROOT / "results" / "fine_tuning.json").read_text())


def test_script_writes_what_it_prints(example, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(example, "TRAININGS", {"from scratch": None, "one rate": {}})
    monkeypatch.setattr(example, "SCHEDULES", {"before": example.SCHEDULES["before"]})
    path = tmp_path / "results" / "record.json"
    example.main(["--epochs", "2", "--seeds", "1", "--json", str(path)])
    record = json.loads(path.read_text())
    assert capsys.readouterr().out == example.table(record) + "\n"
    own = record["swapped_statistics"]["weights of plain, statistics of plain"]
    assert own == record["balanced_accuracy"]["before"]["from scratch"]["plain"]


def test_page_has_the_figures_of_the_result_file(example, record):
    page = " ".join(PAGE.read_text().split())
    for found in record["balanced_accuracy"].values():
        for training, of_rows in found.items():
            cells = [f"{100 * np.mean(s):.1f} ± {100 * np.std(s):.1f}" for s in of_rows.values()]
            assert f"| {training} | {' | '.join(cells)} |" in page
    for name in (("over-sampling", "plain"), ("plain", "over-sampling")):
        scores = record["swapped_statistics"]["weights of {}, statistics of {}".format(*name)]
        assert f"{100 * np.mean(scores):.1f}" in page
    assert ", ".join(map(str, record["class_counts"])) in page


def test_what_the_page_says_of_the_figures(record):
    before, after = (record["balanced_accuracy"][name] for name in ("before", "after"))

    def mean(found, training, rows):
        return np.mean(found[training][rows])

    for training in after:
        assert mean(after, training, "OPeN") > mean(after, training, "over-sampling")
    for found in (before, after):
        for rows in ("plain", "over-sampling", "OPeN"):
            best = max(found, key=lambda training: mean(found, training, rows))
            assert best == "from scratch"
