"""Settings for CIFAR-10-LT that learn much from few passes, for a CPU or a short while on a GPU."""

from __future__ import annotations

import torch

from sklearn_open._recipes._recipe import Recipe, Setting
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler

__all__ = ["FAST"]

_TRIED = "own choice: docs/fast_recipe.md"
_TAKEN_OVER = "own choice, not tried otherwise: docs/fast_recipe.md"
_DEFAULT = "own choice: the classifier's default"

FAST = Recipe(
    "cifar10_lt_fast",
    "CIFAR-10-LT, imbalance ratio 100, in few passes, ResNet9",
    "fetch_cifar10_lt(imbalance_ratio=100)",
    32,
    (
        Setting("module", "ResNet9", _TRIED, filled=True),
        Setting("augment", "flip_crop", _TRIED, filled=True),
        Setting("max_epochs", 20, _TAKEN_OVER, filled=True),
        Setting("start_epoch", 0.7, _TAKEN_OVER, filled=True),
        Setting("lr", 0.1, _TRIED, filled=True),
        Setting("lr_milestones", (), "not read where a cosine rules", filled=True),
        Setting("lr_decay", "cosine", _TAKEN_OVER, filled=True),
        Setting("warmup_epochs", 0.1, _TAKEN_OVER, filled=True),
        Setting("batch_size", 64, _TAKEN_OVER, filled=True),
        Setting("criterion", torch.nn.CrossEntropyLoss, "D.1"),
        Setting("optimizer", torch.optim.SGD, "D.1"),
        Setting("optimizer__momentum", 0.9, "D.1"),
        Setting("optimizer__nesterov", True, _TAKEN_OVER, filled=True),
        Setting("optimizer__weight_decay", 5e-4, _TRIED, filled=True),
        Setting("resampler", PureNoiseOverSampler, "Algorithm 1, noise of Eqs. 2 to 4"),
        Setting("delta", 1 / 3, "D.1"),
        Setting("composition", "even", "section 3, a number"),
        Setting("epoch_length", "n_samples", _DEFAULT, filled=True),
        Setting("norm", "dar", "section 3.2"),
        Setting("noise_grad", "head", "Listing 1, Algorithm 2"),
        Setting("normalize", "dataset", _DEFAULT, filled=True),
        Setting("precision", "auto", _DEFAULT, filled=True),
        Setting("train_split", None, "all of the training set is trained on", filled=True),
        Setting("class_weight", None, _DEFAULT, filled=True),
        Setting("mixup", None, _DEFAULT, filled=True),
        Setting("averaging", None, _DEFAULT, filled=True),
        Setting("logit_adjustment", 0.0, _DEFAULT, filled=True),
    ),
)
