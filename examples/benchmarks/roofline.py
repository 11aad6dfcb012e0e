"""Compare a step's operations with what the machine can do, and say where the time goes.

    python examples/benchmarks/roofline.py --out results/benchmarks/roofline.json

The peak is the rate of a large matrix product, or of a large convolution where that is faster, in
the same precision. "share of peak" is what the network alone, forward and backward on rows that are
ready, reaches of it. The profile is of whole training epochs with "flip_crop": the share of the
time that each kind of operation takes itself.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np
import torch
from _common import (
    add_data_options,
    long_tailed_images,
    make_parser,
    parse,
    print_table,
    report,
    significant,
    time_in_turns,
)
from _contestants import (
    BACKBONES,
    bare_network,
    begin,
    convolution_peak,
    fitted,
    flops,
    make_open,
    matrix_peak,
)
from torch.profiler import profile

KINDS = {
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("conv",),
    "batch norm": ("batch_norm",),
    "copies and casts": ("copy_", "cat", "gather", "contiguous", "fill_", "zero_"),
    "optimiser": ("sgd", "SGD"),
}


def rates(backbone: str, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return operations per second of the network alone, and of large matrix products."""
    dtype = torch.bfloat16 if precision == "auto" else torch.float32
    peaks = {
        "matrix product": matrix_peak(args.size, dtype=dtype)["tflops"],
        "convolution": convolution_peak(args.batch_size, dtype),
    }
    peak = max(peaks.values())
    counted = flops(BACKBONES[backbone], n_noise=2)
    module = fitted(BACKBONES[backbone], resampler=None).module_
    found = {"peak_tflops": peaks, **counted}
    for name, n_noise in (("plain", 0), ("open head", args.batch_size // 4)):
        contestant = bare_network(module, [(args.batch_size, n_noise)] * args.steps, precision)
        seconds = min(time_in_turns({name: contestant}, args.turns)[name])
        tflops = counted["gflop_per_image"][name] * contestant.amount / seconds / 1e3
        found[name] = {
            "images_per_second": significant(contestant.amount / seconds),
            "tflops": significant(tflops),
            "share_of_peak": significant(tflops / peak),
        }
    return found


def shares(
    backbone: str, precision: str, args: argparse.Namespace, X: np.ndarray, y: np.ndarray
) -> dict[str, float]:
    """Return which share of an epoch's time each kind of operation takes."""
    clf = make_open(BACKBONES[backbone], precision=precision, augment="flip_crop")
    epoch = begin(clf, X, y).epochs()
    epoch.seconds()
    with profile() as profiler:
        epoch.run()
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        names = (kind for kind, parts in KINDS.items() if any(p in event.key for p in parts))
        times[next(names, "all else")] += event.self_cpu_time_total
    total = sum(times.values())
    return {kind: round(times[kind] / total, 4) for kind in (*KINDS, "all else")}


def main() -> None:
    """Measure every backbone in both precisions."""
    parser = make_parser(__doc__)
    parser.add_argument("--backbones", nargs="+", default=["wrn16_2", "resnet18"])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--size", type=int, default=2048, help="of the matrices")
    add_data_options(parser, rows=1280)
    args = parse(parser)
    if args.quick:
        args.rows, args.backbones, args.size, args.steps = 60, ["wrn16_2"], 256, 1
        args.batch_size = 16
    X, y = long_tailed_images(args)

    results: list[dict[str, Any]] = []
    for backbone in args.backbones:
        for precision in ("float32", "auto"):
            found = rates(backbone, precision, args)
            profiled = shares(backbone, precision, args, X, y)
            setting = {"backbone": backbone, "precision": precision}
            results.append({**setting, **found, "profile": profiled})
            report(args, __file__, results)
            print(f"\n{backbone}, {precision}: {found['peak_tflops']} Tflop/s")
            header = ["", "Gflop/image", "images/s", "share of peak"]
            rows = [
                [
                    name,
                    f"{found['gflop_per_image'][name]:.4g}",
                    f"{found[name]['images_per_second']:.4g}",
                    f"{found[name]['share_of_peak']:.3f}",
                ]
                for name in ("plain", "open head")
            ]
            print_table([header, *rows])
            print_table([[kind, f"{share:.3f}"] for kind, share in profiled.items()])


if __name__ == "__main__":
    main()
