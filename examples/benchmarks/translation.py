"""Time a training step of M2m: against plain training, and against the passes that it is made of.

    python examples/benchmarks/translation.py --out results/benchmarks/translation.json

A balanced batch of CIFAR-10-LT at 100 has 96 of 128 rows that may be translated. Each takes ten
steps through two networks, forward and back to the pixels; then the teacher looks at what came out,
and the batch trains the network as any other. "bare passes" are just these, on as many rows, with
nothing drawn, chosen or normalised.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from _common import DEVICE, Contestant, make_parser, parse, print_race, race, report
from _contestants import BACKBONES, fitted, ready_batch, steps_of, train_on
from torch import nn

from sklearn_open._training.hardware import autocast, autocast_dtype
from sklearn_open._training.translation import BatchTranslation
from sklearn_open.batching import Batch
from sklearn_open.over_sampling import M2mOverSampler

COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


class Counting:
    """A teacher that notes how many rows it is asked about, for the first of its calls."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.n_rows = 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        self.n_rows = len(images)
        logits: torch.Tensor = self.network(images).float()
        return logits


def m2m_step(clf: Any, translation: BatchTranslation, x: torch.Tensor, codes: torch.Tensor) -> None:
    """Translate a batch and train on it."""
    mixed = translation(x, codes, epoch=0, batch=0)
    train_on(clf, [Batch(clf.transform_.normalized(mixed), codes)])


def bare_passes(clf: Any, teacher: nn.Module, x: torch.Tensor, batch: Batch, n_steps: int) -> None:
    """Take the same passes through both networks, with their gradients by the pixels."""
    dtype = autocast_dtype(clf.precision, clf.device_, (3, 32, 32))
    clf.module_.eval()
    with autocast(clf.device_, dtype, share_casts=False):
        for _ in range(n_steps):
            x = x.detach().requires_grad_()
            loss = teacher(x).float().logsumexp(1).sum() + clf.module_(x).float().sum()
            torch.autograd.grad(loss, x)
        with torch.no_grad():
            teacher(x)
    train_on(clf, [batch])


def contestants(backbone: str, precision: str, args: argparse.Namespace) -> dict[str, Contestant]:
    """Return the steps to be timed."""
    clf = fitted(BACKBONES[backbone], resampler=None, precision=precision)
    teacher = fitted(BACKBONES[backbone], resampler=None, precision=precision).module_.eval()
    teacher = teacher.requires_grad_(False)
    n = args.batch_size
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 3, 32, 32, generator=generator).to(DEVICE)
    x = x.contiguous(memory_format=torch.channels_last)
    codes = torch.arange(n, device=DEVICE) % 10
    sampler, counted = M2mOverSampler(n_steps=args.n_steps), Counting(teacher)
    translation = BatchTranslation(clf, counted, sampler.settings(np.array(COUNTS)))
    translation(x, codes, epoch=0, batch=0)  # which rows it moves is the same in every step
    plain = ready_batch(n, 0)

    def bare() -> None:
        bare_passes(clf, teacher, x[: counted.n_rows], plain, args.n_steps)

    def m2m() -> None:
        m2m_step(clf, translation, x, codes)

    print(f"{backbone}, {precision}: {counted.n_rows} of {n} rows are moved")
    return {
        "plain": steps_of(clf, plain, 1),
        "m2m": Contestant(warm=m2m, run=m2m, amount=n),
        "bare passes": Contestant(warm=bare, run=bare, amount=n),
    }


def main() -> None:
    """Race for both precisions."""
    parser = make_parser(__doc__)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--n-steps", type=int, default=10, help="of the translation")
    parser.add_argument("--backbone", choices=[*BACKBONES], default="wrn16_2")
    args = parse(parser)
    if args.quick:
        args.batch_size, args.n_steps, args.backbone = 16, 2, "small"
    pairs = [("m2m", "plain"), ("bare passes", "plain"), ("m2m", "bare passes")]
    results: list[dict[str, Any]] = []
    for precision in ("float32", "auto"):
        result = race(contestants(args.backbone, precision, args), args.turns, pairs)
        results.append({"backbone": args.backbone, "precision": precision, **result})
        report(args, __file__, results)
        print_race(f"{args.backbone}, {precision}", result, "images")


if __name__ == "__main__":
    main()
