"""What is trained: the paper's recipes, methods and combinations of them, and scales.

An `Experiment` is one training, all of it: from its fields follow data, classifier and name.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out import held_out_split
from torch import nn
from torchvision.transforms.v2 import RandomResizedCrop

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.augment._presets import PRESETS
from sklearn_open.backbones import ResNet9, WideResNet
from sklearn_open.datasets import (
    fetch_cifar10_lt,
    fetch_cifar100_lt,
    load_celeba5,
    load_image_folder,
    load_imagenet_lt,
    load_places_lt,
    make_long_tailed,
)
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.noise import AdditiveGaussianNoise
from sklearn_open.over_sampling import PureNoiseAppender
from sklearn_open.recipes import (
    get_recipe,
    list_methods,
    list_recipes,
    make_classifier,
    method_parameters,
)

SHORT: dict[str, Any] = {
    "module": WideResNet,
    "module__widen_factor": 2,
    "lr_decay": 0.1,
    "augment": "cutout",  # what a short schedule can learn with
}
# Of docs/fast_recipe.md, what it changes: what it has in common with others belongs to the method.
PAPER = get_recipe("cifar10_lt_ir100").parameters
FAST = {k: v for k, v in get_recipe("cifar10_lt_fast").parameters.items() if v != PAPER.get(k)}
# "paper" is the recipe as it is, for a GPU. The others are small networks and short schedules for
# images of 32x32 and 64x64: plain epochs, and then some at a tenth of the learning rate, in which
# the methods differ. Two cores train "cpu" in minutes, "cpu_wrn16" in less than an hour.
SCALES: dict[str, dict[str, Any]] = {
    "paper": {},
    "cpu": {
        **SHORT,
        "module__depth": 10,
        "max_epochs": 50,
        "start_epoch": 0.8,
        "lr_milestones": (0.8,),
    },
    "cpu_wrn16": {
        **SHORT,
        "module__depth": 16,
        "max_epochs": 62,
        "start_epoch": 50 / 62,
        "lr_milestones": (50 / 62,),
    },
    "fast": FAST,
    # For all methods side by side, with several seeds: 2 minutes of one core where plain epochs are
    # shared, 8 else, and one arithmetic everywhere.
    "fast_narrow": {**FAST, "module__width": 8, "precision": "float32"},
}


class ResNet9GroupNorm(ResNet9):
    """`ResNet9` with group norm in place of batch norm: eight groups, or fewer of four channels."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int = 32,
        head: str = "linear",
        scale: str | float = "ldam",
    ) -> None:
        super().__init__(num_classes, in_channels, width, head, scale)
        for parent in [*self.modules()]:
            for name, layer in parent.named_children():
                if isinstance(layer, nn.BatchNorm2d):
                    n_groups = min(8, layer.num_features // 4)
                    setattr(parent, name, nn.GroupNorm(n_groups, layer.num_features))


MODULES = {"resnet9-group-norm": ResNet9GroupNorm, "timm-resnet10t": "timm:resnet10t"}
# Second stages at any scale but the paper's: BALMS's is as short as all others.
SHORT_SECOND = {"final_estimator__max_epochs": 10, "final_estimator__batch_size": 128}
OPEN, DEFERRED = method_parameters("open"), {"criterion": "deferred"}
# OPeN with other losses: from `start_epoch` on, so that they share the plain epochs; LDAM and mixup
# throughout, as networks learn otherwise with them.
COMBINATIONS: dict[str, dict[str, Any]] = {
    "open-half-prior": {
        **OPEN,
        **DEFERRED,
        "criterion__late": "balanced_softmax",
        "criterion__late__tau": 0.5,
    },
    "open-late-focal": {**OPEN, **DEFERRED, "criterion__late": "focal"},
    "open-late-lade": {
        **OPEN,
        **DEFERRED,
        "criterion__late": "lade",
        "criterion__late__prior": "drawn",
    },
    "open-late-smoothing": {**OPEN, **DEFERRED, "criterion__late": "label_aware_smoothing"},
    "open-ldam": {**method_parameters("ldam_drw"), "resampler": PureNoiseOverSampler, **OPEN},
    "open-mixup": {**OPEN, "mixup": 1.0},
    # Plain rows, and noise on top whose labels follow another law than OPeN's.
    **{
        f"noise-{labels}": {
            "resampler": PureNoiseAppender,
            "resampler__ratio": 1 / 3,
            "resampler__noise_labels": labels,
            "delta": None,
        }
        for labels in ("uniform", "complementary")
    },
}
COMBINATIONS["open-ldam"]["class_weight"] = None
TWO_STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name.replace("_", "-"): (name, {}) for name in list_methods(2)},
    # What BALMS would be with rows by instance instead of a meta sampler.
    "decoupled-balanced-softmax": (
        "crt",
        {
            "shift_norm": True,
            "final_estimator__resampler": None,
            "final_estimator__criterion": "balanced_softmax",
            "final_estimator__optimizer__weight_decay": 5e-4,
        },
    ),
}
METHODS: dict[str, dict[str, Any]] = {
    **{name.replace("_", "-"): method_parameters(name) for name in list_methods(1)},
    **{key: {} for key in TWO_STAGES},
    **COMBINATIONS,
    "appended": {"resampler": PureNoiseAppender(ratio=1 / 4), "start_epoch": 0},
}
# Section 5: all of CIFAR with Adam, without or with noise on top of every batch from the first
# epoch. Rate and decay are those of a public reproduction.
BALANCED: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "optimizer__betas": (0.9, 0.999),
    "optimizer__weight_decay": 2e-4,
    "lr": 1e-3,
    "lr_milestones": (),
    "augment": "flip_crop",
}
BALANCED_METHODS = ("erm", "appended")
LISTS = {
    "celeba5": load_celeba5,
    "imagenet_lt": load_imagenet_lt,
    "places_lt": load_places_lt,
}
OTHERS = ("cifar10_lt_fast", "folder")  # recipes that are not the paper's
RECIPES = [name for name in list_recipes() if not name.endswith("_aa") and name not in OTHERS]


