"""Print whether what holds for plain training and OPeN on one ground holds on others.

    python examples/reproduction/grounds.py

Others are longer training, another imbalance ratio, other networks and no augmentation, with the
strengths of logit adjustment that validation rows chose on the first. A ground without results is
left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from experiments import Experiment
from overview import chosen_tau, runs_at, twin_of
from runs import OVERALL, SMALLEST, Kind, Setting, load, mean_and_error
from table import markdown

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
METHODS = ("erm", "open")


def setting_of(one: Experiment, settings: list[Setting]) -> Setting:
    """Return the test runs on an experiment's ground; a setting without runs if there are none."""
    key = one.scale, one.data_name, one.epochs, one.own_augment, False, one.module
    empty = Setting(*key)
    return next((s for s in settings if s.ground == empty.ground and not s.validation), empty)


def by_seed(setting: Setting, kind: Kind, tau: float) -> dict[int, np.ndarray]:
    """Return accuracies by seed, as trained for a `tau` of 0, else adjusted."""
    found = setting.accuracy.get(kind, {})
    if not tau or not found:
        return found
    return dict(zip(sorted(found), runs_at(setting, kind, tau), strict=True))


def cell(runs: np.ndarray, sign: str = "") -> str:
    """Return overall accuracy and that of the smallest classes."""
    return " / ".join(mean_and_error(runs, column, sign) for column in (OVERALL, SMALLEST))


def row(title: str, setting: Setting, augment: str | None, taus: dict[str, float]) -> list[str]:
    """Return the row of a ground, of the seeds that both methods have; empty without any."""
    found = {
        (method, chosen): by_seed(setting, Kind(method, augment), taus[method] * chosen)
        for chosen in (False, True)
        for method in METHODS
    }
    seeds = sorted(set.intersection(*map(set, found.values())))
    if not seeds:
        return []
    runs = {key: np.array([one[seed] for seed in seeds]) for key, one in found.items()}
    ways = (False, True)
    differences = [runs["open", chosen] - runs["erm", chosen] for chosen in ways]
    return [
        title,
        str(len(seeds)),
        *(cell(runs[method, chosen]) for method in METHODS for chosen in ways),
        *(cell(pairs, "+") for pairs in differences),
    ]


def grounds(results: Path = RESULTS) -> list[str]:
    """Return the lines of the table."""
    settings = load(results)
    first = setting_of(GROUNDS[FIRST], settings)
    validation = twin_of(first, settings)
    chosen = {method: chosen_tau(first, validation, Kind(method)) for method in METHODS}
    taus = {method: tau for method, tau in chosen.items() if tau is not None}
    if taus.keys() != chosen.keys():
        raise SystemExit(f"There are no validation runs of {FIRST} in {results}.")
    rows = [
        row(title, setting_of(one, settings), one.augment, taus) for title, one in GROUNDS.items()
    ]
    header = ["overall / smallest 20%", "seeds"]
    for method in METHODS:
        header += [method, f"{method}, tau {taus[method]:g}"]
    header += ["open - erm", "open - erm, each with its tau"]
    return markdown(header, [one for one in rows if one])


if __name__ == "__main__":
    print("\n".join(grounds()))
