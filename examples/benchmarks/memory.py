"""Measure the memory that training takes beside the images. Linux only.

    python examples/benchmarks/memory.py --out results/benchmarks/memory.json

Three processes train for some batches: on few images, on a memory map, on an array. What they take
is read from /proc every 10 ms. "copies" is how much more anonymous memory (which excludes pages of
a mapped file, those the system drops when it likes) is taken than with few images, in sizes of all
images: 1 for an array that is nowhere copied, 0 for a memory map.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from _common import CIFAR10_LT, make_parser, parse, print_table, random_images, report
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier, backbones

FIELDS = ("VmRSS", "RssAnon", "RssFile", "VmHWM")
FEW = 2_000
SHAPE = (3, 32, 32)


class StopAfter(Callback):
    """Ends training after some batches, as Ctrl-C would."""

    def __init__(self, n_batches: int) -> None:
        self.n_batches = n_batches

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.seen_ = 0

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.seen_ += 1
        if self.seen_ == self.n_batches:
            raise KeyboardInterrupt


def resident() -> dict[str, float]:
    """Return this process's memory in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {name: int(status[name].split()[0]) / 1024 for name in FIELDS}


class Peak:
    """Largest memory within a context, read every 10 ms."""

    def __enter__(self) -> Peak:
        self.largest = resident()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        """Read until the context ends."""
        while not self.over.wait(0.01):
            now = resident()
            self.largest = {name: max(self.largest[name], now[name]) for name in FIELDS}

    def __exit__(self, *error: Any) -> None:
        self.over.set()
        self.thread.join()


def labels(n: int) -> np.ndarray:
    """Return n labels with the class shares of CIFAR-10-LT."""
    ends = np.cumsum(CIFAR10_LT) / CIFAR10_LT.sum()
    return np.minimum(np.searchsorted(ends, np.arange(n) / n, side="right"), 9)


def write_images(path: Path, n: int) -> None:
    """Write a file of n random images."""
    chunk = random_images(min(n, 10_000))
    with path.open("wb") as file:
        for start in range(0, n, len(chunk)):
            file.write(chunk[: n - start].tobytes())


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Train in this process, and return what that took above the level after the imports, in MiB.

    `VmHWM` is the system's own record of the largest `VmRSS`.
    """
    at_import = resident()
    shape = (args.images, *SHAPE)
    with Peak() as peak:
        if args.child == "memory map":
            X = np.memmap(args.file, dtype=np.uint8, mode="r", shape=shape)
        else:
            X = np.fromfile(args.file, dtype=np.uint8).reshape(shape)
        clf = OPeNClassifier(
            getattr(backbones, args.backbone),
            max_epochs=1,
            start_epoch=0,
            augment="flip_crop",
            callbacks=[StopAfter(args.batches)],
            verbose=0,
        )
        clf.fit(X, labels(len(X)))
    peak.largest["VmHWM"] = resident()["VmHWM"]
    return {name: round(peak.largest[name] - at_import[name], 1) for name in FIELDS}


def in_child(kind: str, n: int, args: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.bin"
        write_images(file, n)
        command = [sys.executable, __file__, "--child", kind, "--file", str(file)]
        command += ["--images", str(n), "--batches", str(args.batches)]
        command += ["--backbone", args.backbone, "--threads", str(args.threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    mib = n * int(np.prod(SHAPE)) / 2**20
    return {"kind": kind, "images": n, "images_mib": round(mib, 1), **json.loads(done.stdout)}


def main() -> None:
    """Measure in three processes."""
    parser = make_parser(__doc__, turns=1)
    parser.add_argument("--images", type=int, default=1_000_000, help="of the memory map")
    parser.add_argument("--array-images", type=int, default=200_000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--backbone", choices=["SmallCNN", "wrn16_2"], default="wrn16_2")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parse(parser)
    if args.child is not None:
        print(json.dumps(measure(args)))
        return
    if args.quick:
        args.images, args.array_images, args.batches, args.backbone = 4_000, 4_000, 2, "SmallCNN"

    few = in_child("few images", min(FEW, args.images), args)
    results = [few]
    for kind, n in (("memory map", args.images), ("array", args.array_images)):
        result = in_child(kind, n, args)
        more = result["RssAnon"] - few["RssAnon"]
        results.append({**result, "copies": round(more / result["images_mib"], 3)})
    del args.child, args.file
    report(args, __file__, results)
    print("MiB above the level after the imports, at the peak")
    header = ["", "images", "their MiB", *FIELDS, "copies"]
    rows = [
        [r["kind"], f"{r['images']:,}", f"{r['images_mib']:.0f}"]
        + [f"{r[name]:.0f}" for name in FIELDS]
        + [f"{r['copies']:.2f}" if "copies" in r else ""]
        for r in results
    ]
    print_table([header, *rows])


if __name__ == "__main__":
    main()
