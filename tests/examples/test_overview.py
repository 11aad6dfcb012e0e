"""The table of all methods, and that of trials, from results made here."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "examples" / "reproduction"


def write(folder, method, seed, by_tau, *, validation=False, **more):
    """Write what run.py would: overall and smallest accuracy by strength; that of 0 as trained."""
    entry = {
        tau: {"accuracy": overall, "group_accuracy": [smallest, *[overall] * 4]}
        for tau, (overall, smallest) in by_tau.items()
    }
    experiment = {"method": method, "seed": seed, "scale": "fast", "validation": validation}
    experiment |= more
    name = "_".join(map(str, (*("validation",) * validation, method, seed, *more.values())))
    result = {
        "name": name,
        "experiment": {"augment": None, "sigma": None, **experiment},
        "parameters": {},
        "data": {"train": "a", "test": "b"},
        "machine": {"arithmetic": "float32"},
        "logit_adjusted": entry,
        **entry["0.0"],
    }
    (folder / f"{name}.json").write_text(json.dumps(result))


@pytest.fixture
def results(tmp_path):
    """OPeN and DRS of two seeds; strength 0.5 is best for OPeN on validation rows, not for DRS."""
    for seed, shift in ((0, 0.0), (1, 0.02)):
        write(tmp_path, "open", seed, {"0.0": (0.70 + shift, 0.5), "0.5": (0.74 + shift, 0.7)})
        write(tmp_path, "drs", seed, {"0.0": (0.68 + shift, 0.4), "0.5": (0.80 + shift, 0.8)})
    write(tmp_path, "open", 0, {"0.0": (0.6, 0.5), "0.5": (0.7, 0.6)}, validation=True)
    write(tmp_path, "drs", 0, {"0.0": (0.6, 0.5), "0.5": (0.6, 0.6)}, validation=True)
    write(tmp_path, "rs", 0, {"0.0": (0.5, 0.5), "0.5": (0.4, 0.6)})
    return tmp_path


def test_strength_is_the_best_of_validation_rows_and_of_equals_the_weakest(script, results):
    runs, overview = script("runs"), script("overview")
    settings = runs.load(results)
    (setting,) = [one for one in settings if not one.validation]
    validation = overview.twin_of(setting, settings)
    assert validation is not None
    assert overview.twin_of(validation, settings) is None
    assert overview.chosen_tau(setting, validation, runs.Kind("open")) == 0.5
    assert overview.chosen_tau(setting, validation, runs.Kind("drs")) == 0  # a tie
    assert overview.chosen_tau(setting, validation, runs.Kind("rs")) is None
    assert overview.chosen_tau(setting, None, runs.Kind("open")) is None


def test_rows_have_means_errors_and_paired_differences(script, results):
    runs, overview = script("runs"), script("overview")
    settings = runs.load(results)
    (setting,) = [one for one in settings if not one.validation]
    validation = overview.twin_of(setting, settings)
    rows = overview.overview(setting, validation, ["rs", "drs", "open", "erm"])
    assert [row[0] for row in rows] == ["rs", "drs", "open"]
    rs, drs, open_ = rows
    assert rs[1:] == ["1", "50.0 / 50.0", "", "", "-20.0 / +0.0", ""]  # it has no tau
    assert drs[3:5] == ["0", "69.0 ± 1.0 / 40.0 ± 0.0"]
    assert drs[5:] == ["-2.0 ± 0.0 / -10.0 ± 0.0", "-6.0 ± 0.0 / -30.0 ± 0.0"]
    assert open_[1:3] == ["2", "71.0 ± 1.0 / 50.0 ± 0.0"]
    assert open_[3:] == ["0.5", "75.0 ± 1.0 / 70.0 ± 0.0", "+4.0 ± 0.0 / +20.0 ± 0.0", ""]


def test_augmentations_have_rows_and_strengths_of_their_own(script, results):
    more = {"augment": "cutout"}
    write(results, "open", 0, {"0.0": (0.6, 0.3), "0.5": (0.65, 0.4)}, **more)
    write(results, "erm", 0, {"0.0": (0.5, 0.1), "0.5": (0.55, 0.2)}, **more)
    write(results, "erm", 0, {"0.0": (0.5, 0.1), "0.5": (0.55, 0.2)}, validation=True, **more)
    settings = script("runs").load(results)
    (setting,) = [one for one in settings if not one.validation]
    overview = script("overview")
    names = ["erm", "drs", "open"]
    rows = overview.overview(setting, overview.twin_of(setting, settings), names)
    assert [row[0] for row in rows] == ["drs", "open", "erm, cutout", "open, cutout"]
    assert rows[2][3:] == ["0.5", "55.0 / 20.0", "-5.0 / -10.0", ""]  # OPeN has no tau
    assert rows[3][1:] == ["1", "60.0 / 30.0", *[""] * 4]


def test_validation_runs_of_other_parameters_choose_nothing(script, results):
    runs, overview = script("runs"), script("overview")
    path = results / "validation_open_0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "parameters": {"lr": "0.2"}}))
    settings = runs.load(results)
    (setting,) = [one for one in settings if not one.validation]
    with pytest.raises(ValueError, match="open: validation runs have other parameters"):
        overview.overview(setting, overview.twin_of(setting, settings), ["drs", "open"])


def test_other_grounds_have_the_strengths_of_the_first(script, results):
    grounds = script("grounds").grounds
    (results / "validation_drs_0.json").unlink()  # so that it has no column
    for seed in (0, 1):
        write(results, "erm", seed, {"0.0": (0.6, 0.3), "1.0": (0.7 + seed / 50, 0.6)})
    for more in ({"module": "timm-resnet10t"}, {"augment": "none"}):
        write(results, "erm", 1, {"0.0": (0.5, 0.1), "1.0": (0.6, 0.4)}, **more)
        write(results, "erm", 2, {"0.0": (0.9, 0.9), "1.0": (0.9, 0.9)}, **more)  # no partner
        write(results, "open", 1, {"0.0": (0.55, 0.3), "0.5": (0.62, 0.5)}, **more)
    with pytest.raises(SystemExit, match="no validation runs"):
        grounds(results)
    write(results, "erm", 0, {"0.0": (0.5, 0.5), "1.0": (0.6, 0.6)}, validation=True)
    header, _, first, *others = grounds(results)
    assert header.startswith("| overall / smallest 20% | seeds | erm | erm, tau 1 | open | open, ")
    assert "| 2 | 60.0 ± 0.0 / 30.0 ± 0.0 | 71.0 ± 1.0 / 60.0 ± 0.0 | 71.0 ± 1.0 /" in first
    assert first.endswith("| +11.0 ± 1.0 / +20.0 ± 0.0 | +4.0 ± 0.0 / +10.0 ± 0.0 |")
    numbers = " | 1 | 50.0 / 10.0 | 60.0 / 40.0 | 55.0 / 30.0 | 62.0 / 50.0 | +5.0 / +20.0 "
    assert others == [
        f"| {title}{numbers}| +2.0 / +10.0 |" for title in ("resnet10t of timm", "no augmentation")
    ]


def test_other_grounds_have_columns_of_what_validation_chose_a_strength_for(script, results):
    """With DRS, and at another scale."""
    more = {"scale": "fast_narrow"}
    for method, chosen in (("erm", "1.0"), ("drs", "0.5"), ("open", "0.5")):
        found = {"0.0": (0.5, 0.2), chosen: (0.6, 0.4)}
        write(results, method, 0, found, validation=True, **more)
        write(results, method, 0, found, **more)
    header, _, first = script("grounds").grounds(results, "fast_narrow")
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns[2:6] == ["erm", "erm, tau 1", "drs", "drs, tau 0.5"]
    assert columns[8:10] == ["open - erm", "open - erm, each with its tau"]
    assert columns[10:] == ["open - drs", "open - drs, each with its tau"]
    assert first.count("| 50.0 / 20.0 | 60.0 / 40.0 ") == 3
    for method, chosen in (("erm", "1.0"), ("open", "0.5")):  # and no DRS
        found = {"0.0": (0.3, 0.1), chosen: (0.4, 0.2)}
        write(results, method, 0, found, augment="none", **more)
    *_, other = script("grounds").grounds(results, "fast_narrow")
    cells = [cell.strip() for cell in other.split("|")[1:-1]]
    assert cells[0] == "no augmentation"
    assert cells[4:6] == cells[10:] == ["", ""]
    assert cells[8:10] == ["+0.0 / +0.0"] * 2


def test_a_strength_that_some_seeds_lack_is_refused(script, results):
    write(results, "open", 2, {"0.0": (0.7, 0.5)})
    runs, overview = script("runs"), script("overview")
    settings = runs.load(results)
    (setting,) = [one for one in settings if not one.validation]
    with pytest.raises(ValueError, match=r"open: some of its test results lack tau=0\.5"):
        overview.overview(setting, overview.twin_of(setting, settings), ["open"])


def test_table_prints_it(script, results):
    table, runs, overview = script("table"), script("runs"), script("overview")
    settings = runs.load(results)
    (setting,) = [one for one in settings if not one.validation]
    made = table.tables(setting, overview.twin_of(setting, settings))
    lines = made["The field"]
    assert len(lines) == 2 + 3
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "Methods" not in made  # the same at fixed strengths: where validation has chosen none
    for seed in (0, 1):
        path = results / f"drs_{seed}.json"
        found = {"0.0": (0.6, 0.4), "0.5": (0.8, 0.8), "1.0": (0.7, 0.9 + seed / 50)}
        path.unlink()
        write(results, "drs", seed, found)
    (setting,) = [one for one in runs.load(results) if not one.validation]
    made = table.tables(setting)
    assert "The field" not in made
    (drs,) = made["Methods"][2:]
    numbers = "60.0 ± 0.0 | 40.0 ± 0.0 | 80.0 ± 0.0 | 80.0 ± 0.0 | 70.0 ± 0.0 | 91.0 ± 1.0"
    assert drs == f"| drs | 2 | {numbers} |"


def test_trials_are_the_recipe_with_one_change(script):
    trials, experiments = script("trials"), script("experiments")
    for name, (method, changes) in trials.TRIALS.items():
        experiment = trials.experiment_of(name)
        assert experiment.validation
        given = experiment.classifier().set_params(**trials.COMMON, **changes)
        recipe = experiments.OPeNClassifier.from_recipe(
            "cifar10_lt_fast",
            **{**experiments.METHODS[method], "max_epochs": 16, "random_state": 0, **changes},
            warmup_epochs=2,
        )
        assert given.get_params(deep=False) == recipe.get_params(deep=False), name
    with torch.no_grad():
        assert trials.AirCNN(num_classes=3, width=4)(torch.rand(2, 3, 32, 32)).shape == (2, 3)


def test_trials_are_printed_in_order_with_their_best_strength(script, tmp_path):
    trials = script("trials")
    assert trials.table(tmp_path) == []
    for name in ("air_cnn, cutout", "recipe"):
        by_tau = {"0.0": (0.5, 0.25), "0.5": (0.6, 0.5), "1.0": (0.6, 0.75)}
        result = {
            tau: {"accuracy": accuracy, "group_accuracy": [smallest]}
            for tau, (accuracy, smallest) in by_tau.items()
        }
        path = trials.path_of(name, tmp_path)
        path.write_text(json.dumps({"logit_adjusted": result}))
    cells = "50.0 | 25.0 | 0.5 | 60.0 | 50.0"
    assert trials.table(tmp_path)[2:] == [f"| recipe | {cells} |", f"| air_cnn, cutout | {cells} |"]
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.json", "air_cnn_cutout.json"}


def test_a_trial_is_made_once(script, tmp_path, monkeypatch):
    trials = script("trials")
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40) % 10
    monkeypatch.setattr(trials.Experiment, "data", lambda *_: (X, y, X[:20], y[:20]))
    small = {"module": "SmallCNN", "max_epochs": 2}
    monkeypatch.setitem(trials.TRIALS, "recipe", ("balanced-softmax", small))
    args = Namespace(data=None, out=tmp_path / "out", work=tmp_path / "work", verbose=0)
    trials.make("recipe", args)
    (path,) = args.out.iterdir()
    result = json.loads(path.read_text())
    assert result["experiment"]["validation"]
    assert result["image_passes"] == 80
    before = path.stat().st_mtime_ns
    trials.make("recipe", args)
    assert path.stat().st_mtime_ns == before
    monkeypatch.setitem(trials.TRIALS, "recipe", ("balanced-softmax", {**small, "lr": 0.01}))
    with pytest.raises(SystemExit, match="was made with another lr"):
        trials.make("recipe", args)
