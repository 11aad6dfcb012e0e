"""Train one method of the paper once, and write one JSON result with all that repeats it.

    python examples/reproduction/run.py --recipe cifar10_lt_ir100 --method open --seed 0 --scale cpu

A result that exists is not computed again, and a run that was stopped goes on: the epochs that
methods share are kept in ``--work``, and so are checkpoints and, in its folder ``models``, trained
networks, which `OPeNClassifier.load` reads. `table.py` makes tables and figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
from experiments import METHODS, MODULES, RECIPES, SCALES, Experiment
from facts import code, data_digest, libraries, machine

from sklearn_open import OPeNClassifier
from sklearn_open.calibration._prior import prior_factors
from sklearn_open.datasets import ListedImages
from sklearn_open.metrics import equal_group_accuracy

# Strengths of post-hoc logit adjustment. Results that were made before may have fewer.
TAUS = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
PATHS = ("memory", "checkpoint", "checkpoint_every", "verbose")


def train(experiment: Experiment, X: Any, y: Any, work: Path, verbose: int) -> Any:
    """Return the trained classifier; what was done before is taken from `work`."""
    clf = experiment.classifier(verbose=verbose, checkpoint=work / experiment.name)
    first = stages_of(clf)[0]
    first.set_params(checkpoint_every=max(1, first.max_epochs // 20))
    if not isinstance(X, ListedImages):  # images that are read while training are not compared
        clf.set_params(memory=work / "memory")
    try:
        clf.fit(X, y)
    except KeyboardInterrupt:
        raise SystemExit("Stopped. The same command goes on.") from None
    if any(stage.interrupted_ for stage in stages_of(clf)):
        raise SystemExit("Stopped. The same command goes on.")
    return clf


def stages_of(clf: Any) -> list[Any]:
    """Return what is trained one after the other; once fitted, as it was fitted."""
    if isinstance(clf, OPeNClassifier):
        return [clf]
    fitted = hasattr(clf, "estimator_")
    both = (
        (clf.first_stage_, clf.final_estimator_) if fitted else (clf.estimator, clf.final_estimator)
    )
    return [stage for stage in both if stage is not None]


def trainings_of(fitted: Any) -> list[Any]:
    """Return all classifiers that were trained for a fitted one: its stages, and their teachers."""
    stages = stages_of(fitted)
    teachers = [getattr(stage, "own_teacher_", None) for stage in stages]
    return stages + [teacher for teacher in teachers if teacher is not None]


def rows_trained_on(trainings: list[Any]) -> int | None:
    """Return how many rows all steps of trainings had together, noise rows included.

    Epochs that are shared with other trainings count, and so do rows whose features were computed
    once. None where it is not known, as rows were drawn by rates that were learnt (BALMS).
    """
    try:
        return sum(
            len(clf.epoch_plan(epoch).index)
            for clf in trainings
            for epoch in range(len(clf.history))
        )
    except ValueError:  # such epochs have no plan
        return None


def parameters_of(clf: Any) -> dict[str, str]:
    """Return what decides what is trained."""
    params = {k: v for k, v in clf.get_params(deep=False).items() if k not in PATHS}
    kinds = {k: v for k, v in params.items() if isinstance(v, OPeNClassifier)}
    found = {k: type(v).__name__ if k in kinds else repr(v) for k, v in params.items()}
    for stage, estimator in kinds.items():
        found |= {f"{stage}__{k}": v for k, v in parameters_of(estimator).items()}
    return found


def result_of(
    experiment: Experiment, fitted: Any, data: tuple[Any, Any, Any, Any]
) -> dict[str, Any]:
    """Return what there is to know of a training."""
    X, y, X_test, y_test = data
    stages, trainings = stages_of(fitted), trainings_of(fitted)
    clf = fitted if isinstance(fitted, OPeNClassifier) else fitted.estimator_
    predicted = clf.predict(X_test)
    groups = equal_group_accuracy(y_test, predicted, y_train=y)
    return {
        "script": "examples/reproduction/run.py",
        "name": experiment.name,
        "experiment": dataclasses.asdict(experiment),
        "parameters": parameters_of(fitted),
        "class_counts": np.bincount(y).tolist(),
        "accuracy": float(np.mean(predicted == y_test)),
        "group_accuracy": groups.tolist(),
        "class_accuracy": [float(np.mean(predicted[y_test == c] == c)) for c in np.unique(y_test)],
        "logit_adjusted": logit_adjusted(clf, y, X_test, y_test),
        "train_loss": [round(e["train_loss"], 4) for stage in stages for e in stage.history],
        "epoch_seconds": [round(e["dur"], 1) for stage in stages for e in stage.history],
        "seconds": round(sum(e["dur"] for one in trainings for e in one.history), 1),
        "image_passes": rows_trained_on(trainings),
        **learnt(stages),
        "data": {"train": data_digest(X, y), "test": data_digest(X_test, y_test)},
        "code": code(),
        "libraries": libraries(),
        "machine": machine(clf),
    }


def logit_adjusted(clf: Any, y: Any, X_test: Any, y_test: Any) -> dict[str, dict[str, Any]]:
    """Return accuracies of one network under all strengths of logit adjustment."""
    own = clf.logit_adjustment
    proba = clf.set_params(logit_adjustment=0.0).predict_proba(X_test)
    clf.set_params(logit_adjustment=own)
    found = {}
    for tau in TAUS:
        predicted = clf.classes_[(proba * prior_factors(clf.class_count_, tau)).argmax(axis=1)]
        groups = equal_group_accuracy(y_test, predicted, y_train=y)
        accuracy = float(np.mean(predicted == y_test))
        found[str(tau)] = {"accuracy": accuracy, "group_accuracy": groups.tolist()}
    return found


def learnt(stages: list[Any]) -> dict[str, Any]:
    """Return what methods record of some epochs."""
    rows = [epoch for stage in stages for epoch in stage.history]
    return {
        name: [row[name] for row in rows if name in row]
        for name in ("n_translated", "class_rates")
        if any(name in row for row in rows)
    }


def model_path(work: Path, experiment: Experiment) -> Path:
    """Return where the trained network is kept."""
    folder = work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{experiment.name}.safetensors"


def differing_parameters(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Return the parameters in which a result differs from what would be trained now.

    One that either of them does not have has its default there; a class may have moved to another
    module.
    """
    defaults = parameters_of(OPeNClassifier())

    def of(parameters: dict[str, str], name: str) -> str | None:
        value = parameters.get(name, defaults.get(re.sub("^(final_)?estimator__", "", name)))
        return value and re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", value)

    return [name for name in {**wanted, **found} if of(found, name) != of(wanted, name)]


