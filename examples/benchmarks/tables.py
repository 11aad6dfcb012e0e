"""Print the tables of docs/performance.md, made from the result files alone.

python examples/benchmarks/tables.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "results" / "benchmarks"


def load(name: str) -> list[dict[str, Any]]:
    """Return the results of one file."""
    results: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())["results"]
    return results


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def ratios(name: str, *settings: str) -> list[str]:
    """Return a table of ratios: median, smallest, largest of the turns."""
    rows = [
        [", ".join(str(result[key]) for key in settings), pair]
        + [f"{ratio[part]:.2f}" for part in ("median", "min", "max")]
        for result in load(name)
        for pair, ratio in result["ratios"].items()
    ]
    return table(["run", "ratio of seconds", "median", "min", "max"], rows)


def rates(name: str, *settings: str) -> list[str]:
    """Return a table of images per second."""
    rows = [
        [", ".join(str(result[key]) for key in settings), contestant, f"{found['rate']:.0f}"]
        for result in load(name)
        for contestant, found in result["contestants"].items()
    ]
    return table(["run", "", "images per second"], rows)


def roofline() -> list[str]:
    """Return a table of what the networks reach of the machine's peak."""
    rows = []
    for found in load("roofline"):
        peak = max(found["peak_tflops"].values())
        for kind in ("plain", "open head"):
            share = found[kind]["share_of_peak"]
            numbers = [
                f"{found['gflop_per_image'][kind]:.3f}",
                f"{peak:.2f}",
                f"{100 * share:.0f}%",
            ]
            rows.append([f"{found['backbone']}, {found['precision']}, {kind}", *numbers])
    return table(["network alone", "Gflop per image", "peak, Tflop/s", "share of peak"], rows)


def profile() -> list[str]:
    """Return a table of where the time of an epoch goes."""
    found = load("roofline")
    kinds = list(found[0]["profile"])
    header = ["share of an epoch", *(f"{r['backbone']}, {r['precision']}" for r in found)]
    rows = [[kind, *(f"{100 * r['profile'][kind]:.0f}%" for r in found)] for kind in kinds]
    return table(header, rows)


def memory() -> list[str]:
    """Return a table of resident memory."""
    rows = [
        [result["kind"], f"{result['images']:,}", f"{result['images_mib']:,.0f}"]
        + [f"{result[name]:,.0f}" for name in ("RssAnon", "VmRSS", "VmHWM")]
        for result in load("memory")
    ]
    return table(["", "images", "their MiB", "anonymous", "resident", "system's record"], rows)


def dask_worker() -> list[str]:
    """Return a table of page faults in and outside of a worker of Dask."""
    rows = [
        [result["kind"], f"{result['faults']:,.0f}", f"{result['seconds']:.2f}"]
        for result in load("dask_worker")
    ]
    return table(["a step", "page faults", "seconds"], rows)


def parity() -> list[str]:
    """Return a table of accuracies, mean and standard deviation over seeds."""
    rows = [
        [result["variant"]]
        + [
            f"{100 * result[what]['mean']:.1f} ± {100 * result[what]['std']:.1f}"
            for what in ("accuracy", "smallest_20_percent")
        ]
        for result in load("parity")
    ]
    return table(["", "accuracy", "smallest 20% of classes"], rows)


def tables() -> dict[str, list[str]]:
    """Return all tables in the order of the page, by the name of what they show."""
    epochs = ("epoch_wrn16_2", "epoch_resnet18")
    return {
        "roofline": roofline(),
        "profile": profile(),
        "step": ratios("step", "backbone", "precision"),
        "losses": ratios("step_losses", "backbone", "precision"),
        "translation": ratios("translation", "backbone", "precision"),
        **{name: ratios(name, "backbone", "augment") for name in epochs},
        **{f"{name}, rates": rates(name, "backbone", "augment") for name in epochs},
        "ranks": ratios("ranks", "backbone", "precision"),
        "search": ratios("search", "backbone"),
        "predict": ratios("predict", "backbone"),
        "memory": memory(),
        "dask_worker": dask_worker(),
        "import": ratios("import_time"),
        "parity": parity(),
        "time_to_accuracy": ratios("time_to_accuracy"),
    }


if __name__ == "__main__":
    for title, lines in tables().items():
        print(f"\n{title}\n", *lines, sep="\n")
