"""Recipes and methods: settings with their sources, printed as a table."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from sklearn_open._parameters.checks import is_auto
from sklearn_open._parameters.table import parameter as row
from sklearn_open.plan import resolve_epoch

__all__ = ["Method", "Recipe", "Setting", "Sourced"]


@dataclass(frozen=True)
class Setting:
    """One parameter of a recipe.

    Parameters
    ----------
    parameter : str
        Name of the parameter of `OPeNClassifier`.
    value : object
        Its value.
    source : str
        Where the paper says so (section or appendix), or, of a blank, whom it was filled from.
    filled : bool, default=False
        Whether the paper does not say.
    """

    parameter: str
    value: Any
    source: str
    filled: bool = False

    def __hash__(self) -> int:  # its value may be a list
        return hash((self.parameter, self.source))


class Sourced:
    """Base of what is made of settings."""

    settings: tuple[Setting, ...]

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of `OPeNClassifier`, name to value; a copy."""
        return {setting.parameter: copy.deepcopy(setting.value) for setting in self.settings}

    @property
    def sources(self) -> dict[str, str]:
        """Where each value comes from, name to source."""
        return {setting.parameter: setting.source for setting in self.settings}

    @property
    def filled(self) -> dict[str, Any]:
        """Those of the parameters that no paper gives."""
        names = [setting.parameter for setting in self.settings if setting.filled]
        return {name: value for name, value in self.parameters.items() if name in names}


@dataclass(frozen=True, repr=False)
class Recipe(Sourced):
    """Settings to train with on one data set, or on one kind of data; printed as a table.

    Parameters
    ----------
    name : str
        What `get_recipe` knows it by.
    title : str
        Data set and network, in words.
    dataset : str
        The call of `sklearn_open.datasets` that gives the training set; ``v2`` in it is
        ``torchvision.transforms.v2``.
    image_size : int
        Height and width of its images.
    settings : tuple of Setting
        Parameters of `OPeNClassifier` with their sources.
    """

    name: str
    title: str
    dataset: str
    image_size: int
    settings: tuple[Setting, ...]

    def __hash__(self) -> int:
        return hash((self.name, self.settings))

    def shown(self, parameter: str) -> str:
        """Return a value as it is printed: shares as epochs, what was filled in in brackets."""
        value, max_epochs = self.parameters[parameter], self.parameters["max_epochs"]
        if row(parameter).in_epochs:
            text = _in_epochs(value if isinstance(value, tuple) else (value,), max_epochs)
        elif isinstance(value, list):  # parameter groups
            text = ", ".join(f"{pattern}: {group}" for pattern, group in value)
        elif isinstance(value, type):
            text = value.__name__
        else:
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
        return f"[{text}]" if parameter in self.filled else text

    def __repr__(self) -> str:
        rows = [(name, self.shown(name), source) for name, source in self.sources.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"{name:{widths[0]}}  {value:{widths[1]}}  {at}" for name, value, at in rows]
        head = [f"{self.name}: {self.title}", f"data: {self.dataset}, {self.image_size} pixels"]
        return "\n".join([*head, "", *lines, "", "[in brackets]: the paper does not say"])


@dataclass(frozen=True, repr=False)
class Method(Sourced):
    """What is done about the imbalance; printed as a table.

    Parameters
    ----------
    name : str
        What `get_method` knows it by.
    title : str
        What it is, in words.
    settings : tuple of Setting
        Parameters of `OPeNClassifier` with their sources; with two stages, of
        `DecoupledClassifier`. What is not among them is as the classifier, or its recipe, has it.
    final_estimator : str or None, default=None
        Name of the class that trains the second stage; None for a method of one stage.
    for_recipes : dict of str to tuple of Setting
        What is otherwise with some recipes.
    """

    name: str
    title: str
    settings: tuple[Setting, ...]
    final_estimator: str | None = None
    for_recipes: dict[str, tuple[Setting, ...]] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, self.settings))

    @property
    def n_stages(self) -> int:
        """How many trainings it has: 1 or 2."""
        return 1 if self.final_estimator is None else 2

    def with_recipe(self, recipe: str) -> dict[str, Any]:
        """Return the parameters that its authors have for a recipe's data set.

        Parameters
        ----------
        recipe : str
            One of `list_recipes`.
        """
        own = self.for_recipes.get(recipe.removesuffix("_aa"), ())
        return {**self.parameters, **{s.parameter: copy.deepcopy(s.value) for s in own}}

    def __repr__(self) -> str:
        rows = [
            (s.parameter, f"[{_text(s.value)}]" if s.filled else _text(s.value), s.source)
            for s in self.settings
        ]
        head = [f"{self.name}: {self.title}"]
        if self.final_estimator is not None:
            head.append(f"DecoupledClassifier, second stage by {self.final_estimator}")
        lines = _table(rows)
        for recipe, settings in self.for_recipes.items():
            lines += ["", f"with {recipe}:"]
            lines += _table([(s.parameter, _text(s.value), s.source) for s in settings])
        foot = ["", "[in brackets]: its paper does not say"] if self.filled else []
        return "\n".join([*head, "", *lines, *foot])


def _in_epochs(shares: tuple[Any, ...], max_epochs: Any) -> str:
    """Return shares of all epochs as numbers of them, or, if it is not said how many, as shares."""
    if is_auto(max_epochs):
        return ", ".join(str(share) for share in shares) or "none"
    return (
        ", ".join(str(resolve_epoch(share, max_epochs)) for share in shares) + f" of {max_epochs}"
    )


def _text(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{name:{widths[0]}}  {value:{widths[1]}}  {source}" for name, value, source in rows]
