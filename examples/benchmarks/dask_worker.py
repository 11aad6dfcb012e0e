"""Count page faults of training steps in a worker of Dask, and outside of one. Linux only.

    python examples/benchmarks/dask_worker.py --out results/benchmarks/dask_worker.json

The same network is trained in a thread of a process of its own, as workers of Dask run tasks in
threads; in a worker of a `LocalCluster`; and in one whose threshold of giving memory back was set
to another number than Dask's, which is taken for a user's, so that memory is given back in every
step. Each of them trains several times in turns, and the first fit of a process does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np
import torch
from _common import make_parser, parse, print_table, report
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier, backbones

TRIM = "MALLOC_TRIM_THRESHOLD_"
KINDS = {
    "outside": None,
    "in a worker": {},
    "in a worker, given back": {TRIM: "65537"},
}


class Faults(Callback):
    """Counts the page faults between the ends of training steps."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.seen_: list[int] = []

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.seen_.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)


def fit(backbone: str, rows: int, epochs: int) -> dict[str, float]:
    """Train once; return faults and seconds of a step."""
    torch.set_num_threads(1)
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (rows, 3, 32, 32), dtype=np.uint8)
    y = np.minimum(np.arange(rows) * 20 // rows, 9)
    faults = Faults()
    clf = OPeNClassifier(
        getattr(backbones, backbone),
        max_epochs=epochs,
        batch_size=128,
        random_state=0,
        verbose=0,
        callbacks=[("faults", faults)],
    )
    began = time.perf_counter()
    clf.fit(X, y)
    seconds = time.perf_counter() - began
    counted = dict(clf.callbacks_)["faults"].seen_
    return {
        "faults": (counted[-1] - counted[0]) / (len(counted) - 1),
        "seconds": seconds / len(counted),
    }


def several(turns: int, *setting: Any) -> list[dict[str, float]]:
    """Train once to warm up, and then some times."""
    return [fit(*setting) for _ in range(turns + 1)][1:]


def measure(args: argparse.Namespace) -> list[dict[str, float]]:
    """Measure one kind in this process, or in a worker that it starts."""
    setting = (args.turns, args.backbone, args.rows, args.epochs)
    environment = KINDS[args.child]
    if environment is None:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(several, *setting).result()
    from dask.distributed import Client, LocalCluster

    os.environ.update(environment)  # which the nanny leaves alone
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        return client.submit(several, *setting).result()


def main() -> None:
    """Measure all kinds, each in a process of its own."""
    parser = make_parser(__doc__, turns=3)
    parser.add_argument("--backbone", choices=["SmallCNN", "wrn16_2"], default="wrn16_2")
    parser.add_argument("--rows", type=int, default=768)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--child", choices=list(KINDS), help=argparse.SUPPRESS)
    args = parse(parser)
    if args.quick:
        args.backbone, args.rows, args.epochs, args.turns = "SmallCNN", 256, 2, 1
    if args.child is not None:
        print(json.dumps(measure(args)))
        return
    found: dict[str, Any] = {}
    for kind in KINDS:
        command = [sys.executable, __file__, *sys.argv[1:], "--child", kind]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        fits = json.loads(done.stdout.splitlines()[-1])
        found[kind] = {
            name: round(median(one[name] for one in fits), 4) for name in ("faults", "seconds")
        }
        found[kind]["all_faults"] = [round(one["faults"], 1) for one in fits]
    del args.child
    report(args, __file__, [{"kind": kind, **of_kind} for kind, of_kind in found.items()])
    header = ["of a step", "page faults", "seconds"]
    rows = [[kind, f"{r['faults']:.0f}", f"{r['seconds']:.3f}"] for kind, r in found.items()]
    print_table([header, *rows])


if __name__ == "__main__":
    main()
