"""``compare``: methods on a folder of images, into a table, a report and a model."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import torch

from sklearn_open._command.arguments import methods_of, predict_command
from sklearn_open._command.estimator import RECIPE, check_training, settings_of
from sklearn_open._command.images import Images, load
from sklearn_open._command.report import check_can_draw, write_report
from sklearn_open._persistence.atomic import write_atomically
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.comparison import MethodComparison, compare_methods
from sklearn_open.comparison._candidates import last_step_of

__all__ = ["compare"]

PIXELS_A_MINUTE = 300_000
KEPT = "kept"  # folder in --out: what is done, if it is stopped


def compare(args: argparse.Namespace, command: str) -> None:
    """Compare methods and write what was found.

    Parameters
    ----------
    args : argparse.Namespace
    command : str
        As it was typed.
    """
    check_training(args)
    check_can_draw()
    images = load(args)
    out = _made(args.out)
    torch.set_num_threads(1)  # a process for each core does more than a core for each thread
    estimator = OPeNClassifier.from_recipe(RECIPE, verbose=0, **settings_of(args))
    on_gpu = estimator.device_.type != "cpu"
    found = compare_methods(
        estimator,
        images.X,
        images.y,
        methods=methods_of(args),
        cv=args.folds,
        groups=images.groups,
        scoring=args.scoring,
        minutes=args.minutes or _minutes(images),
        memory=out / KEPT,
        n_jobs=args.jobs or (1 if on_gpu else joblib.cpu_count()),
        random_state=args.seed,
        verbose=1,
    )
    print(f"\n{found}\n")
    facts = _facts(images, command)
    last_step_of(found.best_estimator_).image_reader_ = images.reader
    found.best_estimator_.save(out / "model.safetensors")
    copies = [[images.filenames[i] for i in pair] for pair in found.copy_pairs_]
    results = {**facts, **found.to_dict(), "copy_pairs": copies}
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    write_atomically(out / "results.json", text.encode())
    write_report(out / "report.html", found, images, facts, args)
    _say_what_is_next(found, out)


def _minutes(images: Images) -> float:
    """Return the time that a comparison gets if nobody says how much."""
    height, width = images.shape
    return min(20.0, max(2.0, len(images.y) * height * width / PIXELS_A_MINUTE))


def _made(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"--out {folder} is a file: pass a folder, which is made if it is not there."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _facts(images: Images, command: str) -> dict[str, Any]:
    names = ("torch", "torchvision", "scikit-learn", "skorch", "imbalanced-learn", "numpy")
    return {
        "command": command,
        "images": str(images),
        "reader": images.reader.to_dict(),
        "n_groups": None if images.groups is None else len(set(images.groups.tolist())),
        "machine": f"{platform.machine()}, {joblib.cpu_count()} cores",
        "versions": {name: version(name) for name in (*names, "sklearn-open")},
    }


def _say_what_is_next(found: MethodComparison, out: Path) -> None:
    print(
        f"Wrote {out / 'report.html'}, {out / 'results.json'} and {out / 'model.safetensors'} "
        f"({found.best_method_}, trained on all images).\nLabel images by it:  "
        f"{predict_command(out / 'model.safetensors')}"
    )
