"""Print whether what holds for plain training, DRS and OPeN on one ground holds on others.

    python examples/reproduction/grounds.py
    python examples/reproduction/grounds.py --scale fast_narrow --results results/table_1

Others are longer training, another imbalance ratio, other networks and no augmentation, with the
strengths of logit adjustment that validation rows chose on the first. A method that has none there
has no column; a ground without results is left out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from experiments import Experiment
from overview import both_of, by_seed, chosen_tau, twin_of
from runs import Kind, Setting, load
from table import PARTS, markdown

RESULTS = Path(__file__).parents[2] / "results" / "fast"
FIRST = "ResNet9, ratio 100, 20 epochs"
GROUNDS = {
    FIRST: Experiment(scale="fast"),
    "62 epochs": Experiment(scale="fast", epochs=62),
    "62 epochs, Cutout": Experiment(scale="fast", epochs=62, augment="cutout"),
    "ratio 50": Experiment(scale="fast", recipe="cifar10_lt_ir50"),
    "group norm, so no DAR-BN": Experiment(scale="fast", module="resnet9-group-norm"),
    "resnet10t of timm": Experiment(scale="fast", module="timm-resnet10t"),
    "no augmentation": Experiment(scale="fast", augment="none"),
}
METHODS = ("erm", "drs", "open")
WAYS = (False, True)  # as trained, and with the strength chosen


def setting_of(one: Experiment, settings: list[Setting]) -> Setting:
    """Return the test runs on an experiment's ground; a setting without runs if there are none."""
    key = one.scale, one.data_name, one.epochs, one.own_augment, False, one.module
    empty = Setting(*key)
    return next((s for s in settings if s.ground == empty.ground and not s.validation), empty)


def row(title: str, setting: Setting, augment: str | None, taus: dict[str, float]) -> list[str]:
    """Return the row of a ground, of the seeds that its methods have in common.

    It is empty where plain training or OPeN is missing; another method that is has empty cells.
    """
    found = {
        (method, way): by_seed(setting, Kind(method, augment), tau * way)
        for (method, tau), way in product(taus.items(), WAYS)
    }
    found = {key: one for key, one in found.items() if one}
    seeds = sorted(set.intersection(*map(set, found.values()))) if found else []
    if not seeds or not {("erm", False), ("open", False)} <= found.keys():
        return []
    runs = {key: np.array([one[seed] for seed in seeds]) for key, one in found.items()}
    others = [method for method in taus if method != "open"]
    cells = [both_of(runs[key]) if key in runs else "" for key in product(taus, WAYS)]
    cells += [
        both_of(runs["open", way] - runs[other, way], "+") if (other, way) in runs else ""
        for other, way in product(others, WAYS)
    ]
    return [title, str(len(seeds)), *cells]


def chosen_on(first: Setting, settings: list[Setting]) -> dict[str, float]:
    """Return the strengths that validation rows chose on a ground, by method."""
    validation = twin_of(first, settings)
    found = {method: chosen_tau(first, validation, Kind(method)) for method in METHODS}
    return {method: tau for method, tau in found.items() if tau is not None}


def grounds(results: Path = RESULTS, scale: str = "fast") -> list[str]:
    """Return the lines of the table."""
    settings = load(results)
    experiments = {title: replace(one, scale=scale) for title, one in GROUNDS.items()}
    taus = chosen_on(setting_of(experiments[FIRST], settings), settings)
    if not {"erm", "open"} <= taus.keys():
        raise SystemExit(f"There are no validation runs of {FIRST} in {results}.")
    rows = [
        row(title, setting_of(one, settings), one.augment, taus)
        for title, one in experiments.items()
    ]
    header = [" / ".join(PARTS), "seeds"]
    for method, tau in taus.items():
        header += [method, f"{method}, tau {tau:g}"]
    for other in [method for method in taus if method != "open"]:
        header += [f"open - {other}", f"open - {other}, each with its tau"]
    return markdown(header, [one for one in rows if one])


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", choices=("fast", "fast_narrow"), default="fast")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON files")
    return parser.parse_args()


if __name__ == "__main__":
    args = parse_args()
    print("\n".join(grounds(args.results, args.scale)))
