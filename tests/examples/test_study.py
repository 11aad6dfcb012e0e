"""The study of what noise does to a network, on networks and numbers made here."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.metrics import equal_group_accuracy
from tests.examples.test_reproduction import assert_same_pictures

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "reproduction"
COUNTS = np.array([40, 20, 12, 8, 6])


@pytest.fixture
def measures(script):
    return script("measures")


def images(counts, seed):
    """Grey images whose brightness is that of their class."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    noise = rng.integers(0, 60, (len(y), 8, 8))
    return (40 * y[:, None, None] + noise).astype(np.uint8), y


# --- functions of arrays ---


def test_accuracies_are_of_classes_by_their_training_rows(measures):
    y = np.repeat(np.arange(5), 4)
    predicted = np.where(np.arange(20) % 4 < 5 - y, y, (y + 1) % 5)
    found = measures.accuracies(predicted, y, COUNTS[::-1])
    by_class = [np.mean(predicted[y == c] == c) for c in range(5)]
    assert found == {
        "overall": np.mean(predicted == y),
        "smallest": by_class[0],
        "largest": by_class[4],
        "worst_class": min(by_class),
    }


def test_strengths_move_accuracy_from_head_to_tail_and_the_curve_has_them_all(measures):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 100)
    logits = 2 * np.eye(5)[y] + rng.normal(size=(500, 5)) + np.log(COUNTS)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    plain, adjusted = (measures.at_strength(proba, y, COUNTS, tau) for tau in (0.0, 1.0))
    assert plain["overall"] == np.mean(logits.argmax(axis=1) == y)
    right = np.mean((logits - np.log(COUNTS)).argmax(axis=1) == y)
    assert adjusted["overall"] == right > plain["overall"]
    assert adjusted["smallest"] > plain["smallest"]
    assert adjusted["largest"] < plain["largest"]
    curve = measures.trade_off(proba, y, COUNTS)
    assert np.all(np.diff(curve["smallest"]) >= 0)
    for tau, one in ((0.0, plain), (1.0, adjusted)):
        at = curve["tau"].index(tau)
        assert {part: curve[part][at] for part in ("overall", "smallest", "largest")} == {
            part: one[part] for part in ("overall", "smallest", "largest")
        }


def test_the_curve_has_the_strengths_of_the_results(script, measures):
    assert set(script("run").TAUS) <= set(measures.STRENGTHS)


def test_a_prior_moves_no_ranking(measures):
    rng = np.random.default_rng(0)
    counts = np.array([100, 50, 20, 5, 1])
    y = rng.integers(5, size=400)
    logits = rng.normal(size=(400, 5)) + 1.5 * np.eye(5)[y]
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = measures.ranking(proba, y, counts)
    assert 0.7 < found["pairwise_auc"] < 0.95
    shifted = proba / counts  # of other sums
    for other in (shifted, shifted / shifted.sum(1, keepdims=True)):
        assert measures.ranking(other, y, counts) == pytest.approx(found, abs=1e-12)
    # the smallest fifth alone: class 4 told apart by nothing
    blind = proba.copy()
    blind[:, 4] = 0.1
    assert (
        measures.ranking(blind, y, counts)["pairwise_auc_smallest"] < found["pairwise_auc_smallest"]
    )


def test_a_perfect_ranking_is_one_and_its_reverse_is_none(measures):
    y = np.repeat([0, 1], 50)
    score = np.linspace(0.1, 0.9, 100)
    proba = np.column_stack([1 - score, score])
    assert measures.ranking(proba, y, np.array([5, 1]))["pairwise_auc"] == 1
    assert measures.ranking(proba[::-1], y, np.array([5, 1]))["pairwise_auc"] == 0


def test_probes_tell_what_is_linear_in_features(measures):
    rng = np.random.default_rng(0)
    y, y_test = np.repeat(np.arange(5), COUNTS), np.repeat(np.arange(5), 20)
    linear, linear_test = (
        3 * np.eye(5)[labels] + rng.normal(size=(len(labels), 5)) for labels in (y, y_test)
    )
    assert measures.trained_probe(linear, y, linear_test, y_test)["overall"] > 0.8
    assert measures.crossed_probe(linear_test, y_test, COUNTS)["overall"] > 0.8
    chance = rng.normal(size=(100, 5))
    assert measures.crossed_probe(chance, y_test, COUNTS)["overall"] < 0.4


# --- trained networks ---


