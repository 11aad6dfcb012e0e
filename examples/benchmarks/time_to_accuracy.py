"""Time the fast recipe against the training whose accuracy it is to reach.

    python examples/benchmarks/time_to_accuracy.py --out results/benchmarks/time_to_accuracy.json

That is OPeN at scale "cpu_wrn16" of the reproduction: WRN-16-2, 62 epochs. Of both one plain epoch
and one with noise are timed, in turns, on a tenth of the images; a whole training is so many of
each. How accurate they become is in results/reproduction (docs/fast_recipe.md).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from _common import (
    CIFAR10_LT,
    add_data_options,
    long_tailed_images,
    make_parser,
    parse,
    print_race,
    report,
    summarize,
)

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet
from sklearn_open.plan import resolve_epoch

FAST, SLOW = "cifar10_lt_fast", "cpu_wrn16"


def classifiers() -> dict[str, OPeNClassifier]:
    """Return both, as they are trained on all rows."""
    slow = OPeNClassifier.from_recipe(
        "cifar10_lt_ir100",
        module=WideResNet,
        module__depth=16,
        module__widen_factor=2,
        max_epochs=62,
        start_epoch=50 / 62,
        lr_milestones=(50 / 62,),
        lr_decay=0.1,
        augment="cutout",
    )
    return {FAST: OPeNClassifier.from_recipe(FAST), SLOW: slow}


def seconds_of_training(clf: OPeNClassifier, X: np.ndarray, y: np.ndarray) -> float:
    """Return how long a training on all of CIFAR-10-LT takes: so many epochs of either kind."""
    early = resolve_epoch(clf.start_epoch, clf.max_epochs)
    late = clf.max_epochs - early
    params = {"max_epochs": 2, "start_epoch": 1, "warmup_epochs": 0, "lr_milestones": ()}
    short = OPeNClassifier(**{**clf.get_params(), **params, "random_state": 0, "verbose": 0})
    plain, noisy = (epoch["dur"] for epoch in short.fit(X, y).history)
    return float((early * plain + late * noisy) * CIFAR10_LT.sum() / len(X))


def run(args: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Time both in turns."""
    contestants = classifiers()
    for clf in contestants.values():
        seconds_of_training(clf, X[::4], y[::4])  # does not count
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(args.turns):
        names = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in names:
            seconds[name].append(seconds_of_training(contestants[name], X, y))
    passes = {name: clf.max_epochs * int(CIFAR10_LT.sum()) for name, clf in contestants.items()}
    result = summarize(seconds, passes, [(FAST, SLOW)])
    return {**result, "image_passes": passes, "passes_ratio": passes[FAST] / passes[SLOW]}


def main() -> None:
    """Race once."""
    parser = make_parser(__doc__, turns=5)
    add_data_options(parser, rows=1280)
    args = parse(parser)
    if args.quick:
        args.rows = 60
    X, y = long_tailed_images(args)
    result = run(args, X, y)
    report(args, __file__, [{"rows": len(X), **result}])
    print_race("a training on CIFAR-10-LT", result, "images")
    print(f"image passes: {result['passes_ratio']:.2f}")


if __name__ == "__main__":
    main()
