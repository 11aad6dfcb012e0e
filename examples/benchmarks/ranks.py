"""Time an epoch on two ranks of one machine against one process.

    python examples/benchmarks/ranks.py --out results/benchmarks/ranks.json

One process with one thread, one process with as many threads as there are ranks, and as many ranks
with one thread each (gloo) train the same rows, a quarter of them noise. Each contestant has
processes of its own, which stay, and fits once in a turn; seconds are the median of the epochs of a
fit, but for the first. On an idle machine with as many cores as ranks: what else runs there slows
ranks more than one process, as each waits for the slowest.

"weights_differ_by" is how far ranks and one process are apart after trainings in float64 on
long-tailed digits, with the default batches and with batches of five, whose batch norm amplifies
rounding step by step: the largest difference of a weight.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from statistics import median
from typing import Any

import numpy as np
import torch
from _common import (
    add_data_options,
    long_tailed_images,
    make_parser,
    parse,
    print_race,
    report,
    summarize,
)
from _contestants import BACKBONES, make_open
from sklearn.datasets import load_digits
from torch import distributed

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import make_long_tailed

Rows = tuple[np.ndarray, np.ndarray]


class Team:
    """The processes of one contestant.

    Parameters
    ----------
    args : argparse.Namespace
        What is trained.
    rows : tuple of numpy.ndarray
        Images and labels.
    n_ranks, n_threads : int
        Processes, and threads of each.
    """

    def __init__(self, args: argparse.Namespace, rows: Rows, n_ranks: int, n_threads: int) -> None:
        context = mp.get_context("spawn")
        self.pipes = []
        port = free_port()
        for rank in range(n_ranks):
            here, there = context.Pipe()
            place = (rank, n_ranks, port, n_threads)
            context.Process(target=serve, args=(there, args, rows, place), daemon=True).start()
            there.close()
            self.pipes.append(here)

    def fit(self) -> tuple[list[float], list[float]]:
        """Fit once; return seconds and losses of the epochs."""
        found = self.call("timed")
        if any(losses != found[0][1] for _, losses in found):
            raise AssertionError(f"ranks have other losses: {found}")
        return found[0]

    def weights(self, **settings: Any) -> np.ndarray:
        """Train in float64; return the weights, which are the same on all ranks."""
        first, *others = self.call("weights", settings)
        if not all(np.array_equal(first, other) for other in others):
            raise AssertionError("ranks have other weights")
        return first

    def call(self, *what: Any) -> list[Any]:
        """Let every process do something; return what each has found."""
        for pipe in self.pipes:
            pipe.send(what)
        return [pipe.recv() for pipe in self.pipes]

    def close(self) -> None:
        """End the processes."""
        for pipe in self.pipes:
            pipe.close()


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def serve(pipe: Any, args: argparse.Namespace, rows: Rows, place: Sequence[int]) -> None:
    """Fit whenever the other end asks for it."""
    rank, n_ranks, port, n_threads = place
    torch.set_num_threads(n_threads)
    if n_ranks > 1:
        there = f"tcp://127.0.0.1:{port}"
        distributed.init_process_group("gloo", there, rank=rank, world_size=n_ranks)
    together = {"distributed": n_ranks > 1, "device": "cpu"}
    with suppress(EOFError):  # the other end is closed when all is done
        while what := pipe.recv():
            make = {"timed": timed, "weights": weights}[what[0]]
            pipe.send(make(args, rows, together, *what[1:]))
    if n_ranks > 1:
        distributed.destroy_process_group()


def timed(
    args: argparse.Namespace, rows: Rows, together: dict[str, Any]
) -> tuple[list[float], list[float]]:
    """Return seconds and losses of the epochs of a fit."""
    settings = {"precision": args.precision, "augment": "flip_crop", "max_epochs": 1 + args.epochs}
    clf = make_open(BACKBONES[args.backbone], **settings, **together).fit(*rows)
    return clf.history[:, "dur"], clf.history[:, "train_loss"]


class DoubleCNN(SmallCNN):
    """The default network, in float64."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__(num_classes, in_channels)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return super().forward(x.double())


def weights(
    args: argparse.Namespace, rows: Rows, together: dict[str, Any], settings: dict[str, Any]
) -> np.ndarray:
    """Return all weights after a fit on digits, whose later half has noise."""
    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20, random_state=0)
    fixed = {"start_epoch": 0.5, "random_state": 0, "verbose": 0}
    clf = OPeNClassifier(DoubleCNN, **fixed, **settings, **together).fit(X, y)
    return np.concatenate([p.detach().numpy().ravel() for p in clf.module_.parameters()])


def run(args: argparse.Namespace, rows: Rows) -> dict[str, Any]:
    """Let all contestants fit in turns."""
    n = args.ranks
    one, threads, ranks = names = (
        "1 process, 1 thread",
        f"1 process, {n} threads",
        f"{n} ranks, 1 thread each",
    )
    sizes = dict(zip(names, ((1, 1), (1, n), (n, 1)), strict=True))
    teams = {name: Team(args, rows, *size) for name, size in sizes.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    losses = {}
    for turn in range(args.turns):
        for name in names if turn % 2 == 0 else reversed(names):
            (_, *later), losses[name] = teams[name].fit()
            seconds[name].append(median(later))
    apart = {}
    for batch_size, n_epochs in ((128, 10), (5, 1), (5, 4)):
        settings = {"batch_size": batch_size, "max_epochs": 1 if args.quick else n_epochs}
        of_one, of_ranks = (teams[name].weights(**settings) for name in (one, ranks))
        title = f"batches of {batch_size}, {settings['max_epochs']} epochs"
        apart[title] = float(f"{np.abs(of_one - of_ranks).max():.1e}")
    for team in teams.values():
        team.close()
    pairs = [(ranks, one), (ranks, threads), (threads, one)]
    found = summarize(seconds, dict.fromkeys(names, len(rows[1])), pairs)
    first_losses = {name: loss[0] for name, loss in losses.items()}
    return {**found, "first_losses": first_losses, "weights_differ_by": apart}


def main() -> None:
    """Race once."""
    parser = make_parser(__doc__)
    parser.add_argument("--backbone", choices=list(BACKBONES), default="wrn16_2")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3, help="that are timed in each fit")
    add_data_options(parser, rows=768)
    args = parse(parser)
    if args.quick:
        args.rows, args.backbone, args.epochs = 64, "small", 1
    rows = long_tailed_images(args)
    setting = {"backbone": args.backbone, "precision": args.precision, "rows": len(rows[1])}
    result = run(args, rows)
    report(args, __file__, [{**setting, **result}])
    print_race(f"{args.backbone}, {args.precision}, {len(rows[1])} rows", result, "images")
    print("losses of the first epoch:", *result["first_losses"].values())
    print("weights differ by", result["weights_differ_by"])


if __name__ == "__main__":
    main()
