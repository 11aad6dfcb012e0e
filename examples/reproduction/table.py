"""Print the paper's tables and figures from results of run.py, published numbers beside.

    python examples/reproduction/table.py results/reproduction --figures docs/reproduction

Numbers are mean and standard error over the seeds, in percent. The published ones are of the
paper's scale, whatever the scale here. Differences are taken seed by seed, as trainings with one
seed share the epochs before noise begins. The same numbers are drawn into ``--figures``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from experiments import METHODS
from overview import overview, twin_of
from published import BALANCED, GAINS, GROUPS, NORMS, TABLES
from runs import OVERALL, SMALLEST, Kind, Setting, load, mean_and_error

NAMES = {
    "erm": "ERM",
    "rs": "Oversampling",
    "ldam-drw": "LDAM-DRW",
    "m2m": "M2m",
    "mislas": "MiSLAS",
    "balms": "BALMS",
    "lade": "LADE",
    "balanced-softmax": "Balanced Softmax",
    "drs": "DRS",
    "open": "OPeN",
    "open-all": 'OPeN, noise_grad="all"',
    "open-aux": "OPeN, auxiliary BN",
    "open-standard": "OPeN, standard BN",
    "appended": "noise 1:4",
}
PARTS = ("overall", "smallest 20%")
OTHERS = ("ldam-drw", "m2m", "mislas", "balms", "lade", "balanced-softmax")
MAIN = ("erm", "rs", *OTHERS, "drs", "open", "open-all")
WITH_NORMS = ("open-standard", "open-aux", "open", "open-all")
AUTOAUGMENT = (None, "autoaugment")
LADDER = ("none", "flip_crop", "cutout", "simclr", "autoaugment")  # Fig. 3
PAIRS = (
    ("open", "erm"),
    ("open", "drs"),
    ("drs", "erm"),
    ("open", "open-all"),
    ("open", "open-standard"),
    ("open", "open-aux"),
    ("open-all", "open-standard"),
    ("open-all", "open-aux"),
)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; none where there are no rows."""
    lines = (header, ["---"] * len(header), *rows)
    return [f"| {' | '.join(line)} |" for line in lines] if rows else []


def name_of(kind: Kind) -> str:
    """Return what a table calls a kind of training."""
    return NAMES[kind.method] + {None: "", "autoaugment": ", AutoAugment"}[kind.augment]


def accuracies(setting: Setting) -> list[str]:
    """Return the table of methods, with and without AutoAugment (Tables 1 to 3)."""
    published = TABLES.get(setting.data, {})
    rows = []
    for augment, method in product(AUTOAUGMENT, MAIN):
        runs = setting.runs(kind := Kind(method, augment))
        if len(runs):
            numbers = [mean_and_error(runs, column) for column in (OVERALL, SMALLEST)]
            paper = published.get((method, augment is not None), "")
            rows.append([name_of(kind), str(len(runs)), *numbers, paper])
    return markdown(["", "seeds", *PARTS, "paper, overall"], rows)


def methods(setting: Setting) -> list[str]:
    """Return the table of all methods, as trained and after post-hoc logit adjustment."""
    kinds = [Kind(name) for name in METHODS if (Kind(name), 1.0) in setting.adjusted]
    rows = []
    for kind in kinds:
        cells = [mean_and_error(setting.runs(kind), column) for column in (OVERALL, SMALLEST)]
        for tau in (0.5, 1.0):
            runs = setting.adjusted_runs(kind, tau)
            cells += [mean_and_error(runs, column) for column in (OVERALL, SMALLEST)]
        rows.append([kind.method.replace("-", "_"), str(len(setting.runs(kind))), *cells])
    ways = ("as trained", "tau 0.5", "tau 1")
    return markdown(["", "seeds", *(f"{way}, {part}" for way, part in product(ways, PARTS))], rows)


def norms(setting: Setting) -> list[str]:
    """Return the table of norm layers (Table 4)."""
    published = NORMS.get(setting.data, {})
    rows = []
    for method in WITH_NORMS:
        runs = setting.runs(kind := Kind(method))
        if len(runs):
            numbers = [mean_and_error(runs, column) for column in (OVERALL, SMALLEST)]
            rows.append([name_of(kind), str(len(runs)), *numbers, published.get(method, "")])
    others = {"open-standard", "open-aux"} & {kind.method for kind in setting.accuracy}
    return markdown(["", "seeds", *PARTS, "paper, overall"], rows if others else [])


def differences(setting: Setting) -> list[str]:
    """Return the table of differences between methods, paired by seed."""
    published = GAINS.get(setting.data, {})
    rows = []
    for augment, (one, other) in product(AUTOAUGMENT, PAIRS):
        pairs = setting.differences(Kind(one, augment), Kind(other, augment))
        if len(pairs):
            name = f"{NAMES[one]} - {name_of(Kind(other, augment))}"
            numbers = [mean_and_error(pairs, column, "+") for column in (OVERALL, SMALLEST)]
            paper = published.get((one, other), ("", "")) if augment is None else ("", "")
            rows.append([name, str(len(pairs)), *numbers, *paper])
    return markdown(["", "seeds", *PARTS, *(f"paper, {part}" for part in PARTS)], rows)