@pytest.fixture
def studied(script, tmp_path, monkeypatch):
    """A study of three small networks, its experiments, arguments and data."""
    experiments, run, study = script("experiments"), script("run"), script("study")
    data = (*images(COUNTS, 0), *images([10] * 5, 1))
    args = argparse.Namespace(work=tmp_path / "work", results=tmp_path)
    made = [experiments.Experiment(method=name) for name in ("erm", "drs", "balanced-softmax")]
    for one in made:
        small = {"module__depth": 10, "module__widen_factor": 1, "max_epochs": 3, "batch_size": 32}
        clf = one.classifier(**small, augment=None, verbose=0).fit(*data[:2])
        clf.save(run.model_path(args.work, one))
        losses = [round(epoch["train_loss"], 4) for epoch in clf.history]
        (tmp_path / f"{one.name}.json").write_text(json.dumps({"train_loss": losses}))
        twin = f"cpu_cifar10_lt_ir100_validation_{one.method}_seed0.json"
        found = {"0.0": {"accuracy": 0.5}, "1.0": {"accuracy": 0.6}}
        (tmp_path / twin).write_text(json.dumps({"logit_adjusted": found}))
    monkeypatch.setattr(experiments.Experiment, "data", lambda self, path: data)
    given = ["study.py", "--methods", *(one.method for one in made), "--out", tmp_path / "study"]
    given += ["--work", args.work, "--results", args.results]
    monkeypatch.setattr(sys, "argv", [str(one) for one in given])
    study.main()
    path = tmp_path / "study" / "cpu_cifar10_lt_ir100_seed0.json"
    return json.loads(path.read_text()), made, args, data


def test_a_study_has_what_predictions_have_and_swaps_heads_of_one_base(script, studied, tmp_path):
    result, (erm, *_), args, data = studied
    study, run = script("study"), script("run")
    network = study.load_network(erm, args, data)
    predicted = network.clf.predict(data[2])
    method = result["methods"]["erm"]
    assert method["tau"] == 1.0
    assert result["machine"] == script("facts").machine(network.clf)
    assert method["at_0"]["overall"] == np.mean(predicted == data[3])
    groups = equal_group_accuracy(data[3], predicted, y_train=data[1])
    found = [method["at_0"][part] for part in ("smallest", "largest")]
    assert found == [round(groups[0], 5), round(groups[-1], 5)]
    predicted = network.clf.set_params(logit_adjustment=1.0).predict(data[2])
    assert method["at_tau"]["overall"] == np.mean(predicted == data[3])
    again = study.proba_of_head(network.head, network.features)
    assert np.abs(again - network.proba).max() < 0.01  # bfloat16, where that is quick
    # The loss of Balanced Softmax was another from the first epoch on.
    pairs = [(swap["body"], swap["head"]) for swap in result["swaps"]]
    assert pairs == [
        ("erm", "erm"),
        ("erm", "drs"),
        ("drs", "erm"),
        ("drs", "drs"),
        ("balanced-softmax", "balanced-softmax"),
    ]
    drs = study.load_network(script("experiments").Experiment(method="drs"), args, data)
    network.clf.module_.load_state_dict(
        {
            name: drs.clf.module_.state_dict()[name] if name.startswith("fc.") else tensor
            for name, tensor in network.clf.module_.state_dict().items()
        }
    )
    swapped = network.clf.set_params(logit_adjustment=0.0).predict_proba(data[2])
    assert np.abs(study.proba_of_head(drs.head, network.features) - swapped).max() < 0.01

    results = script("study_tables").load(tmp_path / "study")
    assert [*results] == ["cpu_cifar10_lt_ir100"]
    assert len(script("study_tables").tables(results["cpu_cifar10_lt_ir100"])) == 5  # no "open"
    assert run.model_path(args.work, erm).exists()

    kept = tmp_path / "study" / "cpu_cifar10_lt_ir100_seed0.json"
    study.check_kept(kept, [*result["methods"], "open"])
    with pytest.raises(SystemExit, match="has drs, balanced-softmax as well: add to --methods"):
        study.check_kept(kept, ["erm", "open"])

    path = tmp_path / f"{erm.name}.json"
    path.write_text(json.dumps({"train_loss": [0.1, 0.2, 0.3]}))
    with pytest.raises(SystemExit, match="is not the network of"):
        study.load_network(erm, args, data)


def test_heads_of_other_networks_are_found(script):
    rng = np.random.default_rng(0)
    X, y = images(COUNTS, 0)
    clf = OPeNClassifier(SmallCNN, module__width=4, max_epochs=1, random_state=0, verbose=0)
    proba, features = script("study").proba_and_features(clf.fit(X, y), X[rng.permutation(86)])
    assert len(proba) == len(features) == 86
    assert features.shape[1] == clf.module_.fc.in_features


