"""Writes the pages of the API reference, one for each public package, from what `__all__` names.

Called by conf.py. A public name that is added to a package appears without further ado.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import sklearn_open

BUILDING_BLOCKS = ("batching", "plan")
NOTE = "For those who read or extend the code: these may change from one version to the next.\n"

# Of classes that inherit much from elsewhere, what users call; of others all public methods.
MEMBERS = {
    "OPeNClassifier": (
        "from_recipe, fit, partial_fit, predict, predict_proba, epoch_plan, save, load, to_torch"
    ),
    "DecoupledClassifier": "fit, predict, predict_proba, score, save, load, to_torch",
    "MetaSampledClassifier": "fit, epoch_plan",
    "Method": "parameters, sources, filled, n_stages, with_recipe",
    "Recipe": "parameters, sources, filled, shown",
}
# What is neither a class nor a function has no docstring.
DATA = {
    "sklearn_open.augment.Augmentation": (
        "Type of augmentations: a batch in [0, 1] and the generator to draw from, to a new batch "
        "of the same shape."
    ),
    "sklearn_open.comparison.DEFAULT_METHODS": (
        "What `compare_methods` compares by default: plain training, and five methods that share "
        "its epochs."
    ),
    "sklearn_open.metrics.geometric_mean_scorer": (
        "Scorer of imbalanced-learn's geometric mean of the recalls of all classes."
    ),
    "sklearn_open.plan.Draw": (
        "Type of what makes a pool: a random state, to row indices and a noise mask."
    ),
}


def public_modules() -> list[str]:
    """Return the names of all public modules and packages."""
    found = pkgutil.walk_packages(sklearn_open.__path__, "sklearn_open.")
    return ["sklearn_open", *(module.name for module in found if "._" not in module.name)]


def page(name: str) -> str:
    """Return the page of a module."""
    module = importlib.import_module(name)
    sentence, _, rest = inspect.cleandoc(module.__doc__ or "").partition("\n")
    parts = [f"# {name}\n", f"{sentence}\n", rest.strip() + "\n" if rest.strip() else ""]
    if name.rpartition(".")[2] in BUILDING_BLOCKS:
        parts.append(NOTE)
    names = [public for public in module.__all__ if not public.startswith("__")]
    entries = [_entry(module, public) for public in names]
    return "\n".join([*filter(None, parts), "```{eval-rst}", "\n\n".join(entries), "```", ""])


def _entry(module: Any, public: str) -> str:
    name, value = f"{module.__name__}.{public}", getattr(module, public)
    if inspect.isclass(value) and issubclass(value, Exception):
        return f".. autoexception:: {name}"
    if inspect.isclass(value):
        members = MEMBERS.get(public) or ", ".join(_methods(value))
        entry = f".. autoclass:: {name}" + (f"\n   :members: {members}" if members else "")
        twice = module is not sklearn_open and public in sklearn_open.__all__
        return f"{entry}\n   :no-index:" if twice else entry
    if inspect.isroutine(value):
        return f".. autofunction:: {name}"
    return f".. py:data:: {name}\n\n   {DATA[name]}"


def _methods(cls: type) -> list[str]:
    """Return the public methods and properties that a class defines itself."""
    kinds = (classmethod, staticmethod, property)
    return [
        name
        for name, value in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    ]


def write(folder: Path) -> None:
    """Write all pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in public_modules():
        if name != "sklearn_open.classifier":  # what is in it is public in `sklearn_open`
            (folder / f"{name}.md").write_text(page(name))