def check_same(path: Path, clf: Any) -> None:
    """Refuse to pass a result by that was made with other parameters than a classifier has."""
    found = json.loads(path.read_text())["parameters"]
    differing = differing_parameters(found, parameters_of(clf))
    if differing:
        raise SystemExit(
            f"{path} was made with another {', '.join(differing)}. Move it away to train anew."
        )


def parse_args() -> tuple[Experiment, argparse.Namespace]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--method", choices=[*METHODS], required=True)
    add("--seed", type=int, default=0)
    add_ground(parser)
    add("--sigma", type=float, help="additive noise (0 to 255) instead of pure noise")
    add("--balanced", action="store_true", help="balanced CIFAR with Adam (section 5)")
    experiment_names = [field.name for field in dataclasses.fields(Experiment)]
    add_folders(parser)
    args = parser.parse_args()
    try:
        experiment = Experiment(**{name: getattr(args, name) for name in experiment_names})
    except ValueError as error:
        parser.error(str(error))
    return experiment, args


def is_done(path: Path, clf: Any) -> bool:
    """Whether a result exists; one that was made with other parameters than `clf` is refused."""
    if path.exists():
        check_same(path, clf)
        print(f"{path} exists")
    return path.exists()


def write_result(result: Any, path: Path) -> None:
    """Write a result; there is always a whole file of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".tmp")
    partial_path.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(partial_path, path)


def train_and_write(
    experiment: Experiment, data: tuple[Any, Any, Any, Any], path: Path, args: argparse.Namespace
) -> None:
    """Train, test, and write the result to `path` and the network to ``args.work``."""
    clf = train(experiment, *data[:2], args.work, args.verbose)
    result = result_of(experiment, clf, data)
    clf.save(model_path(args.work, experiment))
    write_result(result, path)
    print(f"{result['name']}: {100 * result['accuracy']:.1f}, groups {result['group_accuracy']}")


def add_ground(parser: argparse.ArgumentParser) -> None:
    """Add what several methods and seeds have in common."""
    add = parser.add_argument
    add("--recipe", choices=RECIPES, default="cifar10_lt_ir100")
    add("--scale", choices=[*SCALES], default="cpu")
    add("--epochs", type=int, help="a budget; what is given as a share shrinks with it")
    add("--augment", help="instead of the scale's; 'autoaugment' for the tables' AA rows; 'none'")
    add("--module", choices=[*MODULES], help="instead of the scale's network")
    add("--validation", action="store_true", help="test on held-out training images of CIFAR")


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add what says where data and results lie."""
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        help="of CIFAR an image folder or zip (default: torchvision downloads it), of other sets "
        "the data home, with lists and images in sklearn_open/<recipe>",
    )
    add("--out", type=Path, default=Path("results/reproduction"))
    add("--work", type=Path, default=Path("reproduction-work"))
    add("--verbose", type=int, default=1)


def main() -> None:
    """Train once, if it has not been done."""
    experiment, args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path = args.out / f"{experiment.name}.json"
    if not is_done(path, experiment.classifier()):
        train_and_write(experiment, experiment.data(args.data), path, args)


if __name__ == "__main__":
    main()
