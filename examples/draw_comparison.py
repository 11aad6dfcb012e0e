"""The picture of a comparison, from the results.json that the command has written.

python examples/draw_comparison.py results/comparisons/cifar10_2000.json picture.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np

from sklearn_open.inspection import MethodComparisonDisplay

matplotlib.use("agg")


def display_of(results: dict) -> MethodComparisonDisplay:
    """Return the display of the numbers of a comparison by balanced accuracy."""
    recalls = np.array(results["recalls"], dtype=float)  # methods, folds, classes
    order = np.argsort(results["class_count"], kind="stable")
    errors = {row["method"]: row["standard_error"] for row in results["table"]}
    return MethodComparisonDisplay(
        100 * np.array(results["scores"]),
        np.nanmean(recalls, axis=1)[:, order],
        methods=results["methods"],
        columns=[results["classes"][i] for i in order],
        standard_errors=[100 * errors[name] for name in results["methods"]],
        score_name="balanced accuracy, %",
    )


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    display = display_of(json.loads(args.results.read_text())).plot()
    display.figure_.savefig(args.picture, dpi=100)


if __name__ == "__main__":
    main()
