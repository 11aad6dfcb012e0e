"""The paper's settings for its data sets, by name, each value with where it comes from.

Epochs are shares of `max_epochs`, so that a recipe that is made shorter keeps its proportions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import torch

from sklearn_open.backbones._names import find_maker
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler
from sklearn_open.plan import resolve_epoch

__all__ = ["Recipe", "Setting", "get_recipe", "list_recipes", "recipe_parameters"]

EPOCHS = ("start_epoch", "warmup_epochs", "lr_milestones")
COMPONENTS = ("module", "optimizer")  # whoever takes another has no use for its parameters


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


@dataclass(frozen=True, repr=False)
class Recipe:
    """Settings that the paper trains with on one data set; printed as a table.

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
        """Those of the parameters that the paper does not give."""
        names = [setting.parameter for setting in self.settings if setting.filled]
        return {name: value for name, value in self.parameters.items() if name in names}

    def shown(self, parameter: str) -> str:
        """Return a value as it is printed: shares as epochs, what was filled in in brackets."""
        value, max_epochs = self.parameters[parameter], self.parameters["max_epochs"]
        if parameter in EPOCHS:
            shares = value if isinstance(value, tuple) else (value,)
            text = ", ".join(str(resolve_epoch(share, max_epochs)) for share in shares)
            text += f" of {max_epochs}"
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


def list_recipes() -> list[str]:
    """Return the names of all recipes.

    Returns
    -------
    list of str
        Those that end in "_aa" augment by AutoAugment alone.
    """
    return list(_RECIPES)


def get_recipe(name: str) -> Recipe:
    """Return a recipe.

    Parameters
    ----------
    name : str
        One of `list_recipes`.

    Returns
    -------
    Recipe
        A copy: changing what is in it changes no other.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> from sklearn_open.recipes import get_recipe
    >>> get_recipe("places_lt").parameters["optimizer__param_groups"]
    [('fc*', {'lr': 0.05})]
    """
    if name in _RECIPES:
        return copy.deepcopy(_RECIPES[name])
    near = get_close_matches(str(name), _RECIPES, n=3)
    hint = f" Is it {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"There is no recipe {name!r}.{hint} Use one of {', '.join(map(repr, _RECIPES))}."
    )


