"""The paper's settings for its data sets; "D.1" and the like are its appendices."""

from __future__ import annotations

from dataclasses import replace

import torch

from sklearn_open._recipes._recipe import Recipe, Setting
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler

__all__ = ["PAPER_RECIPES"]

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
    Setting("class_weight", None, "the authors, to a reproduction: none", filled=True),
    Setting("mixup", None, "not in D.2", filled=True),
    Setting("averaging", None, "weights of the last epoch", filled=True),
    Setting("logit_adjustment", 0.0, "predictions as they are", filled=True),
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


PAPER_RECIPES = {recipe.name: recipe for recipe in (*_PLAIN, *map(_with_autoaugment, _PLAIN))}
