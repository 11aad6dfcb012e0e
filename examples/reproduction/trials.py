"""Trials behind the recipe "cifar10_lt_fast": each a training, tested on validation rows.

    python examples/reproduction/trials.py air_flip_crop --data cifar10-images.zip
    python examples/reproduction/trials.py --table

The rows are those of ``run.py --validation``: training images of CIFAR that are held out. The test
set is not looked at. A trial that has a result is not made again.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from experiments import Experiment
from run import result_of
from table import PARTS, markdown
from torch import nn

from sklearn_open.backbones import WideResNet


class AirCNN(nn.Module):
    """Seven layers without shortcuts, in the manner of airbench: the network that came second.

    Input is (n, 3, H, W), output (n, num_classes) logits; `width` is that of the first block.
    """

    def __init__(self, num_classes: int = 10, width: int = 48, stem: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1), nn.BatchNorm2d(stem), nn.GELU())
        widths = (stem, width, 4 * width, 4 * width)
        self.blocks = nn.Sequential(*(self._block(*pair) for pair in pairwise(widths)))
        self.fc = nn.Linear(4 * width, num_classes, bias=False)

    @staticmethod
    def _block(n_in: int, n_out: int) -> nn.Sequential:
        first = [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.MaxPool2d(2)]
        second = [nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)]
        ends = ([nn.BatchNorm2d(n_out), nn.GELU()] for _ in range(2))
        return nn.Sequential(*first, *next(ends), *second, *next(ends))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.fc(self.blocks(self.stem(x)).amax(dim=(2, 3))) / 9


WRN = {"module": WideResNet, "module__depth": 16, "module__widen_factor": 2}
# What each changes in the recipe; all with Balanced Softmax from the first epoch.
TRIALS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "wrn16_2_cutout": {**WRN, "augment": "cutout"},
    "air_cutout": {"module": AirCNN, "augment": "cutout"},
    "air_flip_crop": {"module": AirCNN},
    "cutout": {"augment": "cutout"},
    "lr_0.05_decay_1e-3": {"lr": 0.05, "optimizer__weight_decay": 1e-3},
}
BASE = Experiment(method="balanced-softmax", scale="fast", validation=True)


def make(name: str, data: Path | None, out: Path) -> None:
    """Train and test one trial, and write its result."""
    path = out / f"{name}.json"
    if path.exists():
        print(f"{path} exists")
        return
    X, y, X_test, y_test = BASE.data(data)
    clf = BASE.classifier(**TRIALS[name]).fit(X, y)
    result = result_of(BASE, clf, (X, y, X_test, y_test))
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({**result, "script": "examples/reproduction/trials.py", "name": name}, indent=1)
        + "\n"
    )


def table(out: Path) -> list[str]:
    """Return the lines of a table of all results, in the order of `TRIALS`."""
    rows = []
    for name in TRIALS:
        path = out / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text())
            numbers = (result["accuracy"], result["group_accuracy"][0])
            n_images = result["image_passes"] / result["seconds"]
            rows.append([name, *(f"{100 * one:.1f}" for one in numbers), f"{n_images:.0f}"])
    return markdown(["trial", *PARTS, "images per second"], rows)


def main() -> None:
    """Make trials, or print the table of those that were made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trials", nargs="*", choices=[[], *TRIALS], metavar="TRIAL")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--data", type=Path, help="image folder or zip; default: torchvision")
    parser.add_argument("--out", type=Path, default=Path("results/trials"))
    args = parser.parse_args()
    for name in args.trials:
        make(name, args.data, args.out)
    if args.table:
        print("\n".join(table(args.out)))


if __name__ == "__main__":
    main()
