"""Print tables of what study.py has written, and draw heads against tails.

    python examples/reproduction/study_tables.py results/study --figures docs/study

Numbers are mean and standard error over the seeds, in percent. Differences are taken seed by seed.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from runs import mean_and_error, standard_error
from table import markdown

PARTS = ("overall", "smallest", "largest", "worst_class")
SHOWN = {
    "overall": "overall",
    "smallest": "smallest 20%",
    "largest": "largest 20%",
    "worst_class": "worst class",
    "calibration_error": "calibration error",
    "pairwise_auc": "pairwise AUC",
    "pairwise_auc_smallest": "pairwise AUC, smallest 20%",
}
PROBES = {
    "probe_of_training_rows": "probe of training rows",
    "probe_of_test_rows": "probe of test rows",
}
COLORS = ("#555555", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")

Results = list[dict[str, Any]]


def load(folder: Path) -> dict[str, Results]:
    """Return the results in a folder, seed by seed, by setting."""
    found: dict[str, Results] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        setting = result["setting"]
        budget = "" if setting["epochs"] is None else f"_{setting['epochs']}epochs"
        found[f"{setting['scale']}_{setting['recipe']}{budget}"].append(result)
    return {name: sorted(results, key=lambda one: one["seed"]) for name, results in found.items()}


def methods_of(results: Results) -> list[str]:
    """Return the methods of all seeds, in the order of the results."""
    return list(dict.fromkeys(method for result in results for method in result["methods"]))


def shown_as(method: str) -> str:
    """Return the name of a method as the library has it."""
    return method.replace("-", "_")


def values(results: Results, method: str, *path: str) -> dict[int, float]:
    """Return one measure of a method by seed, in percent."""
    found = {}
    for result in results:
        if method in result["methods"]:
            value: Any = result["methods"][method]
            for name in path:
                value = value[name]
            found[result["seed"]] = 100 * value
    return found


def cell(found: dict[int, float], sign: str = "") -> str:
    """Return mean and standard error as text."""
    return mean_and_error(np.array([*found.values()])[:, None], 0, sign)


def row(results: Results, method: str, paths: list[tuple[str, ...]]) -> list[str]:
    """Return a method's row of a table: its name, seeds and measures."""
    found = [values(results, method, *path) for path in paths]
    return [shown_as(method), str(len(found[0])), *map(cell, found)]


# --- tables ---


def strengths(results: Results, method: str) -> str:
    """Return the strength that was chosen on validation rows."""
    taus = {one["methods"][method]["tau"] for one in results if method in one["methods"]}
    return ", ".join(f"{tau:g}" for tau in sorted(taus))


def measured(results: Results, at: str) -> list[str]:
    """Return the table of methods, without ("at_0") or with ("at_tau") logit adjustment."""
    paths = [(at, name) for name in (*PARTS, "calibration_error")]
    rows = [row(results, method, paths) for method in methods_of(results)]
    header = ["", "seeds", *(SHOWN[name] for _, name in paths)]
    if at == "at_tau":
        header.insert(2, "tau")
        for one, method in zip(rows, methods_of(results), strict=True):
            one.insert(2, strengths(results, method))
    return markdown(header, rows)


def learnt(results: Results) -> list[str]:
    """Return the table of what networks can tell apart, whatever their prior."""
    paths: list[tuple[str, ...]] = [("pairwise_auc",), ("pairwise_auc_smallest",)]
    paths += product(PROBES, ("overall", "smallest"))
    names = [SHOWN[path[0]] for path in paths[:2]]
    names += [f"{PROBES[probe]}, {SHOWN[part]}" for probe, part in paths[2:]]
    rows = [row(results, method, paths) for method in methods_of(results)]
    return markdown(["", "seeds", *names], rows)


def differences(results: Results, reference: str) -> list[str]:
    """Return the table of one method minus all others, seed by seed."""
    paths: list[tuple[str, ...]] = [*product(("at_0", "at_tau"), PARTS[:3])]
    paths += [
        ("pairwise_auc",),
        ("probe_of_test_rows", "overall"),
        ("probe_of_test_rows", "smallest"),
    ]
    rows = []
    for method in methods_of(results):
        pairs = []
        for path in paths:
            one, other = (values(results, name, *path) for name in (reference, method))
            pairs.append({seed: one[seed] - other[seed] for seed in one if seed in other})
        if method != reference and pairs[0]:
            cells = [cell(found, "+") for found in pairs]
            name = f"{shown_as(reference)} - {shown_as(method)}"
            rows.append([name, str(len(pairs[0])), *cells])
    names = {"at_0": "as trained", "at_tau": "tau chosen", "probe_of_test_rows": "probe"}
    shown = [", ".join(names.get(name) or SHOWN[name] for name in path) for path in paths]
    return markdown(["", "seeds", *shown], rows)