def balanced(setting: Setting) -> list[str]:
    """Return the table of noise on balanced data, and what it gains (section 5)."""
    rows = []
    for augment, method in product(AUTOAUGMENT, ("erm", "appended")):
        runs = setting.runs(kind := Kind(method, augment))
        if len(runs):
            rows.append([name_of(kind), str(len(runs)), mean_and_error(runs, OVERALL), ""])
    both = Kind("appended", "autoaugment")
    published = BALANCED.get(setting.data, ("", ""))
    gains = (
        (both, Kind("erm"), published[0]),
        (both, Kind("erm", "autoaugment"), published[1]),
        (Kind("appended"), Kind("erm"), ""),
    )
    for one, other, paper in gains:
        pairs = setting.differences(one, other)
        if len(pairs):
            name = f"{name_of(one)} - {name_of(other)}"
            rows.append([name, str(len(pairs)), mean_and_error(pairs, OVERALL, "+"), paper])
    return markdown(["", "seeds", "overall", "paper, overall"], rows)


def augmentations(setting: Setting) -> list[str]:
    """Return the table of augmentations, by overall accuracy (Fig. 3)."""
    methods = ("erm", "drs", "open")
    rows = []
    for augment in LADDER:
        given = None if augment == setting.own_augment else augment
        found = [setting.accuracy.get(Kind(method, given), {}) for method in methods]
        if seeds := sorted(set.intersection(*map(set, found))):
            _, drs, open_ = runs = [np.array([one[seed] for seed in seeds]) for one in found]
            numbers = [mean_and_error(one, OVERALL) for one in runs]
            difference = mean_and_error(open_ - drs, OVERALL, "+")
            rows.append([augment, str(len(seeds)), *numbers, difference])
    header = ["augmentation", "seeds", *(NAMES[method] for method in methods), "OPeN - DRS"]
    return markdown(header, rows) if len(rows) > 1 else []


def additive_noise(setting: Setting) -> list[str]:
    """Return the table of strengths of additive noise, and of pure noise (Fig. 6)."""
    found = [setting.additive(method) for method in ("open", "open-standard")]
    rows = []
    for sigma in sorted(set().union(*found)):
        runs = [by_sigma.get(sigma, np.empty((0, 2))) for by_sigma in found]
        cells = [
            mean_and_error(some, column) if len(some) else ""
            for some, column in product(runs, (OVERALL, SMALLEST))
        ]
        n_runs = "/".join(dict.fromkeys(str(len(some)) for some in runs))
        rows.append(["pure noise" if sigma == np.inf else f"{sigma:g}", n_runs, *cells])
    columns = [f"{norm}, {part}" for norm, part in product(("DAR-BN", "standard BN"), PARTS)]
    return markdown(["sigma", "seeds", *columns], rows)


def groups(setting: Setting) -> list[str]:
    """Return the table of groups of classes, smallest first (Fig. 7)."""
    erm, drs, open_ = Kind("erm"), Kind("drs"), Kind("open")
    found = {NAMES[kind.method]: (setting.runs(kind), "") for kind in (erm, drs, open_)}
    found["OPeN - ERM"] = (setting.differences(open_, erm), "+")
    found["OPeN - DRS"] = (setting.differences(open_, drs), "+")
    published = GROUPS.get(setting.data, {})
    rows = []
    for name, (runs, sign) in found.items():
        if len(runs):
            cells = [mean_and_error(runs, column, sign) for column in range(1, runs.shape[1])]
            rows.append([name, str(len(runs)), *cells])
        if len(runs) and name in published:
            rows.append([f"{name}, paper", "4", *published[name]])
    return markdown(["", "seeds", *(f"group {g}" for g in range(1, 6))], rows)


def field(setting: Setting, validation: Setting | None) -> list[str]:
    """Return the table of all methods at the strengths that validation chose."""
    header = [" / ".join(PARTS), "seeds", "as trained", "tau", "at tau"]
    header += ["minus OPeN as trained", "minus OPeN, each at its tau"]
    return markdown(header, overview(setting, validation, [*METHODS]) if validation else [])


def tables(setting: Setting, validation: Setting | None = None) -> dict[str, list[str]]:
    """Return all tables of a setting that there are results for, by title."""
    if setting.balanced:
        return {"Section 5": balanced(setting)}
    number = {"imagenet_lt": 2, "places_lt": 3}.get(setting.data, 1)
    found = {
        "The field": field(setting, validation),
        f"Table {number}": accuracies(setting),
        "Table 4": norms(setting),
        "Differences": differences(setting),
        "Fig. 3": augmentations(setting),
        "Fig. 6": additive_noise(setting),
        "Fig. 7": groups(setting),
        "Methods": [] if validation else methods(setting),
    }
    return {title: lines for title, lines in found.items() if lines}


def main() -> None:
    """Print all tables of all settings, and draw the figures if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of JSON files")
    parser.add_argument("--figures", type=Path, help="folder for pictures; needs matplotlib")
    args = parser.parse_args()
    settings = load(args.results)
    for setting in settings:
        print(f"\n# {setting.title}")
        for title, lines in tables(setting, twin_of(setting, settings)).items():
            print(f"\n{title}\n")
            print("\n".join(lines))
        if args.figures is not None:
            from figures import draw

            for path in draw(setting, args.figures):
                print(f"\n{path}")


if __name__ == "__main__":
    main()
