"""Train plain (ERM), with deferred over-sampling (DRS) or with OPeN on long-tailed CIFAR-10.

The images come from an image folder (or a zip of one) with train/<class>/ and test/<class>/, or,
without --data, from torchvision, which downloads them once:

    python examples/cifar10_lt.py --method open --epochs 30 --json open.json
    python examples/cifar10_lt.py --method all --data cifar10-images.zip --json results.json

The subset is LDAM's (imbalance ratio 100 by default). Every method gets the same seed, so the
epochs before --start-epoch are the same in all of them. Ctrl-C or SIGTERM ends the script after the
step in work; methods that had finished are in the file of --json.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
import skorch
import torch

import sklearn_open
from sklearn_open import OPeNClassifier, backbones
from sklearn_open.datasets import fetch_cifar10_lt, load_image_folder, make_long_tailed
from sklearn_open.metrics import equal_group_accuracy
from sklearn_open.recipes import method_parameters

METHODS = {name.replace("_", "-"): name for name in ("erm", "drs", "open", "open_all")}
BACKBONES = {name: getattr(backbones, name) for name in ("wrn16_2", "wrn28_10", "resnet32")}


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return long-tailed training images with labels, and the balanced test set."""
    if args.data is None:
        X, y = fetch_cifar10_lt(imbalance_ratio=args.imbalance_ratio, return_X_y=True)
        X_test, y_test = fetch_cifar10_lt(subset="test", return_X_y=True)
    else:
        X, y = load_image_folder(args.data, subset="train", return_X_y=True)
        X, y = make_long_tailed(X, y, imbalance_ratio=args.imbalance_ratio)
        X_test, y_test = load_image_folder(args.data, subset="test", return_X_y=True)
    return X, y, X_test, y_test


def run(method: str, args: argparse.Namespace, data: tuple[np.ndarray, ...]) -> dict:
    """Train one method and return what there is to know about it."""
    X, y, X_test, y_test = data
    clf = OPeNClassifier(
        BACKBONES[args.backbone],
        max_epochs=args.epochs,
        start_epoch=args.start_epoch,
        lr_decay=args.lr_decay,
        augment=args.augment,
        random_state=args.seed,
        verbose=args.verbose,
        **method_parameters(METHODS[method]),
    )
    start = time.perf_counter()
    if clf.fit(X, y).interrupted_:
        raise KeyboardInterrupt  # a network that is trained in part gives no result
    seconds = time.perf_counter() - start
    y_pred = clf.predict(X_test)
    groups = equal_group_accuracy(y_test, y_pred, y_train=y)
    return {
        "method": method,
        "accuracy": float(np.mean(y_pred == y_test)),
        "group_accuracy": groups.tolist(),
        "class_accuracy": [float(np.mean(y_pred[y_test == c] == c)) for c in range(10)],
        "train_loss": [round(loss, 4) for loss in clf.history[:, "train_loss"]],
        "seconds": round(seconds, 1),
    }


def report(args: argparse.Namespace, y: np.ndarray, results: list[dict]) -> dict:
    """Return results together with all that is needed to repeat them."""
    return {
        "script": "examples/cifar10_lt.py",
        "arguments": {k: v.name if isinstance(v, Path) else v for k, v in vars(args).items()},
        "images": "torchvision" if args.data is None else Path(args.data).name,
        "class_counts": np.bincount(y).tolist(),
        "versions": {
            "sklearn_open": sklearn_open.__version__,
            "torch": torch.__version__,
            "skorch": skorch.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
        "results": results,
    }


def print_table(results: list[dict]) -> None:
    """Print accuracy overall and by class group, smallest classes first."""
    print("| method | overall | " + " | ".join(f"group {g}" for g in range(1, 6)) + " |")
    print("|---" * 7 + "|")
    for result in results:
        cells = [result["accuracy"], *result["group_accuracy"]]
        print(f"| {result['method']} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="image folder or zip; default: torchvision")
    parser.add_argument("--method", type=str.lower, choices=[*METHODS, "all"], default="open")
    parser.add_argument("--backbone", choices=list(BACKBONES), default="wrn16_2")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--start-epoch", type=float, default=0.8, help="share of the epochs")
    parser.add_argument("--lr-decay", type=float, default=0.01)
    parser.add_argument("--augment", default="cutout")
    parser.add_argument("--imbalance-ratio", type=float, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--verbose", type=int, default=2)
    args = parser.parse_args()
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
    return args


def main() -> None:
    """Train what was asked for; write the results after every method, so that none is lost."""
    args = parse_args()
    data = load(args)
    results: list[dict] = []
    for method in ("erm", "drs", "open") if args.method == "all" else (args.method,):
        results.append(run(method, args, data))
        if args.json is not None:
            whole = args.json.with_name(args.json.name + ".tmp")  # an interrupt would leave a part
            whole.write_text(json.dumps(report(args, data[1], results), indent=1) + "\n")
            whole.replace(args.json)
    print_table(results)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: fits end after a step
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped; methods that had finished are in the file of --json.", file=sys.stderr)
        sys.exit(130)
