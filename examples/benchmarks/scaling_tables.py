"""Print the tables of docs/scaling.md: arithmetic, from what was counted and what others published.

    python examples/benchmarks/scaling_tables.py

Nothing here was measured on GPUs. The inputs are results/scaling/traffic.json (what a step sends),
results/benchmarks/search.json (what a search takes here), and the constants below, each with its
source.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "results"

# Training images per second on one A100 in mixed precision, github.com/NVIDIA/DeepLearningExamples,
# PyTorch/Classification/ConvNets, README.md of resnet50v1.5 and of resnext101-32x4d. What networks
# like them reach, in operations per second, is taken for the networks of the paper.
PUBLISHED = {"ResNet-50": 2470, "ResNeXt-101-32x4d": 908.4}
LIKE = {"WRN-28-10": "ResNet-50", "ResNeXt-50": "ResNeXt-101-32x4d"}
NOISE_STEP = 1 - 0.25 * 2 / 3  # a quarter of the rows has no backward pass under "head"

# GB/s of an all-reduce's bus. NCCL's own model (github.com/NVIDIA/nccl, src/graph/tuning.cc) allows
# A100s 235 within a machine, and as much between machines with a port of 400 Gb/s (InfiniBand NDR)
# for each GPU. With one port a machine all of its GPUs have that port: 400 or 100 Gb/s.
LINKS = {"NVLink, a port for each GPU": 235, "one NDR port": 50, "one 100 GbE port": 12.5}

# Microseconds, of the same model, protocol LL, which it uses for little data: of a call, and of a
# step within a machine and between machines.
RING, TREE = (3.6, 0.47, 2.7), (4.4, 0.52, 5.0)
SLOWER_INSIDE = 1.8  # steps within a machine where there are several
PER_MACHINE = 8
GPUS = (8, 64, 512)


def load(name: str) -> list[dict[str, Any]]:
    """Return the results of one file."""
    results: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())["results"]
    return results


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def sent() -> list[str]:
    """Return a table of what one rank hands over in a step."""
    parts = ("gradients", "norm, forward", "norm, backward", "logits")
    rows = []
    for found in load("scaling/traffic"):
        if "sent" in found:
            cells = [
                f"{_bytes(found['sent'][part]['bytes'])} in {found['sent'][part]['calls']}"
                for part in parts
            ]
            rows.append([f"{found['network']}, {found['step']}", *cells])
    return table(["step", *parts], rows)


def networks() -> list[str]:
    """Return a table of the networks, and of how long one A100 would take for a row."""
    rows = []
    for name in LIKE:
        found = _steps()[name]
        numbers = [f"{found['parameters']:,}", f"{found['norm_layers']}"]
        numbers += [f"{found['norm_channels']:,}", f"{found['gflop_per_image']:.1f}"]
        rows.append([name, *numbers, LIKE[name], f"{1e3 * _seconds_per_row(name):.2f}"])
    header = ["network", "parameters", "norm layers", "their channels", "Gflop per row"]
    return table([*header, "as fast as", "ms per row"], rows)


def step_times() -> list[str]:
    """Return a table of the parts of a step, and of the speed-up, by number of GPUs."""
    rows = []
    for name, found in _steps().items():
        for per_gpu in (False, True):
            for n in GPUS:
                n_rows = found["rows"] * (n if per_gpu else 1)
                rows.append([f"{name}, {n_rows:,}", str(n), *_step_time(found, n, n_rows)])
    links = [f"gradients, {link}" for link in LINKS]
    shares = ["of ideal, best link", "of ideal, 100 GbE"]
    return table(["network, batch", "GPUs", "passes", "norm", *links, *shares], rows)


def _step_time(found: dict[str, Any], n: int, n_rows: int) -> list[str]:
    """Return milliseconds of the parts of a step on n GPUs, and what is left of n times as fast."""
    parts, of_sent = [], found["sent"]
    passes = n_rows / n * _seconds_per_row(found["network"]) * NOISE_STEP
    norm = of_sent["norm, forward"]["calls"] * gather_latency(n)
    norm += of_sent["norm, backward"]["calls"] * reduce_latency(n)
    logits = of_sent["logits"]["bytes"] * n_rows / found["rows"]
    n_bytes = of_sent["gradients"]["bytes"] + logits
    for link, rate in LINKS.items():
        fits = n > PER_MACHINE or link == next(iter(LINKS))
        parts.append(ring_seconds(n_bytes, n, rate) if fits else None)
    times = [passes, norm, *parts]
    shares = [passes / (passes + norm + part) for part in (parts[0], parts[-1]) if part is not None]
    cells = ["" if time is None else f"{1e3 * time:.2f}" for time in times]
    percent = [f"{100 * share:.0f}%" for share in shares]
    return [*cells, *percent, *[""] * (2 - len(percent))]


def ring_seconds(n_bytes: float, n: int, gb_per_second: float) -> float:
    """Return the seconds of an all-reduce of many bytes in a ring, which each passes twice."""
    return 2 * (n - 1) / n * n_bytes / (1e9 * gb_per_second)


def gather_latency(n: int) -> float:
    """Return the seconds of an all-gather of few bytes, which NCCL does in a ring."""
    return _ring_latency(n, 1)


def reduce_latency(n: int) -> float:
    """Return the seconds of an all-reduce of few bytes, in a ring or in a tree."""
    base, inside, between = TREE
    machines = _machines(n)
    n_inside = min(n, PER_MACHINE) - 1
    tree = base + 2 * (n_inside * _inside(inside, n) + math.floor(math.log2(machines)) * between)
    return min(1e-6 * tree, _ring_latency(n, 2))


def _ring_latency(n: int, times: int) -> float:
    base, inside, between = RING
    n_between = _machines(n) - 1
    n_inside = n - 1 - n_between
    return 1e-6 * (base + times * (n_inside * _inside(inside, n) + n_between * between))


def _machines(n: int) -> int:
    return -(-n // PER_MACHINE)


def _inside(latency: float, n: int) -> float:
    return latency * (SLOWER_INSIDE if _machines(n) > 1 else 1)


def searches() -> list[str]:
    """Return a table of what a search of 200 candidates in five folds takes, by `start_epoch`."""
    (found,) = load("benchmarks/search")
    n_fits, folds = 1000, 5
    without = found["contestants"]["without"]
    seconds = n_fits / without["rate"]
    rows = [["none", f"{n_fits * 1.0:,.0f}", _hours(seconds), "100%"]]
    for start in (0.5, 0.8, 0.9):
        trained = folds * start + n_fits * (1 - start)
        share = trained / n_fits
        rows.append([f"{start}", f"{trained:,.1f}", _hours(share * seconds), f"{100 * share:.1f}%"])
    return table(["shared up to", "whole trainings", "hours here", "of those without"], rows)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"


def _steps() -> dict[str, dict[str, Any]]:
    """Return what is sent in a step with noise, by network."""
    found = load("scaling/traffic")
    return {r["network"]: r for r in found if r.get("step") == "noise, head"}


def _seconds_per_row(name: str) -> float:
    gflop = {r["network"]: r["gflop_per_image"] for r in load("scaling/traffic")}
    rate = PUBLISHED[LIKE[name]] * gflop[LIKE[name]]  # Gflop per second
    return gflop[name] / rate


def _bytes(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"


def tables() -> dict[str, list[str]]:
    """Return all tables in the order of the page, by the name of what they show."""
    return {"sent": sent(), "networks": networks(), "steps": step_times(), "search": searches()}


if __name__ == "__main__":
    for title, lines in tables().items():
        print(f"\n{title}\n", *lines, sep="\n")