@dataclass(frozen=True)
class Experiment:
    """One training.

    Parameters
    ----------
    recipe : str
        One of `RECIPES`.
    method : str
        One of `METHODS`; with `balanced`, one of `BALANCED_METHODS`.
    seed : int
        `random_state` of the classifier; the training set is the same for all seeds.
    scale : str
        One of `SCALES`.
    epochs : int or None
        A budget instead of the scale's; what is given as a share of the epochs shrinks with it.
    augment : str or None
        Instead of the scale's. "autoaugment" is that of the recipe's twin "..._aa", "none" is none.
    sigma : float or None
        Additive noise of this strength instead of pure noise (appendix B).
    balanced : bool
        All of the training set, and Adam (section 5).
    validation : bool
        Tested on training images that are held out, for choices (see `held_out_split`). CIFAR only.
    module : str or None
        Network instead of the scale's, one of `MODULES`.
    """

    recipe: str = "cifar10_lt_ir100"
    method: str = "open"
    seed: int = 0
    scale: str = "cpu"
    epochs: int | None = None
    augment: str | None = None
    sigma: float | None = None
    balanced: bool = False
    validation: bool = False
    module: str | None = None

    def __post_init__(self) -> None:
        for value, known in (
            (self.recipe, RECIPES),
            (self.method, METHODS),
            (self.scale, SCALES),
            (self.module, MODULES),
        ):
            if value is not None and value not in known:
                raise ValueError(f"There is no {value!r}: use one of {', '.join(known)}.")
        if self.augment not in (None, "none", *PRESETS):
            names = ", ".join(("none", *PRESETS))
            raise ValueError(f"There is no augmentation {self.augment!r}: use one of {names}.")
        is_large = get_recipe(self.recipe).image_size > 64
        if self.augment == "none" and is_large:
            raise ValueError(f"Images of {self.recipe} must be cropped: use an augmentation.")
        of_method = [name for name in METHODS[self.method] if name.startswith("module__")]
        if isinstance(MODULES.get(self.module or ""), str) and of_method:
            raise ValueError(f"{self.module} has no {of_method}, which {self.method!r} sets.")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs={self.epochs}: there must be one at least.")
        if self.sigma is not None and not self.method.startswith("open"):
            raise ValueError(f"sigma is for methods that draw noise, not for {self.method!r}.")
        if self.scale != "paper" and is_large:
            raise ValueError(f"{self.recipe} has large images: use scale 'paper', maybe epochs=2.")
        if self.balanced and not self.recipe.startswith("cifar"):
            raise ValueError(f"The paper's balanced data is CIFAR, not {self.recipe}.")
        if self.balanced and self.method not in BALANCED_METHODS:
            raise ValueError(f"On balanced data, {self.method!r} is plain training: use 'erm'.")
        if self.method == "appended" and not self.balanced:
            raise ValueError("'appended' is for balanced data: add balanced.")
        if self.validation and (self.balanced or not self.recipe.startswith("cifar")):
            raise ValueError(
                "validation rows are what a long-tailed subset of CIFAR leaves out, and "
                f"{self.data_name} leaves out nothing: test without validation."
            )
        if self.augment == self.own_augment:  # one training, one name
            object.__setattr__(self, "augment", None)

    @property
    def own_augment(self) -> str:
        """What it augments with if nothing else is said."""
        if self.balanced:
            return str(BALANCED["augment"])
        recipe = get_recipe(self.recipe).parameters
        return str(SCALES[self.scale].get("augment", recipe["augment"]))

    @property
    def params(self) -> dict[str, Any]:
        """What it changes in the recipe."""
        params = {**SCALES[self.scale]}
        if self.module is not None:  # of the settings of the scale's network, those that it has
            params["module"] = module = MODULES[self.module]
            known = signature(module).parameters if isinstance(module, type) else ()
            of_network = [name for name in params if name.startswith("module__")]
            for name in of_network:
                if name.removeprefix("module__") not in known:
                    del params[name]
        if self.balanced:
            params |= BALANCED
        params |= METHODS[self.method]
        if self.epochs is not None:
            params["max_epochs"] = self.epochs
        if self.augment == "none":
            params["augment"] = None
        elif self.augment == "autoaugment":
            params["augment"] = get_recipe(f"{self.recipe}_aa").parameters["augment"]
        elif self.augment is not None:
            params["augment"] = self.augment
        if self.sigma is not None:
            params["resampler__noise"] = AdditiveGaussianNoise(self.sigma)
        return params

    @property
    def data_name(self) -> str:
        """Name of its data: of the recipe, or "cifar10_balanced"."""
        return self.recipe.partition("_lt")[0] + "_balanced" if self.balanced else self.recipe

    @property
    def name(self) -> str:
        """Its name, for files."""
        subset = "validation" if self.validation else None
        parts = [self.scale, self.data_name, subset, self.module, self.augment, self.method]
        if self.sigma is not None:
            parts.append(f"sigma{self.sigma:g}")
        if self.epochs is not None:
            parts.append(f"{self.epochs}epochs")
        return "_".join([part for part in parts if part] + [f"seed{self.seed}"])

    def classifier(self, **params: Any) -> OPeNClassifier | DecoupledClassifier:
        """Return what is to be trained."""
        params = {**self.params, "random_state": self.seed, **params}
        if self.method in TWO_STAGES:
            method, second = TWO_STAGES[self.method]
            if self.scale != "paper" and method == "balms":
                second = {**SHORT_SECOND, **second}
            return make_classifier(self.recipe, method, **{**second, **params})
        return OPeNClassifier.from_recipe(self.recipe, **params)

    def data(self, path: Path | None) -> tuple[Any, np.ndarray, Any, np.ndarray]:
        """Return training images and labels, and test (or validation) images and labels.

        Of CIFAR, `path` is an image folder or zip file, and None lets torchvision download it; of
        the other sets it is their data home, with lists and images in ``sklearn_open/<recipe>``.
        """
        if self.recipe in LISTS:
            load = LISTS[self.recipe]
            is_large = get_recipe(self.recipe).image_size > 64
            # As the recipe's data call has it: AutoAugment replaces all, others get crops of files.
            cropped = is_large and self.augment != "autoaugment"
            crop = {"transform": RandomResizedCrop(224)} if cropped else {}
            train, test = load(data_home=path, **crop), load(subset="test", data_home=path)
            return train.data, train.target, test.data, test.target
        ratio = 1 if self.balanced else int(self.recipe.rpartition("_ir")[2])
        X, y = self._cifar(path, "train")
        if self.validation:
            train, test = held_out_split(y, ratio)
            return X[train], y[train], X[test], y[test]
        return (*make_long_tailed(X, y, imbalance_ratio=ratio), *self._cifar(path, "test"))

    def _cifar(self, path: Path | None, subset: str) -> tuple[np.ndarray, np.ndarray]:
        """Return all images and labels of CIFAR's training or test set, in its own order."""
        if path is not None:
            X, y = load_image_folder(path, subset=subset, return_X_y=True)
            n_found, n_classes = len(np.unique(y)), 100 if "cifar100" in self.recipe else 10
            if n_found != n_classes:
                raise ValueError(f"{path} has {n_found} classes, {self.recipe} {n_classes}.")
            return X, y
        fetch = fetch_cifar100_lt if "cifar100" in self.recipe else fetch_cifar10_lt
        return fetch(subset=subset, imbalance_ratio=1, selection="first", return_X_y=True)
