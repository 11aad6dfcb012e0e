"""Print the paper's Table 1 and Table 4 from the results of run.py, published numbers beside.

    python examples/reproduction/table.py results/reproduction

Numbers are mean and standard error over the seeds that there are, in percent. The published ones
(means and standard errors of four runs) are of WRN-28-10 and 200 epochs, whatever the scale here.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

# Tables 1 and 4, by data set and method; "drs" is in no table of the paper.
PUBLISHED = {
    ("cifar10", 100): {
        "erm": "79.6 ± 0.2",
        "rs": "75.1 ± 0.4",
        "open": "84.6 ± 0.2",
        "open-aux": "83.38 ± 0.16",
        "open-standard": "81.45 ± 0.70",
    },
    ("cifar10", 50): {"erm": "84.9 ± 0.4", "rs": "82.2 ± 0.4", "open": "87.9 ± 0.2"},
    ("cifar100", 100): {
        "erm": "47.0 ± 0.5",
        "rs": "42.5 ± 0.3",
        "open": "51.5 ± 0.4",
        "open-aux": "50.13 ± 0.06",
        "open-standard": "49.18 ± 0.54",
    },
    ("cifar100", 50): {"erm": "52.4 ± 0.4", "rs": "48.0 ± 0.2", "open": "56.3 ± 0.4"},
}
ORDER = ("erm", "rs", "drs", "open", "open-all", "open-aux", "open-standard")


def load(folder: Path) -> dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]]:
    """Return the runs in a folder, by setting and method."""
    found: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        run = json.loads(path.read_text())
        given = run["arguments"]
        names = ("scale", "dataset", "imbalance_ratio", "augment", "epochs")
        setting = tuple(given[name] for name in names)
        found[setting].setdefault(given["method"], []).append(run)
    return found


def mean_and_error(values: list[float]) -> str:
    """Return mean and standard error in percent; of one value, the value alone."""
    percent = 100 * np.array(values)
    if len(percent) == 1:
        return f"{percent[0]:.1f}"
    return f"{percent.mean():.1f} ± {percent.std(ddof=1) / np.sqrt(len(percent)):.1f}"


def table(setting: tuple[Any, ...], methods: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the lines of one table in Markdown."""
    published = PUBLISHED.get((setting[1], int(setting[2])), {})
    lines = ["| method | seeds | overall | smallest 20% of classes | published, overall |"]
    lines.append("|---|---|---|---|---|")
    for method in (name for name in ORDER if name in methods):
        runs = methods[method]
        overall = mean_and_error([run["accuracy"] for run in runs])
        smallest = mean_and_error([run["group_accuracy"][0] for run in runs])
        cells = [method, str(len(runs)), overall, smallest, published.get(method, "")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print a table for every setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of JSON files")
    args = parser.parse_args()
    for setting, methods in load(args.results).items():
        scale, dataset, ratio, augment, epochs = setting
        budget = "" if epochs is None else f", {epochs} epochs"
        print(f"\n{dataset}, ratio {ratio:g}, {augment}, scale {scale}{budget}\n")
        print("\n".join(table(setting, methods)))


if __name__ == "__main__":
    main()
