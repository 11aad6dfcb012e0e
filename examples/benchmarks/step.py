"""Time one training step: batch norm, DAR-BN on two routes, DAR-BN by the paper's mask.

    python examples/benchmarks/step.py --out results/benchmarks/step.json
    python examples/benchmarks/step.py --losses --out results/benchmarks/step_losses.json

Every contestant takes skorch's whole step (gradients to zero, forward, loss, backward, SGD) on a
batch that is ready, through the same classifier; only norm layers and routes differ. The listing
as the paper prints it cannot run in mixed precision (it assigns bf16 rows to a float32 tensor), so
it takes part in float32 only.

With ``--losses`` the contestants are losses, class weights and mixup, each against cross-entropy,
on a batch without noise. (LDAM on a linear head, as all others: a cosine head is another network.)
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from _common import DEVICE, Contestant, make_parser, parse, print_race, race, report
from _contestants import BACKBONES, fitted, ready_batch, steps_of, use_listing

from sklearn_open._training.objective import Objective
from sklearn_open.batching import Batch
from sklearn_open.batching._mixing import draw_mix
from sklearn_open.losses import effective_number_weights

PAIRS = [("open head", "plain"), ("open all", "plain")]
COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
OF_COUNTS = ("balanced_softmax", "ldam", "lade", "label_aware_smoothing", "focal")
LISTING_PAIRS = [("masked listing", "plain"), ("masked listing", "open head")]


def contestants(backbone: str, precision: str, args: argparse.Namespace) -> dict[str, Contestant]:
    """Return the steps to be timed."""
    module = BACKBONES[backbone]
    natural = ready_batch(args.batch_size, 0)
    mixed = ready_batch(args.batch_size, args.noise_rows)

    plain = fitted(module, resampler=None, precision=precision)
    head = fitted(module, noise_grad="head", precision=precision)
    every = fitted(module, noise_grad="all", precision=precision)
    found = {
        "plain": steps_of(plain, natural, args.steps),
        "open head": steps_of(head, mixed, args.steps),
        "open all": steps_of(every, mixed, args.steps),
    }
    if precision == "float32":
        listing = fitted(module, resampler=None, precision=precision)
        mask = torch.arange(args.batch_size) >= args.batch_size - args.noise_rows
        use_listing(listing.module_, mask.to(DEVICE))
        found["masked listing"] = steps_of(listing, natural, args.steps)
    return found


def losses(backbone: str, precision: str, args: argparse.Namespace) -> dict[str, Contestant]:
    """Return steps that differ in the loss alone; the first is cross-entropy."""
    batch = ready_batch(args.batch_size, 0)
    common = {"resampler": None, "precision": precision}

    def steps(batch: Batch = batch, weights: Any = None, **params: Any) -> Contestant:
        clf = fitted(BACKBONES[backbone], **common, **params)
        clf._objective_ = Objective(weights)  # which `fit` sets when an epoch begins
        return steps_of(clf, batch, args.steps)

    x, codes = batch
    mixed = Batch(x, codes, 0, draw_mix(1.0, codes, len(codes), 0, 0, 0))
    found = {"cross_entropy": steps(), "cross_entropy again": steps()}
    for name in OF_COUNTS:
        scale = {"criterion__logit_scale": 1} if name == "ldam" else {}
        found[name] = steps(criterion=name, criterion__class_counts=COUNTS, **scale)
    found["class_weight"] = steps(weights=effective_number_weights(COUNTS))
    found["mixup"] = steps(batch=mixed)
    return found


def main() -> None:
    """Race for every backbone and precision."""
    parser = make_parser(__doc__)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--noise-rows", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8, help="steps per turn")
    parser.add_argument("--backbones", nargs="+", default=["wrn16_2", "resnet18"])
    parser.add_argument("--losses", action="store_true", help="time losses, not norms and routes")
    args = parse(parser)
    if args.quick:
        args.batch_size, args.noise_rows, args.steps = 16, 4, 2
        args.backbones = ["wrn16_2"]
    precisions = ("float32",) if args.quick and args.losses else ("float32", "auto")

    results: list[dict[str, Any]] = []
    for backbone in args.backbones:
        for precision in precisions:
            if args.losses:
                made = losses(backbone, precision, args)
                pairs = [(name, "cross_entropy") for name in made if name != "cross_entropy"]
            else:
                made = contestants(backbone, precision, args)
                pairs = PAIRS + LISTING_PAIRS * (precision == "float32")
            result = race(made, args.turns, pairs)
            results.append({"backbone": backbone, "precision": precision, **result})
            report(args, __file__, results)
            print_race(f"{backbone}, {precision}", result, "images")


if __name__ == "__main__":
    main()
