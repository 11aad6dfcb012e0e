"""``train``: one method on a folder of images, into a model file."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from sklearn_open._command.arguments import predict_command
from sklearn_open._command.estimator import RECIPE, check_training, settings_of
from sklearn_open._command.images import load
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.exceptions import CheckpointError
from sklearn_open.recipes import get_method, make_classifier

__all__ = ["train"]


def train(args: argparse.Namespace) -> None:
    """Train a method and save the model; a training that was stopped goes on.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C has ended it.
    """
    check_training(args)
    if args.out.is_dir():
        raise ValueError(f"--out {args.out} is a folder: pass the name of a file in it.")
    name, own = args.method
    images = load(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    kept = args.out.with_name(f"{args.out.name}.training")
    settings: dict[str, Any] = {**settings_of(args), "verbose": 2, **own}
    if args.epochs is not None:
        settings["max_epochs"] = args.epochs
        if get_method(name).n_stages == 2:
            settings.setdefault("final_estimator__max_epochs", args.epochs)
    classifier = make_classifier(RECIPE, name, checkpoint=str(kept), **settings)
    try:
        classifier.fit(images.X, images.y)
    except CheckpointError as error:
        raise ValueError(
            f"{kept} holds a training that was stopped, and it was another: other images, method "
            "or options. Give the same again to go on with it; or remove that folder, or pass "
            "another --out."
        ) from error
    if classifier.interrupted_:
        raise KeyboardInterrupt
    two_stages = isinstance(classifier, DecoupledClassifier)
    (classifier.estimator_ if two_stages else classifier).image_reader_ = images.reader
    classifier.save(args.out)
    shutil.rmtree(kept, ignore_errors=True)
    print(f"Wrote {args.out}. Label images by it:  {predict_command(args.out)}")
