"""Print the one table that says most: few rows, each a training that there are three seeds of.

python examples/reproduction/summary.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from experiments import Experiment
from grounds import setting_of
from overview import chosen_tau, runs_at, twin_of
from published import TABLES
from runs import OVERALL, SMALLEST, Kind, Setting, load, mean_and_error
from table import PARTS, markdown

RESULTS = Path(__file__).parents[2] / "results"
ERM, OPEN = Experiment(method="erm", scale="fast"), Experiment(method="open", scale="fast")
OLDER, LONGER = {"scale": "cpu_wrn16"}, {"epochs": 62, "augment": "cutout"}
# Title, folder, training, and whether predictions are adjusted by the strength that validation rows
# chose.
ROWS = (
    ("plain training, WRN-16-2", "reproduction", replace(ERM, **OLDER), False),
    ("OPeN, WRN-16-2", "reproduction", replace(OPEN, **OLDER), False),
    ("plain training, fast recipe", "fast", ERM, False),
    ("the same, prior divided out", "fast", ERM, True),
    ("OPeN, fast recipe", "fast", OPEN, False),
    ("the same, part of the prior divided out", "fast", OPEN, True),
    ("OPeN, fast recipe, 62 epochs with Cutout", "fast", replace(OPEN, **LONGER), False),
    ("the 62 epochs, part of the prior divided out", "fast", replace(OPEN, **LONGER), True),
)
PAPER = {"erm": "plain training, the paper (WRN-28-10)", "open": "OPeN, the paper (WRN-28-10)"}


def row(title: str, setting: Setting, tau: float | None, kind: Kind) -> list[str]:
    """Return a row: what it is, its epochs, and both accuracies."""
    if len(setting.accuracy.get(kind, {})) < 3:
        raise SystemExit(f"{setting.title}, {kind.method}: three seeds are needed for {title!r}.")
    runs = setting.runs(kind) if tau is None else runs_at(setting, kind, tau)
    if tau is not None:
        title += f" (tau {tau:g})"
    epochs = setting.parameters[kind]["max_epochs"]
    return [title, epochs, *(mean_and_error(runs, column) for column in (OVERALL, SMALLEST))]


def summary(results: Path = RESULTS) -> list[str]:
    """Return the lines of the table."""
    rows = []
    for title, folder, one, adjusted in ROWS:
        settings = load(results / folder)
        setting, kind = setting_of(one, settings), Kind(one.method, one.augment)
        tau = chosen_tau(setting, twin_of(setting, settings), kind) if adjusted else None
        if adjusted and tau is None:
            raise SystemExit(f"{setting.title}, {one.method}: there is no validation run.")
        rows.append(row(title, setting, tau, kind))
    published = TABLES["cifar10_lt_ir100"]
    rows += [[title, "200", published[method, False], ""] for method, title in PAPER.items()]
    return markdown(["", "epochs", *PARTS], rows)


if __name__ == "__main__":
    print("\n".join(summary()))
