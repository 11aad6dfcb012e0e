"""Time a grid search over delta with and without a cache of the epochs before the start.

    python examples/benchmarks/search.py --out results/benchmarks/search.json

The epochs before `start_epoch` do not depend on `delta`: with `memory`, the fits of a search that
share them train them once. Both searches must find the same scores. "ideal" is the ratio of the
numbers of epochs that are trained.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np
from _common import (
    Contestant,
    add_data_options,
    long_tailed_images,
    make_parser,
    parse,
    print_race,
    report,
    summarize,
)
from sklearn.model_selection import GridSearchCV

from sklearn_open import OPeNClassifier, backbones
from sklearn_open.plan import resolve_epoch

DELTAS = [0, 1 / 6, 1 / 3, 1 / 2, 1]


def search(
    args: argparse.Namespace, X: np.ndarray, y: np.ndarray, memory: str | None
) -> GridSearchCV:
    """Run the search."""
    clf = OPeNClassifier(
        getattr(backbones, args.backbone),
        max_epochs=args.epochs,
        lr=0.05,
        random_state=0,
        verbose=0,
        memory=memory,
    )
    return GridSearchCV(clf, {"delta": DELTAS}, cv=args.folds, error_score="raise").fit(X, y)


def scores(found: GridSearchCV) -> dict[str, list[float]]:
    """Return every score of a search."""
    columns = [name for name in found.cv_results_ if name.endswith("test_score")]
    return {name: np.asarray(found.cv_results_[name]).tolist() for name in columns}


def run(args: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Time both searches in turns, each turn with an empty cache, and compare their scores."""
    seconds: dict[str, list[float]] = {"with memory": [], "without": []}
    found: dict[str, Any] = {}

    def keep(name: str, memory: str | None) -> None:
        found[name] = scores(search(args, X, y, memory))

    for _ in range(args.turns):
        with tempfile.TemporaryDirectory() as folder:
            for name, memory in (("with memory", folder), ("without", None)):
                timed = Contestant(lambda: None, lambda: keep(name, memory), 1)  # noqa: B023
                seconds[name].append(timed.seconds())
        if found["with memory"] != found["without"]:
            raise AssertionError(f"the scores differ: {found}")

    n_fits = len(DELTAS) * args.folds + 1  # and the one on all rows
    result = summarize(seconds, dict.fromkeys(seconds, n_fits), [("with memory", "without")])
    early = resolve_epoch(0.8, args.epochs)
    late = args.epochs - early
    # In numbers of rows: a fold's fit sees (folds - 1) / folds of them, the last fit all.
    share = (args.folds - 1) / args.folds
    without = len(DELTAS) * args.folds * share * args.epochs + args.epochs
    cached = args.folds * share * (early + len(DELTAS) * late) + args.epochs
    return {**result, "ideal_ratio": round(cached / without, 4), "scores": found["without"]}


def main() -> None:
    """Race once."""
    parser = make_parser(__doc__, turns=3)
    parser.add_argument("--backbone", choices=["SmallCNN", "wrn16_2"], default="SmallCNN")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    add_data_options(parser, rows=1280)
    args = parse(parser)
    if args.quick:
        args.rows, args.epochs, args.folds = 60, 5, 2
    X, y = long_tailed_images(args)
    setting = {"backbone": args.backbone, "rows": len(X), "deltas": DELTAS}
    result = run(args, X, y)
    report(args, __file__, [{**setting, **result}])
    print_race(f"{args.backbone}, {len(DELTAS)} deltas, {args.folds} folds", result, "fits")
    print(f"ideal ratio: {result['ideal_ratio']:.3f}; the scores are the same")


if __name__ == "__main__":
    main()
