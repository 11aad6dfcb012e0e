"""Settings for images of one's own: as long as so many need, at a rate that falls slowly."""

from __future__ import annotations

import torch

from sklearn_open._recipes._recipe import Recipe, Setting
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler

__all__ = ["FOLDER"]

_OURS = "own choice, docs/budget.md"
_DEFAULT = "own choice: the classifier's default"

FOLDER = Recipe(
    "folder",
    "images of one's own, a few hundred to a few ten thousand, SmallCNN",
    "load_image_folder(path, size=32)",
    32,
    (
        Setting("module", None, "own choice: SmallCNN, for a table SmallMLP", filled=True),
        Setting(
            "augment", None, "own choice: a flipped 6 is no 6; see docs/budget.md", filled=True
        ),
        Setting("max_epochs", "auto", _OURS, filled=True),
        Setting("batch_size", "auto", _OURS, filled=True),
        Setting("warmup_epochs", "auto", _OURS, filled=True),
        Setting("start_epoch", 0.6, _OURS, filled=True),
        Setting("lr", 0.1, "as for CIFAR; docs/budget.md", filled=True),
        Setting("lr_milestones", (0.8, 0.9), _OURS, filled=True),
        Setting("lr_decay", 0.1, _OURS, filled=True),
        Setting("criterion", torch.nn.CrossEntropyLoss, "D.1"),
        Setting("optimizer", torch.optim.SGD, "D.1"),
        Setting("optimizer__momentum", 0.9, "D.1"),
        Setting("optimizer__weight_decay", 2e-4, "D.1, for CIFAR", filled=True),
        Setting("optimizer__nesterov", False, _DEFAULT, filled=True),
        Setting("resampler", PureNoiseOverSampler, "Algorithm 1, noise of Eqs. 2 to 4"),
        Setting("delta", 1 / 3, "D.1"),
        Setting("composition", "even", "section 3, a number"),
        Setting("epoch_length", "n_samples", _DEFAULT, filled=True),
        Setting("norm", "dar", "section 3.2"),
        Setting("noise_grad", "head", "Listing 1, Algorithm 2"),
        Setting("normalize", "dataset", _DEFAULT, filled=True),
        Setting("precision", "auto", _DEFAULT, filled=True),
        Setting("train_split", None, "own choice: of rare classes no image is spared", filled=True),
        Setting("class_weight", None, _DEFAULT, filled=True),
        Setting("mixup", None, _DEFAULT, filled=True),
        Setting("averaging", None, _DEFAULT, filled=True),
        Setting("logit_adjustment", 0.0, _DEFAULT, filled=True),
    ),
)
