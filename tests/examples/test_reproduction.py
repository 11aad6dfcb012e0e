"""The reproduction's scripts, on images made here."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import load_image_folder, long_tailed_counts, make_long_tailed
from sklearn_open.recipes import make_classifier

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "reproduction"
RESULTS = ROOT / "results" / "reproduction"


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


def run(name, cwd, *arguments):
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def result_file(
    name,
    folder,
    accuracy,
    *,
    parameters=None,
    images="originals",
    arithmetic="float32",
    **experiment,
):
    """Write what run.py would."""
    given = {
        "recipe": "cifar10_lt_ir100",
        "scale": "cpu",
        "epochs": None,
        "augment": None,
        "sigma": None,
        "balanced": False,
        **experiment,
    }
    groups = [accuracy - 0.2, *[accuracy] * 3, accuracy + 0.2]
    parameters = {"lr": "0.1", "random_state": str(given["seed"]), **(parameters or {})}
    result = {"name": name, "experiment": given, "parameters": parameters, "accuracy": accuracy}
    result["data"] = {"train": images, "test": "of 2,000 images"}
    result["machine"] = {"arithmetic": arithmetic}
    (folder / f"{name}.json").write_text(json.dumps({**result, "group_accuracy": groups}))


def test_a_result_has_all_that_repeats_it_and_is_not_computed_twice(images, tmp_path):
    given = ("--seeds", 0, "--epochs", 3, "--data", images, "--verbose", 0)
    run("run_all.py", tmp_path, "--methods", "erm", "open-aux", *given)
    name = "cpu_cifar10_lt_ir100_open-aux_3epochs_seed0"
    result = json.loads((tmp_path / "results" / "reproduction" / f"{name}.json").read_text())
    assert result["name"] == name
    assert result["class_counts"][0] == 100
    assert result["class_counts"][-1] == 1
    assert len(result["train_loss"]) == 3
    assert len(result["class_accuracy"]) == 10
    assert result["parameters"]["norm"] == "'aux'"
    assert result["parameters"]["random_state"] == "0"
    assert result["machine"]["arithmetic"] == "float32"  # "auto" for 8x8 images
    assert len(result["data"]["train"]) == 64
    assert result["libraries"].keys() >= {"torch", "torchvision", "skorch", "imbalanced-learn"}
    assert result["image_passes"] == 3 * sum(result["class_counts"])
    assert result["seconds"] >= sum(result["epoch_seconds"]) - 0.2  # each is rounded
    kept = OPeNClassifier.load(tmp_path / "reproduction-work" / "models" / f"{name}.safetensors")
    assert kept.class_count_.tolist() == result["class_counts"]
    given = ("--method", "open-aux", *given[2:])
    assert "exists" in run("run.py", tmp_path, *given)

    table = run("table.py", tmp_path, tmp_path / "results" / "reproduction")
    assert "# cifar10_lt_ir100, scale cpu, 3 epochs" in table
    assert "| 79.6 ± 0.2 |" in table
    assert "| OPeN, auxiliary BN | 1 |" in table
    assert "\nMethods\n" in table
    assert "| open_aux | 1 |" in table
    assert result["logit_adjusted"]["0.0"]["accuracy"] == result["accuracy"]


def dry_run(script, monkeypatch, capsys, *given):
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--dry-run", *map(str, given)])
    script("run_all").main()
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_says_what_would_be_trained(script, monkeypatch, capsys, tmp_path):
    given = ("--scale", "paper", "--out", tmp_path / "results", "--work", tmp_path / "work")
    lines = dry_run(script, monkeypatch, capsys, *given)
    assert lines[-1] == "30 of 30 trainings are to be done."
    assert lines[0] == "paper_cifar10_lt_ir100_erm_seed0: wrn28_10, 200 epochs"
    assert (
        "paper_cifar10_lt_ir100_mislas_seed2: wrn28_10, 200 epochs and 10 of a second stage"
        in lines
    )
    assert not list(tmp_path.iterdir())


def test_a_dry_run_leaves_out_what_is_there(script, monkeypatch, capsys, tmp_path):
    done = script("experiments").Experiment(method="open", seed=2)
    parameters = script("run").parameters_of(done.classifier())
    (tmp_path / f"{done.name}.json").write_text(json.dumps({"parameters": parameters}))
    given = ("--methods", "open", "m2m", "--seeds", 2, "--out", tmp_path)
    exists, left, total = dry_run(script, monkeypatch, capsys, *given)
    assert exists.endswith("cpu_cifar10_lt_ir100_open_seed2.json exists")
    assert left == "cpu_cifar10_lt_ir100_m2m_seed2: WideResNet, 50 epochs"
    assert total == "1 of 2 trainings are to be done."


@pytest.mark.parametrize("recipe", ["cifar100_lt_ir50", "celeba5", "imagenet_lt", "places_lt"])
def test_the_table_can_be_trained_on_every_set(script, monkeypatch, capsys, recipe, tmp_path):
    given = ("--scale", "paper", "--recipe", recipe, "--seeds", 0, "--out", tmp_path)
    assert len(dry_run(script, monkeypatch, capsys, *given)) == 11


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--data", "nowhere"), "There is no nowhere"),
        (("--recipe", "places_lt"), "use scale 'paper'"),
        (("--epochs", 0), "one at least"),
    ],
)
def test_all_is_refused_before_the_first_training(script, monkeypatch, capsys, given, words):
    with pytest.raises(SystemExit):
        dry_run(script, monkeypatch, capsys, *given)
    assert words in capsys.readouterr().err


def test_noise_on_balanced_data_is_appended_from_the_first_epoch(images, tmp_path):
    given = ("--method", "appended", "--balanced", "--epochs", 1, "--data", images)
    run("run.py", tmp_path, *given, "--verbose", 0)
    path = tmp_path / "results/reproduction/cpu_cifar10_balanced_appended_1epochs_seed0.json"
    result = json.loads(path.read_text())
    assert result["class_counts"] == [100] * 10
    assert "Adam" in result["parameters"]["optimizer"]
    assert result["parameters"]["start_epoch"] == "0"


def test_validation_rows_are_training_images_that_the_subset_leaves_out(images, script):
    experiment, split = script("experiments").Experiment, script("held_out").held_out_split
    whole, y_whole = load_image_folder(images, subset="train", return_X_y=True)
    subset = make_long_tailed(np.arange(1000), y_whole, imbalance_ratio=100)[0]
    train, validation = split(y_whole, 100)
    assert np.bincount(y_whole[validation]).tolist() == [10] * 10
    lost = np.setdiff1d(subset, train)
    assert y_whole[lost].tolist() == [0] * 10  # no image of the largest class was left out
    assert np.isin(lost, validation).all()
    assert np.array_equal(train, subset[~np.isin(subset, lost)])
    assert not np.isin(validation, train).any()
    X, y, X_held_out, y_held_out = experiment(validation=True).data(images)
    assert np.array_equal(X, whole[train])
    assert np.array_equal(y, y_whole[train])
    assert np.array_equal(X_held_out, whole[validation])
    assert np.array_equal(y_held_out, y_whole[validation])


def test_of_classes_that_leave_out_too_few_images_some_are_spared(script):
    y = np.repeat(np.arange(100), 500)  # as CIFAR-100
    train, validation = script("held_out").held_out_split(y, 100)
    assert np.bincount(y[validation]).tolist() == [50] * 100
    counts = long_tailed_counts(500, 100)
    assert np.bincount(y[train]).tolist() == np.minimum(counts, 450).tolist()
    assert len(np.unique([*train, *validation])) == len(train) + len(validation)
    assert np.array_equal(train, script("held_out").held_out_split(y, 100)[0])


def test_the_validation_rows_of_cifar_10_stay_the_same(script):
    train, validation = script("held_out").held_out_split(np.repeat(np.arange(10), 5000), 100)
    assert np.bincount(train // 5000).tolist() == [4500, *long_tailed_counts(5000, 10)[1:]]
    assert len(train) == 11906
    digest = hashlib.sha256(np.concatenate([train, validation]).astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "973b2e45f45f7b94"


def test_trainings_with_validation_rows_are_apart(script, tmp_path):
    result_file("a", tmp_path, 0.5, method="erm", seed=0)
    result_file("b", tmp_path, 0.6, method="erm", seed=0, validation=True)
    settings = script("runs").load(tmp_path)
    assert [setting.title for setting in settings] == [
        "cifar10_lt_ir100, scale cpu",
        "cifar10_lt_ir100, scale cpu, tested on validation rows",
    ]


def test_all_stages_and_teachers_are_counted(script):
    run = script("run")
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [30, 6])
    X = rng.integers(0, 256, (36, 8, 8), dtype=np.uint8)

    def passes(method, **params):
        params = {"module__width": 2, "max_epochs": 2, "random_state": 0, "verbose": 0, **params}
        fitted = make_classifier(None, method, **params).fit(X, y)
        return run.rows_trained_on(run.trainings_of(fitted))

    assert passes("erm") == 72
    assert passes("open", start_epoch=1, epoch_length="resampled") == 36 + 60
    assert passes("crt", final_estimator__max_epochs=3) == 36 * 5
    assert passes("m2m", start_epoch=1, resampler__threshold=0.5) == 36 * 4
    assert passes("balms", final_estimator__max_epochs=1) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "drs", "sigma": 25}, "sigma is for methods that draw noise"),
        ({"method": "erm", "recipe": "places_lt"}, "use scale 'paper'"),
        ({"method": "erm", "recipe": "celeba5", "balanced": True}, "balanced data is CIFAR"),
        ({"method": "open", "balanced": True}, "plain training: use 'erm'"),
        ({"method": "appended"}, "add balanced"),
        ({"validation": True, "balanced": True, "method": "erm"}, "leaves out nothing"),
        ({"validation": True, "recipe": "celeba5"}, "celeba5 leaves out nothing"),
        ({"method": "nope"}, "There is no 'nope'"),
        ({"module": "nope"}, "There is no 'nope'"),
        ({"augment": "cutuot"}, "There is no augmentation 'cutuot': use one of none, "),
        ({"augment": "none", "recipe": "places_lt", "scale": "paper"}, "must be cropped"),
        ({"module": "timm-resnet10t", "method": "ldam-drw"}, "'module__head'.* 'ldam-drw' sets"),
        ({"epochs": 0}, "one at least"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(script, given, words):
    with pytest.raises(ValueError, match=words):
        script("experiments").Experiment(**given)


def test_another_network_has_no_settings_that_it_does_not_know(script):
    experiments = script("experiments")
    given = experiments.Experiment(scale="fast_narrow", module="resnet9-group-norm")
    assert given.classifier().get_params(deep=False)["module__width"] == 8
    given = experiments.Experiment(scale="fast_narrow", module="timm-resnet10t")
    assert "module__width" not in given.classifier().get_params(deep=False)
    for scale, module in itertools.product(("cpu", "fast"), experiments.MODULES):
        given = experiments.Experiment(scale=scale, module=module, augment="none")
        params = given.classifier().get_params(deep=False)
        assert [name for name in params if name.startswith("module__")] == []
        assert params["module"] == experiments.MODULES[module]
        assert params["augment"] is None
        assert given.name == f"{scale}_cifar10_lt_ir100_{module}_none_open_seed0"


def test_group_norm_is_in_the_place_of_batch_norm(script):
    net = script("experiments").ResNet9GroupNorm(num_classes=3, width=8)
    norms = [layer for layer in net.modules() if isinstance(layer, torch.nn.GroupNorm)]
    assert {(norm.num_groups, norm.num_channels) for norm in norms} == {
        (2, 8),
        (4, 16),
        (8, 32),
        (8, 64),
    }
    kinds = [type(layer).__name__ for layer in net.modules()]
    assert kinds.count("GroupNorm") == 8
    assert "BatchNorm2d" not in kinds
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 3)


def test_images_of_other_classes_are_refused(images, script):
    with pytest.raises(ValueError, match="has 10 classes, cifar100_lt_ir100 100"):
        script("experiments").Experiment("cifar100_lt_ir100").data(images)


def test_the_scale_of_the_paper_is_its_recipe(script):
    experiments = script("experiments")
    for recipe in experiments.RECIPES:
        experiment = experiments.Experiment(recipe, scale="paper")
        expected = experiments.get_recipe(recipe).parameters
        assert expected.items() <= experiment.classifier().get_params(deep=False).items()


OF_METHODS = ("resampler", "delta", "criterion", "class_weight", "mixup", "norm", "noise_grad")


@pytest.mark.parametrize("scale", ["paper", "cpu", "cpu_wrn16", "fast", "fast_narrow"])
def test_no_scale_takes_from_a_method_what_it_is(script, scale):
    experiments = script("experiments")
    assert scale in experiments.SCALES
    for name in experiments.list_methods():
        made = experiments.Experiment(method=name.replace("_", "-"), scale=scale).classifier()
        alone = experiments.make_classifier("cifar10_lt_ir100", name)
        stages = [(made, alone)]
        if name in experiments.list_methods(2):
            stages = [(made.estimator, alone.estimator)]
            stages += [(made.final_estimator, alone.final_estimator)] * (name != "tau_norm")
        for one, other in stages:
            for parameter in OF_METHODS:
                assert getattr(one, parameter) == getattr(other, parameter), (name, parameter)


def test_every_experiment_has_a_name_of_its_own(script):
    experiments = script("experiments")
    made = set()
    for recipe, validation, seed, scale, epochs, augment, module in itertools.product(
        ("cifar10_lt_ir100", "cifar10_lt_ir50", "cifar100_lt_ir100"),
        (False, True),
        (0, 1),
        experiments.SCALES,
        (None, 5),
        (None, "flip_crop", "autoaugment"),
        (None, *experiments.MODULES),
    ):
        common = {"recipe": recipe, "seed": seed, "scale": scale, "epochs": epochs}
        common["module"] = module
        for method, sigma in (("erm", None), ("open", None), ("open", 2.5), ("open", 25)):
            given = {**common, "augment": augment, "method": method, "sigma": sigma}
            given["validation"] = validation
            made.add(experiments.Experiment(**given))
        if recipe.endswith("ir100"):  # balanced, ir50 is the same data
            for method in ("erm", "appended"):
                given = {**common, "augment": augment, "method": method, "balanced": True}
                made.add(experiments.Experiment(**given))
    assert len({experiment.name for experiment in made}) == len(made)


def test_the_augmentation_of_the_scale_has_one_name(script):
    experiment = script("experiments").Experiment
    assert experiment(augment="cutout") == experiment()
    assert experiment(scale="paper", augment="simclr") == experiment(scale="paper")
    large = experiment("imagenet_lt", scale="paper", augment="autoaugment")
    assert large.classifier().augment == "autoaugment_imagenet"


def test_results_of_other_parameters_are_neither_reused_nor_averaged(images, script, tmp_path):
    result_file("a", tmp_path, 0.5, method="erm", seed=0)
    result_file("b", tmp_path, 0.5, method="erm", seed=1, parameters={"lr": "0.2"})
    with pytest.raises(ValueError, match="another lr than other seeds"):
        script("runs").load(tmp_path)
    (tmp_path / "b.json").unlink()
    result_file("c", tmp_path, 0.5, method="open", seed=0, images="copies")
    with pytest.raises(ValueError, match="c was trained or tested on other images"):
        script("runs").load(tmp_path)
    result_file("c", tmp_path, 0.5, method="open", seed=0, arithmetic="bfloat16")
    with pytest.raises(ValueError, match=r"c was trained in bfloat16, others .* in float32"):
        script("runs").load(tmp_path)
    with pytest.raises(SystemExit, match="made with another"):
        script("run").check_same(
            tmp_path / "a.json", script("experiments").Experiment().classifier()
        )


def test_seeds_of_both_stages_are_averaged_over(script, tmp_path):
    for seed in (0, 1):
        stages = {f"{stage}__random_state": str(seed) for stage in ("estimator", "final_estimator")}
        result_file(f"a{seed}", tmp_path, 0.5, method="crt", seed=seed, parameters=stages)
    (setting,) = script("runs").load(tmp_path)
    assert len(setting.runs(script("runs").Kind("crt"))) == 2


@pytest.mark.parametrize("folder", ["fast", "reproduction", "table_1"])
def test_committed_results_are_of_what_would_be_trained_now(script, folder):
    run, experiments = script("run"), script("experiments")
    paths = sorted((ROOT / "results" / folder).glob("*.json"))
    assert paths
    for path in paths:
        result = json.loads(path.read_text())
        made = experiments.Experiment(**result["experiment"])
        wanted = run.parameters_of(made.classifier())
        differing = run.differing_parameters(result["parameters"], wanted)
        # The one setting of a loss that came to be written down: its default is the same.
        assert set(differing) <= {"criterion__lambda_"}, path.name
        assert path.stem == made.name


def test_a_parameter_that_came_later_has_had_its_default(script):
    differing = script("run").differing_parameters
    assert differing({"lr": "0.1"}, {"lr": "0.1", "mixup": "None"}) == []
    assert differing({"lr": "0.1"}, {"lr": "0.1", "mixup": "1.0"}) == ["mixup"]
    assert differing({}, {"estimator__mixup": "None", "final_estimator__mixup": "1.0"}) == [
        "final_estimator__mixup"
    ]
    assert differing({"lr": "0.1", "module__width": "8"}, {"lr": "0.1"}) == ["module__width"]
    assert differing({"module": "<class 'a.b.Net'>"}, {"module": "<class 'c.Net'>"}) == []
    assert differing({"module": "<class 'a.Net'>"}, {"module": "<class 'a.Other'>"}) == ["module"]
    assert differing({"module": "'wrn16_2'"}, {"module": "'wrn28_10'"}) == ["module"]


def test_tables_hold_means_errors_and_paired_differences(script, tmp_path):
    for seed, (erm, drs, open_) in enumerate([(0.5, 0.6, 0.63), (0.6, 0.7, 0.71)]):
        result_file(f"erm{seed}", tmp_path, erm, method="erm", seed=seed)
        result_file(f"drs{seed}", tmp_path, drs, method="drs", seed=seed)
        result_file(f"open{seed}", tmp_path, open_, method="open", seed=seed)
        result_file(f"s{seed}", tmp_path, drs, method="open", seed=seed, sigma=25)
        result_file(f"a{seed}", tmp_path, erm, method="erm", seed=seed, augment="autoaugment")
    result_file("erm2", tmp_path, 0.9, method="erm", seed=2)  # no partner
    (setting,) = script("runs").load(tmp_path)
    found = script("table").tables(setting)
    assert "| ERM | 3 | 66.7 ± 12.0 | 46.7 ± 12.0 | 79.6 ± 0.2 |" in found["Table 1"]
    assert "| ERM, AutoAugment | 2 | 55.0 ± 5.0 | 35.0 ± 5.0 | 81.4 ± 0.3 |" in found["Table 1"]
    assert (
        "| OPeN - ERM, paper | 4 | +15.6 | +8.6 | +4.6 | above -2 | above -2 |" in found["Fig. 7"]
    )
    assert "Table 4" not in found  # no other norm was trained
    assert "| OPeN - DRS | 2 | +2.0 ± 1.0 | +2.0 ± 1.0 |  | +6.3 |" in found["Differences"]
    assert "| OPeN - ERM | 2 | +12.0 ± 1.0 | +12.0 ± 1.0 | +5.0 | +15.6 |" in found["Differences"]
    assert "| 25 | 2/0 | 65.0 ± 5.0 | 45.0 ± 5.0 |  |  |" in found["Fig. 6"]
    assert found["Fig. 6"][-1] == "| pure noise | 2/0 | 67.0 ± 4.0 | 47.0 ± 4.0 |  |  |"
    assert any(
        line.startswith("| OPeN | 2 | 47.0 ± 4.0 | 67.0 ± 4.0 |") for line in found["Fig. 7"]
    )
    assert "Fig. 3" not in found  # one augmentation has all three methods


def test_augmentations_are_compared_by_the_seeds_that_all_methods_have(script, tmp_path):
    for augment, seeds in ((None, (0, 1)), ("simclr", (1, 2)), ("flip_crop", ())):
        for method, accuracy in (("erm", 0.5), ("drs", 0.6), ("open", 0.7)):
            for seed in seeds or [("erm", "drs", "open").index(method)]:
                given = {"method": method, "augment": augment, "seed": seed}
                path = f"{augment}{method}{seed}"
                result_file(path, tmp_path, accuracy + seed / 10, **given)
    result_file("one_more", tmp_path, 0.1, method="erm", seed=3)
    (setting,) = script("runs").load(tmp_path)
    *_, cutout, simclr = script("table").tables(setting)["Fig. 3"]
    assert cutout == "| cutout | 2 | 55.0 ± 5.0 | 65.0 ± 5.0 | 75.0 ± 5.0 | +10.0 ± 0.0 |"
    assert simclr.startswith("| simclr | 2 | 65.0 ± 5.0 ")


def test_noise_on_balanced_data_is_compared_with_both_augmentations(script, tmp_path):
    for method, augment, accuracy in (
        ("erm", None, 0.5),
        ("erm", "autoaugment", 0.6),
        ("appended", "autoaugment", 0.64),
    ):
        given = {"method": method, "augment": augment, "balanced": True, "seed": 0}
        result_file(f"{method}{augment}", tmp_path, accuracy, **given)
    (setting,) = script("runs").load(tmp_path)
    lines = script("table").tables(setting)["Section 5"]
    assert "| noise 1:4, AutoAugment - ERM | 1 | +14.0 | +2.38 |" in lines
    assert "| noise 1:4, AutoAugment - ERM, AutoAugment | 1 | +4.0 | +0.9 |" in lines


def assert_same_pictures(made, committed):
    """Assert that a folder has what was drawn, and nothing else."""
    assert {path.name for path in made} == {path.name for path in committed.glob("*.png")} != set()
    matplotlib_pin = f"matplotlib=={importlib.metadata.version('matplotlib')}\n"
    same_library = matplotlib_pin in (ROOT / ".ci" / "constraints.txt").read_text()
    for path in made:
        drawn, kept = (
            np.asarray(Image.open(file).convert("L"), dtype=float)
            for file in (path, committed / path.name)
        )
        assert drawn.shape == kept.shape
        # Another version of matplotlib may move single pixels.
        assert np.abs(drawn - kept).mean() <= (0 if same_library else 3)


def test_committed_figures_are_made_from_the_results_alone(script, tmp_path):
    pytest.importorskip("matplotlib")
    draw = script("figures").draw
    made = [path for setting in script("runs").load(RESULTS) for path in draw(setting, tmp_path)]
    assert_same_pictures(made, ROOT / "docs" / "reproduction")