def test_what_is_missing_is_said_before_anything_is_computed(script, tmp_path):
    study, experiment = script("study"), script("experiments").Experiment
    one = experiment(method="drs", seed=2, epochs=5)
    words = r"missing. It is made by: .* --scale cpu --method drs --seed 0 --validation --epochs 5"
    with pytest.raises(SystemExit, match=words):
        study.chosen_strength(one, tmp_path)
    twin = experiment(method="drs", epochs=5, validation=True).name
    for seed, accuracies in enumerate(((0.5, 0.7, 0.6), (0.5, 0.4, 0.6))):
        found = {"0.0": accuracies[0], "0.5": accuracies[1], "1.0": accuracies[2]}
        found = {tau: {"accuracy": accuracy} for tau, accuracy in found.items()}
        path = tmp_path / f"{twin.removesuffix('0')}{seed}.json"
        path.write_text(json.dumps({"logit_adjusted": found}))
        assert study.chosen_strength(one, tmp_path) == (0.5, 1.0)[seed]  # the best mean of all
    args = argparse.Namespace(work=tmp_path, results=tmp_path)
    with pytest.raises(SystemExit, match=r"seed2.safetensors is missing. .* --seed 2"):
        study.load_network(one, args, (*images(COUNTS, 0), *images(COUNTS, 0)))


# --- tables ---


def result(seed, **by_method):
    """What study.py writes, with an overall accuracy for each method."""

    def at(overall):
        parts = {"overall": overall, "smallest": overall - 0.2, "largest": overall + 0.2}
        return {**parts, "worst_class": overall - 0.3, "calibration_error": 0.1}

    methods = {
        name.replace("_", "-"): {
            "tau": 0.5,
            "at_0": at(overall),
            "at_tau": at(overall + 0.01),
            "pairwise_auc": 0.9,
            "pairwise_auc_smallest": 0.8,
            "trade_off": {
                "tau": [0, 1],
                "overall": [overall] * 2,
                "smallest": [overall - 0.2, overall],
                "largest": [overall + 0.2, overall],
            },
            "probe_of_training_rows": at(overall),
            "probe_of_test_rows": at(overall + 0.05),
        }
        for name, overall in by_method.items()
    }
    setting = {"recipe": "cifar10_lt_ir100", "scale": "cpu", "epochs": None}
    swap = {"at_0": at(0.5 + seed / 10), "at_tau": at(0.5)}
    pairs = [("drs", "drs"), ("drs", "open"), ("open", "drs"), ("open", "open")]
    swaps = [{"body": body, "head": head, **swap} for body, head in [*pairs, ("open-all",) * 2]]
    return {"setting": setting, "seed": seed, "methods": methods, "swaps": swaps}


@pytest.fixture
def two_seeds():
    return [result(0, drs=0.6, open=0.63), result(1, drs=0.7, open=0.71, open_all=0.6)]


def test_tables_of_the_study_have_means_errors_and_paired_differences(script, two_seeds):
    found = script("study_tables").tables(two_seeds)
    plain, adjusted, learnt, differences, swaps, _ = found.values()
    assert plain[2] == (
        "| drs | 2 | 65.0 ± 5.0 | 45.0 ± 5.0 | 85.0 ± 5.0 | 35.0 ± 5.0 | 10.0 ± 0.0 |"
    )
    assert adjusted[0].startswith("|  | seeds | tau | overall |")
    assert adjusted[3].startswith("| open | 2 | 0.5 | 68.0 ± 4.0 |")
    assert "| open_all | 1 | 90.0 | 80.0 | 60.0 | 40.0 | 65.0 | 45.0 |" in learnt
    assert differences[2].startswith("| open - drs | 2 | +2.0 ± 1.0 | +2.0 ± 1.0 |")
    assert differences[3].startswith("| open - open_all | 1 | +11.0 |")
    assert swaps[0] == "|  | head of drs | head of open |"  # others share with nobody
    assert swaps[2] == "| body of drs | 55.0 ± 5.0 / 35.0 ± 5.0 | 55.0 ± 5.0 / 35.0 ± 5.0 |"
    assert len(swaps) == 4


def test_committed_figures_are_made_from_the_results_alone(script, tmp_path):
    pytest.importorskip("matplotlib")
    tables = script("study_tables")
    made = [tables.draw(*one, tmp_path) for one in tables.load(ROOT / "results" / "study").items()]
    assert_same_pictures(made, ROOT / "docs" / "study")


def test_the_trade_off_is_drawn(script, two_seeds, tmp_path):
    pytest.importorskip("matplotlib")
    tables = script("study_tables")
    (ax,) = tables.figure(two_seeds).axes
    x, y = ax.lines[0].get_data()
    assert np.allclose(x, [85, 65])
    assert np.allclose(y, [45, 65])
    path = tables.draw("cpu", two_seeds, tmp_path)
    assert path.stat().st_size > 1000
