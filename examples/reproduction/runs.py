"""Results of run.py: read, sorted and averaged."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from experiments import Experiment

__all__ = [
    "OVERALL",
    "SMALLEST",
    "Kind",
    "Setting",
    "best_strength",
    "load",
    "mean_and_error",
    "standard_error",
    "without_seeds",
]

OVERALL, SMALLEST = 0, 1  # columns of the runs


@dataclass(frozen=True)
class Kind:
    """What is compared within a setting.

    Parameters
    ----------
    method : str
        One of the methods of experiments.py.
    augment : str or None
        Augmentation in place of the scale's.
    sigma : float or None
        Strength of additive noise in place of pure noise.
    """

    method: str
    augment: str | None = None
    sigma: float | None = None


@dataclass
class Setting:
    """All trainings on one data set at one scale.

    Parameters
    ----------
    scale, data : str
        Scale, and recipe or "cifar10_balanced".
    epochs : int or None
        Budget in place of the scale's.
    own_augment : str
        What a `Kind` without an augmentation was trained with.
    validation : bool
        Whether it was tested on held-out training images.
    module : str or None
        Network in place of the scale's.
    accuracy : dict
        By `Kind` and seed, an array: overall, then groups of classes from the smallest, in percent.
    parameters : dict
        By `Kind`, the parameters that all its seeds were trained with.
    images : list
        Digests of the images and labels that all were trained and tested on, once there are any.
    arithmetic : str or None
        What all were trained in, "bfloat16" or "float32", once there are any.
    adjusted : dict
        By `Kind` and strength of post-hoc logit adjustment, as `accuracy`.
    """

    scale: str
    data: str
    epochs: int | None
    own_augment: str
    validation: bool = False
    module: str | None = None
    accuracy: dict[Kind, dict[int, np.ndarray]] = field(default_factory=lambda: defaultdict(dict))
    parameters: dict[Kind, dict[str, str]] = field(default_factory=dict)
    images: list[dict[str, str]] = field(default_factory=list)
    arithmetic: str | None = None
    adjusted: dict[tuple[Kind, float], dict[int, np.ndarray]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @property
    def ground(self) -> tuple[Any, ...]:
        """What all its trainings have in common, whatever they were tested on."""
        return self.scale, self.data, self.epochs, self.own_augment, self.module

    @property
    def balanced(self) -> bool:
        """Whether all classes have one size."""
        return self.data.endswith("_balanced")

    @property
    def title(self) -> str:
        """What is said above its tables."""
        budget = "" if self.epochs is None else f", {self.epochs} epochs"
        subset = ", tested on validation rows" if self.validation else ""
        network = "" if self.module is None else f", {self.module}"
        return f"{self.data}, scale {self.scale}{network}{budget}{subset}"

    def add(self, result: dict[str, Any]) -> None:
        """Add one training.

        Raises
        ------
        ValueError
            If another seed of the same kind was trained with other parameters, or anything on
            other images or in another arithmetic.
        """
        if self.images and self.images != [result["data"]]:
            raise ValueError(
                f"{result['name']} was trained or tested on other images than others of its "
                "folder: originals and copies, for example. Move one of them away."
            )
        self.images = [result["data"]]
        given, arithmetic = result["experiment"], result["machine"]["arithmetic"]
        if arithmetic != (self.arithmetic or arithmetic):
            raise ValueError(
                f"{result['name']} was trained in {arithmetic}, others of its folder in "
                f"{self.arithmetic}. Move one of them away."
            )
        self.arithmetic = arithmetic
        kind = Kind(given["method"], given["augment"], given["sigma"])
        parameters = without_seeds(result["parameters"])
        expected = self.parameters.setdefault(kind, parameters)
        differing = [k for k in {**expected, **parameters} if expected.get(k) != parameters.get(k)]
        if differing:
            raise ValueError(
                f"{result['name']} was trained with another {', '.join(differing)} than other "
                "seeds. Move one of them away."
            )
        numbers = [result["accuracy"], *result["group_accuracy"]]
        self.accuracy[kind][given["seed"]] = 100 * np.array(numbers)
        for tau, so in result.get("logit_adjusted", {}).items():
            numbers = [so["accuracy"], *so["group_accuracy"]]
            self.adjusted[kind, float(tau)][given["seed"]] = 100 * np.array(numbers)

    def runs(self, kind: Kind) -> np.ndarray:
        """Return all runs of a kind, (n_seeds, 1 + n_groups); none is an array without rows."""
        found = self.accuracy.get(kind, {})
        return np.array([found[seed] for seed in sorted(found)])

    def adjusted_runs(self, kind: Kind, tau: float) -> np.ndarray:
        """Return what `runs` does, of predictions divided by the prior to the power `tau`."""
        found = self.adjusted.get((kind, tau), {})
        return np.array([found[seed] for seed in sorted(found)])

    def additive(self, method: str) -> dict[float, np.ndarray]:
        """Return the runs with additive noise by its strength, that of pure noise last, as inf.

        Of pure noise, those with a seed that additive noise was trained with.
        """
        kinds = [kind for kind in self.accuracy if kind.method == method and kind.sigma is not None]
        strengths = {kind.sigma: self.runs(kind) for kind in kinds if kind.sigma is not None}
        seeds = {seed for kind in kinds for seed in self.accuracy[kind]}
        pure = self.accuracy.get(Kind(method), {})
        if seeds & set(pure):
            strengths[np.inf] = np.array([pure[seed] for seed in sorted(seeds & set(pure))])
        return dict(sorted(strengths.items()))

    def differences(self, one: Kind, other: Kind) -> np.ndarray:
        """Return `one` minus `other`, seed by seed, of the seeds that both have."""
        a, b = self.accuracy.get(one, {}), self.accuracy.get(other, {})
        return np.array([a[seed] - b[seed] for seed in sorted(set(a) & set(b))])


def without_seeds(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return what runs of different seeds have in common, for both stages where there are two."""
    return {name: v for name, v in parameters.items() if not name.endswith("random_state")}


def load(folder: Path) -> list[Setting]:
    """Return what is in a folder of results, by setting."""
    settings: dict[tuple[Any, ...], Setting] = {}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        one = Experiment(**result["experiment"])
        key = (one.scale, one.data_name, one.epochs, one.own_augment, one.validation, one.module)
        settings.setdefault(key, Setting(*key)).add(result)
    return list(settings.values())


def best_strength(accuracies: Mapping[float, Any]) -> float:
    """Return the strength of logit adjustment that validation rows choose, for all scripts.

    Parameters
    ----------
    accuracies : mapping of float to float or array-like
        Overall accuracy by strength: of one run, or of several with the same seeds.

    Returns
    -------
    float
        That of the best mean; of equals the weakest, and of these the positive one.
    """
    means = {tau: round(float(np.mean(values)), 9) for tau, values in accuracies.items()}
    return min(means, key=lambda tau: (-means[tau], abs(tau), -tau))


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over the first axis; NaN of a single run."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    error: np.ndarray = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return error


def mean_and_error(values: np.ndarray, column: int, sign: str = "") -> str:
    """Return mean and standard error of a column as text; of one run, the value alone."""
    mean, error = values[:, column].mean(), standard_error(values)[column]
    return f"{mean:{sign}.1f}" + ("" if np.isnan(error) else f" ± {error:.1f}")
