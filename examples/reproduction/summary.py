"""Print the one table that says most: few rows, each a training that there are three seeds of.

python examples/reproduction/summary.py
"""

from __future__ import annotations

from pathlib import Path

from overview import chosen_tau, twin_of
from published import TABLES
from runs import OVERALL, SMALLEST, Kind, Setting, load, mean_and_error
from table import PARTS, markdown

RESULTS = Path(__file__).parents[2] / "results"
# Title, folder, scale, method, and whether predictions are adjusted as validation rows have it.
ROWS = (
    ("plain training, WRN-16-2", "reproduction", "cpu_wrn16", "erm", False),
    ("OPeN, WRN-16-2", "reproduction", "cpu_wrn16", "open", False),
    ("plain training, fast recipe", "fast", "fast", "erm", False),
    ("the same, prior divided out", "fast", "fast", "erm", True),
    ("OPeN, fast recipe", "fast", "fast", "open", False),
    ("the same, part of the prior divided out", "fast", "fast", "open", True),
)
PAPER = {"erm": "plain training, the paper (WRN-28-10)", "open": "OPeN, the paper (WRN-28-10)"}


def row(title: str, setting: Setting, tau: float | None, method: str) -> list[str]:
    """Return a row: what it is, its epochs, and both accuracies."""
    kind = Kind(method)
    runs = setting.runs(kind) if tau is None else setting.adjusted_runs(kind, tau)
    if tau is not None:
        title += f" (tau {tau:g})"
    epochs = setting.parameters[kind]["max_epochs"]
    return [title, epochs, *(mean_and_error(runs, column) for column in (OVERALL, SMALLEST))]


def summary(results: Path = RESULTS) -> list[str]:
    """Return the lines of the table."""
    rows = []
    for title, folder, scale, method, adjusted in ROWS:
        settings = load(results / folder)
        (setting,) = [s for s in settings if s.scale == scale and not s.validation]
        tau = chosen_tau(twin_of(setting, settings), Kind(method)) if adjusted else None
        rows.append(row(title, setting, tau, method))
    published = TABLES["cifar10_lt_ir100"]
    rows += [[title, "200", published[method, False], ""] for method, title in PAPER.items()]
    return markdown(["", "epochs", *PARTS], rows)


if __name__ == "__main__":
    print("\n".join(summary()))
