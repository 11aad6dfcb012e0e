"""Find how many steps small data sets need: the ground of ``max_epochs="auto"``.

    python examples/benchmarks/budget.py --data cifar10.zip --out results/budget

Balanced accuracy on rows held out, over numbers of steps, sizes of batches, and schedules. Each
training is kept when it is done, one file for each data set in the folder ``--out``; a run that is
begun again skips those that are there. budget_tables.py prints what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _common import CIFAR10_LT, make_parser, parse, report
from _tiles import make_tiles
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from sklearn_open.datasets import load_image_folder, make_long_tailed
from sklearn_open.recipes import make_classifier

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
DATA = ("digits_lt", "digits", "tiles", "cifar_500", "cifar_2000", "cifar_12406")
SMALL = DATA[:5]
LADDER = (60, 120, 250, 500, 1000, 2000)


# --- data ---


def digits(long_tailed: bool) -> Data:
    """Return half of the digits to train on, 8x8 pixels: as they are, or with a long tail."""
    X, y = load_digits(return_X_y=True)
    halves = train_test_split(X.reshape(-1, 8, 8), y, test_size=0.5, stratify=y, random_state=0)
    X, X_test, y, y_test = halves
    if long_tailed:
        X, y = make_long_tailed(X, y, imbalance_ratio=20)
    return X, y, X_test, y_test


def cifar(path: Path | None, n_rows: int) -> Data:
    """Return about so many images with the class shares of CIFAR-10-LT, and 200 of each class."""
    if path is None:
        raise SystemExit("cifar_... needs --data, an image folder or zip file of CIFAR-10.")
    X, y = load_image_folder(path, subset="train", return_X_y=True)
    X, y = make_long_tailed(X, y, imbalance_ratio=100)
    counts = np.maximum(np.round(CIFAR10_LT * n_rows / CIFAR10_LT.sum()).astype(int), 2)
    rows = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate(counts)])
    X_test, y_test = load_image_folder(path, subset="test", return_X_y=True)
    held_out = np.concatenate([np.flatnonzero(y_test == c)[:200] for c in range(10)])
    return X[rows], y[rows], X_test[held_out], y_test[held_out]


def load(name: str, path: Path | None, quick: bool) -> Data:
    """Return rows to train on and rows held out."""
    if name == "tiles":
        return (*make_tiles(quick=quick, random_state=0), *make_tiles([100] * 6, random_state=1))
    kind, _, rest = name.partition("_")
    return digits(rest == "lt") if kind == "digits" else cifar(path, int(rest))


# --- trainings ---


@dataclass(frozen=True)
class Cell:
    """One training.

    Parameters
    ----------
    question : {"ladder", "schedule", "network", "recipe"}
        What it is compared for.
    data, method : str
        Data set and method.
    batch, steps : int or None
        Rows of a batch, and steps; epochs are the whole number that comes nearest. None: "auto".
    seed : int
        `random_state`.
    settings : dict
        Parameters in place of the defaults, and maybe a ``recipe``.
    """

    question: str
    data: str
    method: str
    batch: int | None
    steps: int | None
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


def ladder() -> Iterator[Cell]:
    """Yield trainings of the default settings, fewer of those that take long."""
    for steps in LADDER[:5]:
        for data in SMALL:
            yield Cell("ladder", data, "erm", 32, steps)
            yield Cell("ladder", data, "open", 32, steps)
            yield Cell("ladder", data, "erm", 64, steps)
    for data in SMALL[:2]:
        yield from (Cell("ladder", data, "erm", 128, steps) for steps in LADDER[:5])
        yield from (Cell("ladder", data, method, 32, 2000) for method in ("erm", "open"))
    for data in SMALL[2:]:
        yield Cell("ladder", data, "erm", 128, 250)
        yield Cell("ladder", data, "erm", 64, 2000)
    yield from (Cell("ladder", "tiles", "erm", 128, steps) for steps in LADDER[:2])
    for steps in LADDER[3:]:
        yield Cell("ladder", "cifar_12406", "erm", 64, steps)
    yield from (Cell("ladder", "cifar_12406", "open", 64, steps) for steps in (1000, 2000))


EARLY = {"start_epoch": 0.6, "lr_decay": 0.1}  # at 0.8 and at 0.9, as the paper's
COSINE = {"start_epoch": 0.6, "lr_decay": "cosine"}
TENTHS = {"lr_milestones": (0.5, 0.75), "lr_decay": 0.1}
SCHEDULES: tuple[dict[str, Any], ...] = (
    {},  # the paper's: from 0.8 on, and a hundredth at 0.8 and at 0.9
    COSINE,
    {"start_epoch": 0.8, "lr_decay": "cosine"},
    {"start_epoch": 0.5, "lr_decay": "cosine"},
    {"start_epoch": 0.5, **TENTHS},
    {"start_epoch": 0.6, **TENTHS},
    EARLY,
    {**COSINE, "lr": 0.05},
    {"start_epoch": 0.5, "lr_decay": 0.1},
    {**EARLY, "lr": 0.05},
    {**EARLY, "augment": "flip_crop"},
)
AT_LENGTH: tuple[dict[str, Any], ...] = ({}, EARLY, {**EARLY, "augment": "flip_crop"})


def schedules() -> Iterator[Cell]:
    """Yield trainings of OPeN by different schedules, and some of them for longer."""
    for steps, compared in ((500, SCHEDULES), (1000, AT_LENGTH)):
        for settings in compared:
            for data in ("tiles", "cifar_2000", "digits_lt"):
                if data != "digits_lt" or "augment" not in settings:  # a 6 is no 9
                    yield Cell("schedule", data, "open", 64, steps, settings=settings)


def networks() -> Iterator[Cell]:
    """Yield trainings of a larger network."""
    for steps in (500, 1000):
        yield Cell("network", "tiles", "erm", 32, steps, settings={"module": "wrn16_2"})


def recipes() -> Iterator[Cell]:
    """Yield trainings by the recipe for images of one's own, and by the defaults for 30 epochs."""
    short = {"max_epochs": 30, "batch_size": 128}
    for data in ("tiles", "digits_lt", "cifar_500"):
        for settings in ({"recipe": "folder"}, short):
            yield Cell("recipe", data, "open", None, None, settings=settings)
    for data, method in (("tiles", "crt"), ("digits_lt", "crt"), ("tiles", "erm")):
        yield Cell("recipe", data, method, None, None, settings={"recipe": "folder"})


