"""What the benchmarks share: command line, data, timing in turns, table, JSON."""

from __future__ import annotations

import argparse
import atexit
import json
import multiprocessing as mp
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import sklearn_open
from sklearn_open._training.hardware import autocast_dtype, resolve_device
from sklearn_open.datasets import load_image_folder, long_tailed_counts, make_long_tailed

LIBRARIES = ("torch", "torchvision", "skorch", "scikit-learn", "imbalanced-learn", "numpy")
CIFAR10_LT = long_tailed_counts(5000, 10, imbalance_ratio=100)  # 12,406 images
_ZIP = Path(__file__).parents[3] / "shared" / "data" / "cifar10-images.zip"
DEVICE = resolve_device("auto")


# --- command line ---


def make_parser(doc: str | None, *, turns: int = 5) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write the results to")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--turns", type=int, default=turns, help="times each contestant is timed")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 2)))
    return parser


def add_data_options(parser: argparse.ArgumentParser, rows: int | None) -> None:
    """Add the options that `long_tailed_images` reads."""
    parser.add_argument("--rows", type=int, default=rows, help="about how many of 12,406 images")
    parser.add_argument(
        "--data",
        type=Path,
        default=_ZIP if _ZIP.exists() else None,
        help="image folder or zip of CIFAR-10; default: shared/data beside the checkout, or none",
    )


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line and set the number of threads."""
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.quick:
        args.turns, args.data = 1, None
    return args


# --- data ---


def long_tailed_images(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 3, 32, 32) with the class shares of CIFAR-10-LT, and labels.

    Random pixels where there is no ``args.data``.
    """
    counts = CIFAR10_LT
    if args.rows is not None:
        counts = np.clip(np.round(counts * args.rows / counts.sum()).astype(int), 2, counts)
    if args.data is None:
        y = np.repeat(np.arange(len(counts)), counts)
        return random_images(len(y)), y
    X, y = load_image_folder(args.data, subset="train", return_X_y=True)
    X, y = make_long_tailed(X, y, imbalance_ratio=100)
    taken = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate(counts)])
    return np.ascontiguousarray(X[taken].transpose(0, 3, 1, 2)), y[taken]


def random_images(n: int) -> np.ndarray:
    """Return n random 32x32 images, (n, 3, 32, 32) uint8."""
    return np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)


# --- timing ---


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    Parameters
    ----------
    warm : callable
        Called before every timing, so that caches hold what belongs to this contestant.
    run : callable
        What is timed.
    amount : int
        Number of things, such as images, that one `run` goes through.
    """

    warm: Callable[[], Any]
    run: Callable[[], Any]
    amount: int

    def seconds(self) -> float:
        """Time one run."""
        self.warm()
        synchronize()
        start = time.perf_counter()
        self.run()
        synchronize()
        return time.perf_counter() - start


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_own_process(make: Callable[..., Contestant], *args: Any) -> Contestant:
    """Return a contestant that is made, and runs, in a process of its own.

    For other libraries: sklearn_open leaves its process with settings of memory allocation
    (`sklearn_open._training.allocator`) that make them faster, too.

    Parameters
    ----------
    make : callable
        Returns the contestant; importable, and called with `args`.
    """
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there, torch.get_num_threads(), make, args)).start()
    there.close()
    atexit.register(here.close)  # which ends the process, before multiprocessing waits for that
    amount = here.recv()

    def call(name: str) -> None:
        here.send(name)
        here.recv()

    return Contestant(partial(call, "warm"), partial(call, "run"), amount)


def _serve(pipe: Any, threads: int, make: Callable[..., Contestant], args: Sequence[Any]) -> None:
    torch.set_num_threads(threads)
    contestant = make(*args)
    pipe.send(contestant.amount)
    with suppress(EOFError):  # the other end is closed when its process ends
        while name := pipe.recv():
            getattr(contestant, name)()
            synchronize()
            pipe.send(None)


def time_in_turns(contestants: Mapping[str, Contestant], turns: int) -> dict[str, list[float]]:
    """Time all contestants once per turn, in reversed order every second turn.

    A machine that becomes slower or faster with time does so for all of them. Each contestant
    first runs once without being timed.
    """
    names = list(contestants)
    for name in names:
        contestants[name].seconds()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns):
        for name in names if turn % 2 == 0 else reversed(names):
            seconds[name].append(contestants[name].seconds())
    return seconds


def summarize(
    seconds: Mapping[str, Sequence[float]],
    amounts: Mapping[str, float],
    pairs: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """Return median seconds and rate of each contestant, and ratios of time turn by turn.

    Parameters
    ----------
    seconds : mapping of str to list of float
        Of each contestant, one number per turn.
    amounts : mapping of str to float
        How many things a contestant went through in these seconds, for the rate.
    pairs : iterable of (str, str)
        Contestants whose seconds are to be divided, the first by the second.
    """
    ratios = {}
    for above, below in pairs:
        quotients = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]
        ratios[f"{above} / {below}"] = {
            "median": round(median(quotients), 4),
            "min": round(min(quotients), 4),
            "max": round(max(quotients), 4),
        }
    contestants = {
        name: {
            "median_seconds": significant(median(times)),
            "rate": significant(amounts[name] / median(times)),
            "seconds": [significant(time) for time in times],
        }
        for name, times in seconds.items()
    }
    return {"contestants": contestants, "ratios": ratios}


def race(
    contestants: Mapping[str, Contestant], turns: int, pairs: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Time contestants in turns and summarise."""
    seconds = time_in_turns(contestants, turns)
    return summarize(seconds, {name: c.amount for name, c in contestants.items()}, pairs)


def significant(value: float) -> float:
    """Round to five significant digits."""
    return float(f"{value:.5g}")


# --- reports ---


def report(args: argparse.Namespace, script: str, results: list[dict[str, Any]]) -> None:
    """Write results to ``args.out``, if given, with all that is needed to repeat them."""
    if args.out is None:
        return
    record = {
        "script": f"examples/benchmarks/{Path(script).name}",
        "arguments": {k: v.name if isinstance(v, Path) else v for k, v in vars(args).items()},
        "machine": machine(),
        "versions": versions(),
        "results": results,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Return what the times depend on."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "bf16": autocast_dtype("auto", DEVICE, (3, 32, 32)) is not None,
    }


def versions() -> dict[str, str]:
    """Return the versions of all that takes part."""
    found = {name: version(name) for name in (*LIBRARIES, "kornia")}
    python = platform.python_version()
    return {"sklearn_open": sklearn_open.__version__, **found, "python": python}


def print_race(title: str, result: Mapping[str, Any], unit: str) -> None:
    """Print the result of a race: contestants, then ratios."""
    print(f"\n{title}")
    header = ["", "seconds", f"{unit}/s"]
    print_table(
        [header]
        + [
            [name, f"{c['median_seconds']:.4g}", f"{c['rate']:.4g}"]
            for name, c in result["contestants"].items()
        ]
    )
    header = ["ratio of seconds", "median", "min", "max"]
    print_table(
        [header]
        + [[name, *(f"{r[k]:.3f}" for k in header[1:])] for name, r in result["ratios"].items()]
    )


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in aligned columns, the first one to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]), flush=True)
