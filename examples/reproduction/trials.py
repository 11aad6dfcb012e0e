"""Trials behind the recipe "cifar10_lt_fast": each 16 epochs, tested on validation rows.

    python examples/reproduction/trials.py recipe air_cnn open --data cifar10-images.zip
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
from run import is_done, result_of, write_result
from runs import best_strength
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
PLAIN = "balanced-softmax"  # from the first epoch on
# Method, and what is changed in the recipe. The methods from "open" on share their plain epochs,
# where these are the same.
TRIALS: dict[str, tuple[str, dict[str, Any]]] = {
    "recipe": (PLAIN, {}),
    "wrn16_2, cutout": (PLAIN, {**WRN, "augment": "cutout"}),
    "air_cnn, cutout": (PLAIN, {"module": AirCNN, "augment": "cutout"}),
    "resnet9, cutout": (PLAIN, {"augment": "cutout"}),
    "air_cnn": (PLAIN, {"module": AirCNN}),
    "lr 0.05, weight_decay 1e-3": (
        PLAIN,
        {"lr": 0.05, "optimizer__weight_decay": 1e-3},
    ),
    "open": ("open", {}),
    "drs": ("drs", {}),
    "open-half-prior": ("open-half-prior", {}),
    "open, averaging ema": ("open", {"averaging": "ema"}),
    "open-balanced-softmax": ("open-balanced-softmax", {}),
    "open, start_epoch 0.5": ("open", {"start_epoch": 0.5}),
    "erm": ("erm", {}),
    "erm, label_smoothing 0.1": ("erm", {"criterion__label_smoothing": 0.1}),
    "erm, mixup": ("erm", {"mixup": 1.0}),
    "erm, batch_size 128": ("erm", {"batch_size": 128}),
    "erm, other constants": ("erm", {"normalize": ((0.5,) * 3, (0.25,) * 3)}),
}
EPOCHS = 16
COMMON = {"warmup_epochs": 2}  # as of the recipe's 20 epochs


def experiment_of(name: str) -> Experiment:
    """Return the training that a trial changes."""
    return Experiment(method=TRIALS[name][0], scale="fast", epochs=EPOCHS, validation=True)


def path_of(name: str, out: Path) -> Path:
    """Return where the result of a trial is."""
    return out / f"{name.replace(', ', '_').replace(' ', '_')}.json"


def make(name: str, args: argparse.Namespace) -> None:
    """Train and test one trial, and write its result."""
    path, experiment = path_of(name, args.out), experiment_of(name)
    clf = experiment.classifier(memory=args.work / "memory", verbose=args.verbose)
    clf.set_params(**COMMON, **TRIALS[name][1])
    if is_done(path, clf):
        return
    X, y, X_test, y_test = experiment.data(args.data)
    result = result_of(experiment, clf.fit(X, y), (X, y, X_test, y_test))
    result |= {"script": "examples/reproduction/trials.py", "name": name}
    write_result(result, path)


def table(out: Path) -> list[str]:
    """Return the lines of a table of all results, in the order of `TRIALS`."""
    rows = []
    for name in TRIALS:
        path = path_of(name, out)
        if path.exists():
            by_tau = json.loads(path.read_text())["logit_adjusted"]
            best = str(best_strength({float(tau): so["accuracy"] for tau, so in by_tau.items()}))
            cells = [
                f"{100 * number:.1f}"
                for tau in ("0.0", best)
                for number in (by_tau[tau]["accuracy"], by_tau[tau]["group_accuracy"][0])
            ]
            rows.append([name, *cells[:2], f"{float(best):g}", *cells[2:]])
    header = ["trial", *PARTS, "best tau", *(f"{part}, tau" for part in PARTS)]
    return markdown(header, rows)


def main() -> None:
    """Make trials, or print the table of those that were made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trials", nargs="*", help=f"some of: {'; '.join(TRIALS)}")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--data", type=Path, help="image folder or zip; default: torchvision")
    parser.add_argument("--out", type=Path, default=Path("results/trials"))
    parser.add_argument("--work", type=Path, default=Path("reproduction-work"))
    parser.add_argument("--verbose", type=int, default=1)
    args = parser.parse_args()
    if unknown := set(args.trials) - set(TRIALS):
        parser.error(f"there is no {', '.join(unknown)}; there are {'; '.join(TRIALS)}")
    for name in args.trials:
        make(name, args)
    if args.table:
        print("\n".join(table(args.out)))


if __name__ == "__main__":
    main()
