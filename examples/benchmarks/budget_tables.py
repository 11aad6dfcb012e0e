"""The tables of docs/budget.md, from the results of budget.py.

python examples/benchmarks/budget_tables.py results/budget
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETS = {
    "digits_lt": "digits, long tail",
    "digits": "digits",
    "tiles": "tiles",
    "cifar_500": "CIFAR-10-LT, part",
    "cifar_2000": "CIFAR-10-LT, part",
    "cifar_12406": "CIFAR-10-LT",
}
SEEN = tuple(1000 * 2**k for k in range(1, 8))  # images, to the nearest power


def load(folder: Path) -> list[dict[str, Any]]:
    """Return all trainings, data set by data set."""
    paths = [folder / f"{name}.json" for name in SETS]
    return [r for path in paths if path.exists() for r in json.loads(path.read_text())["results"]]


def tables(folder: Path) -> dict[str, list[str]]:
    """Return the lines of each table."""
    results = load(folder)
    made = {f"ladder {method}": _ladder(results, method) for method in ("erm", "open")}
    return {**made, "schedules": _schedules(results), "recipe": _recipe(results)}


def _ladder(results: Sequence[dict[str, Any]], method: str) -> list[str]:
    head = ["data", "rows", "batch", *(f"{n // 1000},000" for n in SEEN)]
    rows = {}
    for r in results:
        if r["question"] in ("ladder", "network") and r["method"] == method:
            network = r["settings"].get("module", "")
            name = f"{SETS[r['data']]}{network and f', `{network}`'}"
            row = rows.setdefault((name, r["rows"], r["batch"]), [name, r["rows"], r["batch"]])
            row += [""] * (len(head) - len(row))
            row[3 + SEEN.index(_nearest(r["steps"] * r["batch"]))] = _percent(r)
    return _table(head, rows.values())


def _nearest(seen: int) -> int:
    return min(SEEN, key=lambda n: abs(math.log(n / seen)))


def _schedules(results: Sequence[dict[str, Any]]) -> list[str]:
    found = [r for r in results if r["question"] == "schedule"]
    columns = sorted({(r["steps"], list(SETS).index(r["data"]), r["data"]) for r in found})
    head = ["settings", *(f"{name.partition('_')[0]}, {steps:,}" for steps, _, name in columns)]
    rows: dict[str, list[Any]] = {}
    for r in found:
        text = ", ".join(f"`{name}={_value(value)}`" for name, value in r["settings"].items())
        row = rows.setdefault(text, [text or "defaults", *[""] * len(columns)])
        row[1 + columns.index((r["steps"], list(SETS).index(r["data"]), r["data"]))] = _percent(r)
    return _table(head, rows.values())


def _recipe(results: Sequence[dict[str, Any]]) -> list[str]:
    rows = [
        [
            SETS[r["data"]],
            r["rows"],
            f"`{r['method']}`",
            '"folder"' if "recipe" in r["settings"] else "defaults, 30 epochs",
            f"{r['epochs']} of {-(-r['rows'] // r['rows_of_a_batch'])} steps",
            _percent(r),
        ]
        for r in results
        if r["question"] == "recipe"
    ]
    return _table(["data", "rows", "method", "settings", "epochs", "balanced accuracy"], rows)


def _value(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list) else repr(value)


def _percent(result: dict[str, Any]) -> str:
    return f"{100 * result['balanced_accuracy']:.0f}"


def _table(head: Sequence[str], rows: Any) -> list[str]:
    lines = [" | ".join(str(cell) for cell in row) for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {line} |" for line in lines)]


def main() -> None:
    """Print all."""
    for name, lines in tables(Path(sys.argv[1])).items():
        print(f"\n{name}\n", *lines, sep="\n")


if __name__ == "__main__":
    main()