def swapped(results: Results, at: str) -> list[str]:
    """Return the table of bodies with heads of others: overall and, behind it, smallest 20%."""
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for result in results:
        for swap in result["swaps"]:
            found[swap["body"], swap["head"]].append(swap[at])
    pairs = [pair for pair in found if pair[0] != pair[1]]  # without those that share with nobody
    bodies = [name for name in methods_of(results) if name in {body for body, _ in pairs}]
    heads = [name for name in methods_of(results) if name in {head for _, head in pairs}]
    rows = []
    for body in bodies:
        cells = []
        for head in heads:
            runs = [[100 * one["overall"], 100 * one["smallest"]] for one in found[body, head]]
            means = [mean_and_error(np.array(runs), column) for column in (0, 1) if runs]
            cells.append(" / ".join(means))
        rows.append([f"body of {shown_as(body)}", *cells])
    return markdown(["", *(f"head of {shown_as(head)}" for head in heads)], rows)


def tables(results: Results, reference: str = "open") -> dict[str, list[str]]:
    """Return all tables of a setting, by title."""
    found = {
        "Without logit adjustment": measured(results, "at_0"),
        "Adjusted by the strength chosen on validation rows": measured(results, "at_tau"),
        "What is learnt, whatever the prior": learnt(results),
        f"Differences of {reference}, seed by seed": differences(results, reference),
        "Swaps, without logit adjustment: overall / smallest 20%": swapped(results, "at_0"),
        "Swaps, by the strength of the head's method": swapped(results, "at_tau"),
    }
    return {title: lines for title, lines in found.items() if lines}


# --- the figure ---


def curve(results: Results, method: str, part: str) -> np.ndarray:
    """Return a part of the trade-off, in percent, (n_seeds, n_strengths)."""
    found = [one["methods"][method] for one in results if method in one["methods"]]
    return 100 * np.array([one["trade_off"][part] for one in found])


def figure(results: Results) -> Any:
    """Draw the smallest fifth against the largest, under every strength of logit adjustment."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = made.subplots()
    for place, method in enumerate(methods_of(results)):
        color = COLORS[place % len(COLORS)]
        x, y = curve(results, method, "largest"), curve(results, method, "smallest")
        ax.plot(x.mean(axis=0), y.mean(axis=0), "-", color=color, label=shown_as(method))
        for at, marker in (("at_0", "o"), ("at_tau", "*")):
            mark(ax, results, method, at, marker, color)
    ax.set(xlabel="largest 20% of classes: accuracy, %", ylabel="smallest 20%: accuracy, %")
    ax.grid(alpha=0.3)
    title = "circles: without logit adjustment; stars: strength chosen on validation rows"
    made.legend(frameon=False, ncols=3, loc="outside upper center", title=title)
    return made


def mark(ax: Any, results: Results, method: str, at: str, marker: str, color: str) -> None:
    """Draw a method's mean under one strength, with standard errors where there are seeds."""
    points = [
        np.array([*values(results, method, at, part).values()]) for part in ("largest", "smallest")
    ]
    errors = [None if len(one) < 2 else standard_error(one) for one in points]
    size = 10 if marker == "*" else 6
    x, y = (one.mean() for one in points)
    ax.errorbar(x, y, errors[1], errors[0], fmt=marker, ms=size, capsize=3, color=color)


def draw(name: str, results: Results, folder: Path) -> Path:
    """Write the figure of a setting, and return its path."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_trade_off.png"
    # No version of matplotlib in the file: the same numbers give the same file.
    with matplotlib.rc_context({"savefig.dpi": 100}):
        figure(results).savefig(path, metadata={"Software": None})
    return path


def main() -> None:
    """Print all tables of all settings, and draw the figures if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of JSON files")
    parser.add_argument("--figures", type=Path, help="folder for pictures; needs matplotlib")
    parser.add_argument("--reference", default="open", help="method that others are taken from")
    args = parser.parse_args()
    for name, results in load(args.results).items():
        print(f"\n# {name}")
        for title, lines in tables(results, args.reference).items():
            print(f"\n{title}\n")
            print("\n".join(lines))
        if args.figures is not None:
            print(f"\n{draw(name, results, args.figures)}")


if __name__ == "__main__":
    main()