def recipe_parameters(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's parameters with some replaced.

    Parameters
    ----------
    name : str
        One of `list_recipes`.
    overrides : mapping of str to object
        Parameters of `OPeNClassifier`. With another ``module`` or ``optimizer`` the recipe's
        ``module__...`` or ``optimizer__...`` are left out, except for parameter groups.

    Returns
    -------
    dict of str to object
        Parameters of `OPeNClassifier`.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    parameters = get_recipe(name).parameters
    for component in COMPONENTS:
        if component in overrides and not _is_same(overrides[component], parameters[component]):
            groups = f"{component}__param_groups"
            own = [p for p in parameters if p.startswith(f"{component}__") and p != groups]
            parameters = {p: v for p, v in parameters.items() if p not in own}
    return {**parameters, **overrides}


def _is_same(given: Any, own: Any) -> bool:
    """Whether an override is the recipe's own value, which for a network is a name."""
    return given is own or given == own or (isinstance(own, str) and given is find_maker(own))


# --- the paper's settings; "D.1" and the like are its appendices ---

_CODE = "LDAM's and M2m's code, which D.1 follows"
_AS_CIFAR = "as for CIFAR"
_CROP = "transform=v2.RandomResizedCrop(224)"  # D.2's first step; of files, so when they are read

_ALWAYS = (
    Setting("resampler", PureNoiseOverSampler, "Algorithm 1, noise of Eqs. 2 to 4"),
    Setting("delta", 1 / 3, "D.1"),
    Setting("composition", "even", "section 3, a number (Algorithm 1: 'bernoulli')"),
    Setting("epoch_length", "n_samples", "LDAM's and M2m's code", filled=True),
    Setting("norm", "dar", "section 3.2"),
    Setting("noise_grad", "head", "Listing 1, Algorithm 2 (Eq. 13: 'all')"),
    Setting("normalize", "dataset", "noise and images alike", filled=True),
    Setting("precision", "auto", "bf16 where the hardware has it: own choice", filled=True),
    Setting("optimizer__nesterov", False, "in no code that the paper follows", filled=True),
    Setting("train_split", None, "all of the training set is trained on", filled=True),
)

_CIFAR = (
    Setting("module", "wrn28_10", "D.1"),
    Setting("module__dropout", 0.3, "both public reproductions", filled=True),
    Setting("augment", "simclr", "D.2 (section 5: Cutout last); strength: reproductions"),
    Setting("max_epochs", 200, "D.1"),
    Setting("start_epoch", 160 / 200, "D.1: last 40 epochs"),
    Setting("lr", 0.1, "D.1"),
    Setting("lr_milestones", (160 / 200, 180 / 200), "D.1"),
    Setting("lr_decay", 0.01, "D.1, at each milestone"),
    Setting("warmup_epochs", 5 / 200, _CODE, filled=True),
    Setting("criterion", torch.nn.CrossEntropyLoss, "D.1"),
    Setting("batch_size", 128, _CODE, filled=True),
    Setting("optimizer", torch.optim.SGD, "D.1"),
    Setting("optimizer__momentum", 0.9, "D.1"),
    Setting("optimizer__weight_decay", 2e-4, "D.1"),
    *_ALWAYS,
)

_CELEBA = (
    Setting("module", "wrn28_10", "D.1"),
    Setting("module__dropout", 0.3, _AS_CIFAR, filled=True),
    Setting("augment", "simclr_cutout16", "D.2 (section 5: Cutout last); strength: reproductions"),
    Setting("max_epochs", 90, "D.1"),
    Setting("start_epoch", 60 / 90, "a public reproduction: with the last drop", filled=True),
    Setting("lr", 0.1, _AS_CIFAR, filled=True),
    Setting("lr_milestones", (30 / 90, 60 / 90), "D.1"),
    Setting("lr_decay", 0.1, "D.1"),
    Setting("warmup_epochs", 5 / 90, "M2m's code, which D.1 follows", filled=True),
    Setting("criterion", torch.nn.CrossEntropyLoss, _AS_CIFAR, filled=True),
    Setting("batch_size", 128, _AS_CIFAR, filled=True),
    Setting("optimizer", torch.optim.SGD, _AS_CIFAR, filled=True),
    Setting("optimizer__momentum", 0.9, _AS_CIFAR, filled=True),
    Setting("optimizer__weight_decay", 2e-4, _AS_CIFAR, filled=True),
    *_ALWAYS,
)

_IMAGENET = (
    Setting("module", "resnext50_cosine", "D.1, from scratch"),
    Setting("module__scale", "learnable", "Gidaris and Komodakis, cited in D.1", filled=True),
    Setting("augment", "color_rotation", "D.2, after the crop; angle of rotation: own choice"),
    Setting("max_epochs", 220, "D.1"),
    Setting("start_epoch", 180 / 220, "D.1: last 40 epochs"),
    Setting("lr", 0.05, "D.1"),
    Setting("lr_milestones", (160 / 220, 170 / 220), "D.1"),
    Setting("lr_decay", 0.1, "D.1"),
    Setting("warmup_epochs", 0, "no warm-up", filled=True),
    Setting("criterion", torch.nn.CrossEntropyLoss, _AS_CIFAR, filled=True),
    Setting("batch_size", 256, "LADE's code, which D.1 follows", filled=True),
    Setting("optimizer", torch.optim.SGD, "D.1"),
    Setting("optimizer__momentum", 0.9, "D.1"),
    Setting("optimizer__weight_decay", 5e-4, "D.1"),
    *_ALWAYS,
)

_PLACES = (
    Setting("module", "resnet152_cosine", "D.1, all layers trained"),
    Setting("module__weights", "IMAGENET1K_V1", "D.1: from ImageNet; not said which", filled=True),
    Setting("module__scale", "learnable", "as for ImageNet-LT", filled=True),
    Setting("augment", "color_rotation", "D.2, after the crop; angle of rotation: own choice"),
    Setting("max_epochs", 30, "D.1"),
    Setting("start_epoch", 15 / 30, "D.1: on epoch 15"),
    Setting("lr", 1e-3, "D.1: of the backbone"),
    Setting("optimizer__param_groups", [("fc*", {"lr": 0.05})], "D.1: of the classifier"),
    Setting("lr_milestones", (10 / 30, 15 / 30), "D.1"),
    Setting("lr_decay", 0.1, "D.1"),
    Setting("warmup_epochs", 0, "no warm-up", filled=True),
    Setting("criterion", torch.nn.CrossEntropyLoss, _AS_CIFAR, filled=True),
    Setting("batch_size", 128, "LADE's code, which D.1 follows", filled=True),
    Setting("optimizer", torch.optim.SGD, "D.1"),
    Setting("optimizer__momentum", 0.9, "D.1"),
    Setting("optimizer__weight_decay", 5e-4, "D.1"),
    *_ALWAYS,
)


def _cifar(classes: int, ratio: int) -> Recipe:
    return Recipe(
        f"cifar{classes}_lt_ir{ratio}",
        f"CIFAR-{classes}-LT, imbalance ratio {ratio}, WRN-28-10",
        f"fetch_cifar{classes}_lt(imbalance_ratio={ratio})",
        32,
        _CIFAR,
    )


def _with_autoaugment(recipe: Recipe) -> Recipe:
    preset = "autoaugment" if recipe.image_size < 224 else "autoaugment_imagenet"
    instead = Setting("augment", preset, "D.2: replaces all others")
    settings = (instead if s.parameter == "augment" else s for s in recipe.settings)
    return replace(
        recipe,
        name=f"{recipe.name}_aa",
        title=f"{recipe.title}, AutoAugment",
        dataset=recipe.dataset.replace(_CROP, ""),
        settings=tuple(settings),
    )


_PLAIN = (
    _cifar(10, 100),
    _cifar(10, 50),
    _cifar(100, 100),
    _cifar(100, 50),
    Recipe("celeba5", "CelebA-5, WRN-28-10", "load_celeba5()", 64, _CELEBA),
    Recipe(
        "imagenet_lt", "ImageNet-LT, ResNeXt-50-32x4d", f"load_imagenet_lt({_CROP})", 224, _IMAGENET
    ),
    Recipe("places_lt", "Places-LT, ResNet-152", f"load_places_lt({_CROP})", 224, _PLACES),
)
_RECIPES = {recipe.name: recipe for recipe in (*_PLAIN, *map(_with_autoaugment, _PLAIN))}
