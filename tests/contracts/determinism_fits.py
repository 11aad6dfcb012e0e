"""Fits in a process of its own, and what came of them as hashes; see test_determinism.py.

python tests/contracts/determinism_fits.py --workers 0 1 --global-seed 3 --after-others
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler

SETTINGS: dict[str, Any] = {
    "max_epochs": 3,
    "start_epoch": 1,
    "batch_size": 16,
    "random_state": 7,
    "verbose": 0,
}


class DropoutNet(nn.Module):
    """Draws in every step."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class RandomlyChanged(Dataset):
    """Images whose transform draws from torch, NumPy and Python, as users' transforms do."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.targets = X, y.tolist()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.X[i]) / 255
        image = image * random.uniform(0.8, 1) + 0.1 * np.random.rand() * torch.rand(())
        return image.clamp(0, 1).float(), self.targets[i]


def images() -> tuple[np.ndarray, np.ndarray]:
    """Return small images in three classes of 40, 20 and 8, and labels that are strings."""
    y = np.repeat(["common", "rare", "very rare"], [40, 20, 8])
    return np.random.RandomState(0).randint(0, 256, (68, 3, 12, 12), dtype=np.uint8), y


def digest(*arrays: Any) -> str:
    """Return a hash of the arrays' bits."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def outcome(clf: OPeNClassifier, X: Any) -> str:
    """Return a hash of all that a fit has learnt and says."""
    weights = [value.numpy() for value in clf.module_.state_dict().values()]
    return digest(*weights, clf.history[:, "train_loss"], clf.predict_proba(X))


def run(workers: list[int]) -> dict[str, str]:
    """Fit on arrays and on a data set, with some numbers of workers; return hashes."""
    X, y = images()
    on_arrays = OPeNClassifier(DropoutNet, augment="simclr", **SETTINGS).fit(X, y)
    found = {"arrays": outcome(on_arrays, X)}
    found["resampled"] = digest(*PureNoiseOverSampler(random_state=7).fit_resample(X, y))
    for n in workers:
        clf = OPeNClassifier(DropoutNet, iterator_train__num_workers=n, **SETTINGS)
        clf.fit(RandomlyChanged(X, np.unique(y, return_inverse=True)[1]))
        found[f"data set, {n} workers"] = outcome(clf, X / 255)
    return found


def main() -> None:
    """Print the hashes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0])
    parser.add_argument("--global-seed", type=int)
    parser.add_argument("--after-others", action="store_true", help="fit something else before")
    args = parser.parse_args()
    if args.global_seed is not None:
        random.seed(args.global_seed)
        np.random.seed(args.global_seed)
        torch.manual_seed(args.global_seed)
    if args.after_others:
        OPeNClassifier(**{**SETTINGS, "max_epochs": 2, "random_state": 99}).fit(*images())
    print(json.dumps(run(args.workers)))


if __name__ == "__main__":
    main()
