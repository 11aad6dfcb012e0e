"""Time a training epoch: sklearn_open, ordinary skorch, and the network alone.

    python examples/benchmarks/epoch.py --backbone wrn16_2 --out results/benchmarks/epoch.json

The data are long-tailed as CIFAR-10-LT, a quarter of each batch of sklearn_open is noise.
"ordinary skorch" is skorch's classifier with plain batch norm in float32, a WeightedRandomSampler,
and torchvision's transforms image by image in two worker processes; it runs in a process of its
own. The network alone makes the forward and backward passes of the same batches on rows that are
ready: what is left to win.

Noise rows cost less than natural ones, as they have no backward pass but in the last layer. With
"delta=0" all rows are natural, the same work as ordinary skorch's.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from _common import (
    add_data_options,
    in_own_process,
    long_tailed_images,
    make_parser,
    parse,
    print_race,
    race,
    report,
)
from _contestants import BACKBONES, bare_network, begin, make_open, ordinary_skorch

PAIRS = [
    ("sklearn_open auto", "ordinary skorch"),
    ("sklearn_open float32", "ordinary skorch"),
    ("sklearn_open float32 delta=0", "ordinary skorch"),
    ("sklearn_open auto compiled", "sklearn_open auto"),
    ("sklearn_open auto", "bare network auto"),
    ("sklearn_open float32", "bare network float32"),
]


def run(augment: str, args: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Race with one augmentation."""
    factory = BACKBONES[args.backbone]
    found = {}
    for precision in ("auto", "float32"):
        clf = make_open(factory, precision=precision, augment=augment, delta=args.delta)
        found[f"sklearn_open {precision}"] = begin(clf, X, y).epochs()
    plan = clf.epoch_plan(0)
    if args.compiled:
        compiled = make_open(factory, augment=augment, delta=args.delta, compile=True)
        found["sklearn_open auto compiled"] = begin(compiled, X, y).epochs()
    no_noise = make_open(factory, precision="float32", augment=augment, delta=0)
    found["sklearn_open float32 delta=0"] = begin(no_noise, X, y).epochs()
    sizes = [(len(index), n_noise) for index, n_noise in plan.batches()]
    for precision in ("auto", "float32"):
        found[f"bare network {precision}"] = bare_network(clf.module_, sizes, precision)
    extra = {"in_channels": 3} if args.backbone == "small" else {}
    module = factory(num_classes=int(y.max()) + 1, **extra)
    found["ordinary skorch"] = in_own_process(ordinary_skorch, module, X, y, augment, args.workers)
    shares = {"noise_share": round(plan.noise_share, 4), "batches": plan.n_batches}
    pairs = [pair for pair in PAIRS if set(pair) <= set(found)]
    return {**shares, **race(found, args.turns, pairs)}


def main() -> None:
    """Race with every augmentation."""
    parser = make_parser(__doc__)
    parser.add_argument("--backbone", choices=list(BACKBONES), default="wrn16_2")
    parser.add_argument("--augment", nargs="+", default=["flip_crop", "simclr"])
    parser.add_argument("--delta", type=float, default=1 / 3)
    parser.add_argument("--workers", type=int, default=2, help="processes of ordinary skorch")
    parser.add_argument("--compiled", action="store_true", help="race with compile=True, too")
    add_data_options(parser, rows=2560)
    args = parse(parser)
    if args.quick:
        args.rows, args.backbone, args.workers = 160, "small", 1
    X, y = long_tailed_images(args)

    results: list[dict[str, Any]] = []
    for augment in args.augment:
        setting = {"backbone": args.backbone, "augment": augment, "rows": len(X)}
        results.append({**setting, **run(augment, args, X, y)})
        report(args, __file__, results)
        share = 100 * results[-1]["noise_share"]
        print_race(f"{args.backbone}, {augment}, {share:.1f}% noise", results[-1], "images")


if __name__ == "__main__":
    main()
