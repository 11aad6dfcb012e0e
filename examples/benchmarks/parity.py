"""Compare the accuracy that the fast ways of training reach, over several seeds.

    python examples/benchmarks/parity.py --out results/benchmarks/parity.json

On CIFAR-10-LT, every seed is trained in float32, in "auto" precision, with compiled steps, and from
a `memory` that another fit has filled, which gives the same bits. Numbers are accuracies on the
balanced test set.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _common import _ZIP, long_tailed_images, make_parser, parse, print_table, report, significant

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet
from sklearn_open.datasets import load_image_folder
from sklearn_open.metrics import equal_group_accuracy

VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "auto": {"precision": "auto"},
    "auto, compiled": {"precision": "auto", "compile": True},
    "auto, from memory": {"precision": "auto"},
}


def accuracies(name: str, seed: int, args: Any, data: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """Train one variant with one seed."""
    X, y, X_test, y_test = data
    with tempfile.TemporaryDirectory() as folder:
        make = partial(
            OPeNClassifier,
            WideResNet,
            module__depth=10,
            module__widen_factor=1,
            max_epochs=args.epochs,
            augment="cutout",
            lr_decay=0.1,
            random_state=seed,
            verbose=0,
            memory=folder if "memory" in name else None,
            **VARIANTS[name],
        )
        if "memory" in name:
            make(delta=0).fit(X, y)
        start = time.perf_counter()
        clf = make().fit(X, y)
        seconds = time.perf_counter() - start
    predicted = clf.predict(X_test)
    smallest = equal_group_accuracy(y_test, predicted, y_train=y)[0]
    return {
        "seed": seed,
        "accuracy": float(np.mean(predicted == y_test)),
        "smallest_20_percent": float(smallest),
        "seconds": significant(seconds),
    }


def main() -> None:
    """Train every variant with every seed."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, default=_ZIP, help="image folder or zip of CIFAR-10")
    parser.add_argument("--rows", type=int, help="about how many of 12,406 images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    args = parse(parser)
    rng = np.random.default_rng(0)
    if args.quick:
        args.rows, args.epochs, args.seeds = 60, 2, 2
        X_test, y_test = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10
    else:
        X_test, y_test = load_image_folder(args.data, subset="test", return_X_y=True)
    data = (*long_tailed_images(args), X_test.transpose(0, 3, 1, 2), y_test)

    results = []
    for name in VARIANTS:
        runs = [accuracies(name, seed, args, data) for seed in range(args.seeds)]
        summary = {
            what: {
                "mean": significant(float(np.mean([run[what] for run in runs]))),
                "std": significant(float(np.std([run[what] for run in runs], ddof=1))),
            }
            for what in ("accuracy", "smallest_20_percent")
        }
        results.append({"variant": name, **summary, "runs": runs})
        report(args, __file__, results)
    header = ["", "accuracy", "std", "smallest 20% of classes", "std", "seconds"]
    rows = [
        [
            result["variant"],
            *(
                f"{100 * result[what][part]:.2f}"
                for what in ("accuracy", "smallest_20_percent")
                for part in ("mean", "std")
            ),
            f"{np.mean([run['seconds'] for run in result['runs']]):.0f}",
        ]
        for result in results
    ]
    print_table([header, *rows])


if __name__ == "__main__":
    main()
