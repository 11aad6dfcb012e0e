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

from published import GAINS, TABLES
from runs import Kind, Setting, load, mean_and_error

NAMES = {
    "erm": "ERM",
    "rs": "Oversampling",
    "drs": "DRS",
    "open": "OPeN",
    "open-all": 'OPeN, noise_grad="all"',
    "open-aux": "OPeN, auxiliary BN",
    "open-standard": "OPeN, standard BN",
    "appended": "noise 1:4",
}
OVERALL, SMALLEST = 0, 1  # columns of the runs
PARTS = ("overall", "smallest 20%")
AUGMENTATIONS = ("flip_crop", "cutout", "simclr", "autoaugment")  # Fig. 3
NORMS = ("open-standard", "open-aux", "open", "open-all")  # Table 4
PAIRS = [
    ("open", "erm"),
    ("open", "drs"),
    ("drs", "erm"),
    ("open", "open-all"),
    ("open", "open-standard"),
    ("open", "open-aux"),
    ("open-all", "open-standard"),
    ("open-all", "open-aux"),
    ("appended", "erm"),
]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; none where there are no rows."""
    lines = (header, ["---"] * len(header), *rows)
    return [f"| {' | '.join(line)} |" for line in lines] if rows else []


def parts_of(setting: Setting) -> tuple[int, ...]:
    """Return which columns say something: balanced data has no smallest classes."""
    return (OVERALL,) if setting.balanced else (OVERALL, SMALLEST)


def accuracies(
    setting: Setting,
    methods: Sequence[str],
    augments: Sequence[str | None] = (None, "autoaugment"),
) -> list[str]:
    """Return a table of methods, with the scale's augmentation and others in its place."""
    published = TABLES.get(setting.data, {})
    parts = parts_of(setting)
    rows = []
    for augment, method in product(augments, methods):
        runs = setting.runs(Kind(method, augment))
        if len(runs):
            name = NAMES[method] + (", AutoAugment" if augment else "")
            numbers = [mean_and_error(runs, column) for column in parts]
            paper = published.get((method, augment is not None), "")
            rows.append([name, str(len(runs)), *numbers, paper])
    header = ["", "seeds", *(PARTS[column] for column in parts), "paper, overall"]
    return markdown(header, rows)


def differences(setting: Setting) -> list[str]:
    """Return a table of differences between methods, paired by seed."""
    published = GAINS.get(setting.data, {})
    parts = parts_of(setting)
    rows = []
    for augment, (one, other) in product((None, "autoaugment"), PAIRS):
        pairs = setting.differences(Kind(one, augment), Kind(other, augment))
        if len(pairs):
            name = f"{NAMES[one]} - {NAMES[other]}" + (", AutoAugment" if augment else "")
            numbers = [mean_and_error(pairs, column, "+") for column in parts]
            paper = ("", "")
            if (augment is not None) == setting.balanced:  # the published ones are of these
                paper = published.get((one, other), paper)
            rows.append([name, str(len(pairs)), *numbers, *(paper[column] for column in parts)])
    columns = [PARTS[column] for column in parts]
    return markdown(["", "seeds", *columns, *(f"paper, {name}" for name in columns)], rows)


def augmentations(setting: Setting) -> list[str]:
    """Return a table of augmentations, by overall accuracy (Fig. 3)."""
    methods = ("erm", "drs", "open")
    rows = []
    for augment in AUGMENTATIONS:
        given = None if augment == setting.augment else augment
        runs = [setting.runs(Kind(method, given)) for method in methods]
        if all(len(found) for found in runs):
            pairs = setting.differences(Kind("open", given), Kind("drs", given))
            numbers = [mean_and_error(found, OVERALL) for found in runs]
            rows.append([augment, str(len(pairs)), *numbers, mean_and_error(pairs, OVERALL, "+")])
    header = ["augmentation", "seeds", *(NAMES[method] for method in methods), "OPeN - DRS"]
    return markdown(header, rows) if len(rows) > 1 else []


def strengths(setting: Setting) -> list[float]:
    """Return the strengths of additive noise that there are results of."""
    return sorted({kind.sigma for kind in setting.accuracy if kind.sigma is not None})


def additive_noise(setting: Setting) -> list[str]:
    """Return a table of strengths of additive noise, and pure noise (Fig. 6)."""
    rows = []
    for sigma in [*strengths(setting), None] if strengths(setting) else []:
        runs = [setting.runs(Kind(m, sigma=sigma)) for m in ("open", "open-standard")]
        cells = [
            mean_and_error(found, column) if len(found) else ""
            for found, column in product(runs, (OVERALL, SMALLEST))
        ]
        n_runs = "/".join(dict.fromkeys(str(len(found)) for found in runs))
        rows.append(["pure noise" if sigma is None else f"{sigma:g}", n_runs, *cells])
    norms = ("DAR-BN", "standard BN")
    columns = [f"{norm}, {part}" for norm, part in product(norms, PARTS)]
    return markdown(["sigma", "seeds", *columns], rows)


def groups(setting: Setting) -> list[str]:
    """Return a table of groups of classes, smallest first (Fig. 7)."""
    rows = []
    for method in ("erm", "drs", "open"):
        runs = setting.runs(Kind(method))
        if len(runs):
            cells = [mean_and_error(runs, column) for column in range(1, runs.shape[1])]
            rows.append([NAMES[method], str(len(runs)), *cells])
    return markdown(["", "seeds", *(f"group {g}" for g in range(1, 6))], rows)


def tables(setting: Setting) -> dict[str, list[str]]:
    """Return all tables of a setting that there are results for, by title."""
    if setting.balanced:
        found = {
            "Balanced data": accuracies(setting, ("erm", "appended")),
            "Differences": differences(setting),
        }
    else:
        found = {
            "Table 1": accuracies(setting, ("erm", "rs", "drs", "open", "open-all")),
            "Table 4": accuracies(setting, NORMS, augments=(None,)),
            "Differences": differences(setting),
            "Fig. 3": augmentations(setting),
            "Fig. 6": additive_noise(setting),
            "Fig. 7": groups(setting),
        }
    return {title: lines for title, lines in found.items() if lines}


def main() -> None:
    """Print all tables of all settings, and draw the figures if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of JSON files")
    parser.add_argument("--figures", type=Path, help="folder for pictures; needs matplotlib")
    args = parser.parse_args()
    for setting in load(args.results):
        print(f"\n# {setting.title}")
        for title, lines in tables(setting).items():
            print(f"\n{title}\n")
            print("\n".join(lines))
        if args.figures is not None:
            from figures import draw

            for path in draw(setting, args.figures):
                print(f"\n{path}")


if __name__ == "__main__":
    main()