QUESTIONS = {"ladder": ladder, "schedule": schedules, "network": networks, "recipe": recipes}


def train(cell: Cell, data: Data) -> dict[str, Any]:
    """Train once, and return what came of it."""
    X, y, X_test, y_test = data
    settings: dict[str, Any] = {"random_state": cell.seed, "verbose": 0, **cell.settings}
    if cell.batch is not None and cell.steps is not None:
        epochs = max(1, round(cell.steps / -(-len(X) // cell.batch)))
        settings = {"max_epochs": epochs, "batch_size": cell.batch, **settings}
    start = time.perf_counter()
    clf = make_classifier(method=cell.method, **settings).fit(X, y)
    first = getattr(clf, "first_stage_", clf)
    shares = np.bincount(y) / len(y)
    return {
        **asdict(cell),
        "rows": len(X),
        "epochs": first.max_epochs_,
        "rows_of_a_batch": first.batch_size_,
        "balanced_accuracy": round(balanced_accuracy_score(y_test, clf.predict(X_test)), 4),
        "losses": [round(loss, 4) for loss in first.history[:, "train_loss"][-5:]],
        "loss_of_class_shares": round(float(-(shares * np.log(shares)).sum()), 4),
        "seconds": round(time.perf_counter() - start, 1),
    }


def kept(folder: Path | None, data: str) -> list[dict[str, Any]]:
    """Return what was trained before on a data set."""
    path = None if folder is None else folder / f"{data}.json"
    return json.loads(path.read_text())["results"] if path is not None and path.exists() else []


def is_of(result: dict[str, Any], cell: Cell) -> bool:
    """Whether a result is of this training; JSON has lists for tuples."""
    asked = json.loads(json.dumps(asdict(cell)))
    return all(result[name] == value for name, value in asked.items())


def run(args: argparse.Namespace, cells: list[Cell]) -> None:
    """Train what is not there yet, and keep each result."""
    loaded: dict[str, Data] = {}
    results = {name: kept(args.out, name) for name in DATA}
    folder = args.out
    for cell in cells:
        if any(is_of(result, cell) for result in results[cell.data]):
            continue
        if cell.data not in loaded:
            loaded[cell.data] = load(cell.data, args.data, args.quick)
        result = train(cell, loaded[cell.data])
        results[cell.data].append(result)
        print(*(result[name] for name in ("data", "method", "batch", "steps", "settings")), end=" ")
        print(result["balanced_accuracy"], f"{result['seconds']} s", flush=True)
        args.out = None if folder is None else folder / f"{cell.data}.json"
        report(args, __file__, results[cell.data])


def main() -> None:
    """Run, or print."""
    parser = make_parser(__doc__)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--sets", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--data", type=Path, help="image folder or zip file of CIFAR-10")
    args = parse(parser)
    if args.quick:
        args.sets, args.questions = ("digits_lt", "tiles"), ("ladder",)
    cells = [cell for question in args.questions for cell in QUESTIONS[question]()]
    cells = [cell for cell in cells if cell.data in args.sets]
    if args.quick:
        cells = [c for c in cells if c.steps == 60 and c.batch == 64]
    run(args, cells)


if __name__ == "__main__":
    main()
