"""Measure training on one GPU from all sides, in one run of some minutes.

    python examples/benchmarks/gpu.py --out results/benchmarks/gpu.json
    python examples/benchmarks/gpu.py --dry

Results are written after every section. One that fails leaves its error in the report and the
others go on; one that would start after --budget seconds is skipped. --dry goes through all
sections with a tiny network and few rows, on a computer without a GPU too.
"""

from __future__ import annotations

import argparse
import gc
import re
import time
import traceback
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch
from _common import (
    DEVICE,
    add_data_options,
    long_tailed_images,
    make_parser,
    parse,
    print_race,
    print_table,
    race,
    report,
    significant,
    synchronize,
)
from _contestants import (
    BACKBONES,
    bare_network,
    begin,
    fitted,
    flops,
    make_open,
    matrix_peak,
    ready_batch,
    steps_of,
)
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from sklearn_open.batching._sources import _ReadAheadSource

KINDS: dict[str, dict[str, Any]] = {
    "plain": {"resampler": None},
    "open head": {"noise_grad": "head"},
    "open all": {"noise_grad": "all"},
}
PAIRS = [
    ("open head", "plain"),
    ("open all", "plain"),
    ("plain", "bare plain"),
    ("open head", "bare open head"),
]
COMPILE = {"eager": False, "compiled": True, "reduce-overhead": "reduce-overhead"}
# First match wins. Names of kernels on a GPU, of torch's operations on a CPU.
KERNELS = {
    "batch norm": r"batch_?norm|bn_(fw|bw)",
    "layout": r"nchwTo|nhwcTo|transpose",
    "convolution and matrix product": r"conv|gemm|xmma|cutlass|cudnn|nvjet|fprop|dgrad|wgrad|mm\b",
    "optimiser": r"multi_tensor|foreach",
    "copy and cast": r"copy|memset|memcpy|catarray|::cat|fill",
    "random numbers": r"philox|distribution|random|normal",
    "gather and index": r"gather|index|scatter|sort|radix",
    "elementwise": r"elementwise|vectorized|relu|threshold|add|mul|div",
    "reduction": r"reduce|softmax|nll|sum|mean",
}


class Report:
    """Runs sections one by one and keeps what they find."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.deadline = time.perf_counter() + args.budget
        self.results: list[dict[str, Any]] = []

    def section(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run one section, whatever happens in it."""
        start = time.perf_counter()
        if start > self.deadline:
            found: dict[str, Any] = {"skipped": f"after {self.args.budget} seconds"}
        else:
            try:
                found = measure()
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                found = {"error": text[:2000], "where": traceback.format_exc()[-2000:]}
        took = time.perf_counter() - start
        self.results.append({"section": name, "took_seconds": round(took, 1), **found})
        report(self.args, __file__, self.results)
        show(name, took, found)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return found


def show(name: str, took: float, found: dict[str, Any]) -> None:
    """Print what a section found."""
    hidden = {"contestants", "ratios", "where"}
    if "contestants" in found:
        print_race(f"{name} ({took:.0f} s)", found, "images")
    else:
        print(f"\n{name} ({took:.0f} s)", flush=True)
    rows = []
    for key, value in found.items():
        if key not in hidden and isinstance(value, dict):
            rows += [[f"{key}: {part}", str(number)] for part, number in value.items()]
        elif key not in hidden:
            rows.append([key, str(value)])
    if rows:
        print_table(rows)


# --- steps ---


def steps(
    compile: bool | str, args: argparse.Namespace, known: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """Race the steps of one setting of `compile`; those that cannot be made are left out."""
    natural = ready_batch(args.batch_size, 0)
    mixed = ready_batch(args.batch_size, args.noise_rows)
    contestants, first, errors, memory = {}, {}, {}, {}
    for name, params in KINDS.items():
        batch = natural if name == "plain" else mixed
        if time.perf_counter() > deadline:
            errors[name] = "skipped"
            continue
        try:
            watched = GpuMemory()
            clf = fitted(args.network, compile=compile, **args.compile_params, **params)
            contestant = steps_of(clf, batch, args.steps)
            start = time.perf_counter()
            contestant.warm()
            synchronize()
            first[name] = round(time.perf_counter() - start, 2)
            contestant.warm()
            memory[name] = watched.taken()
            contestants[name] = contestant
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"[:1000]
    if not compile:
        module = fitted(args.network, resampler=None).module_
        for name, n_noise in (("bare plain", 0), ("bare open head", args.noise_rows)):
            sizes = [(args.batch_size, n_noise)] * args.steps
            contestants[name] = bare_network(module, sizes, "auto")
    pairs = [pair for pair in PAIRS if all(name in contestants for name in pair)]
    result = race(contestants, args.turns, pairs)
    peak = known["peak"].get("tflops")
    per_image = known["flops"].get("gflop_per_image", {})
    result["share_of_peak"] = {
        name: significant(found["rate"] * per_image[name.removeprefix("bare ")] / 1e3 / peak)
        for name, found in result["contestants"].items()
        if peak and name.removeprefix("bare ") in per_image
    }
    result |= {"first_step_seconds": first, "peak_memory_mib": memory}
    return {**result, "errors": errors} if errors else result


def cudnn_benchmark(args: argparse.Namespace) -> dict[str, Any]:
    """Race plain steps with cuDNN's choice of algorithms and with measured ones."""
    before = torch.backends.cudnn.benchmark
    natural = ready_batch(args.batch_size, 0)
    contestants = {}
    for name, measured in (("chosen", False), ("measured", True)):
        clf = fitted(args.network, resampler=None)
        step = steps_of(clf, natural, args.steps)

        def switched(run: Callable[[], Any], measured: bool = measured) -> None:
            torch.backends.cudnn.benchmark = measured
            run()

        contestants[name] = type(step)(
            partial(switched, step.warm), partial(switched, step.run), step.amount
        )
    try:
        return race(contestants, args.turns, [("measured", "chosen")])
    finally:
        torch.backends.cudnn.benchmark = before


class GpuMemory:
    """Watches the largest memory taken on the GPU from now on."""

    def __init__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()

    def taken(self) -> float | None:
        """Return MiB above what was taken before; None without a GPU."""
        if not torch.cuda.is_available():
            return None
        return round((torch.cuda.max_memory_allocated() - self.before) / 2**20, 1)


# --- epochs ---


def epochs(
    augment: str, compile: bool | str, args: argparse.Namespace, X: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """Fit some plain and some OPeN epochs, and project 160 and 40 of them."""
    half = args.epochs
    watched = GpuMemory()
    clf = make_open(
        args.network,
        augment=augment,
        max_epochs=2 * half,
        start_epoch=half,
        compile=compile,
        **args.compile_params,
    )
    start = time.perf_counter()
    clf.fit(X, y)
    synchronize()
    whole = time.perf_counter() - start
    durations = clf.history[:, "dur"]
    # The first epoch of each half chooses algorithms, compiles and fills the allocator.
    plain = median(durations[min(1, half - 1) : half])
    noisy = median(durations[half + min(1, half - 1) :])
    return {
        "rows": len(X),
        "noise_share": round(clf.epoch_plan(half).noise_share, 4),
        "plain_epoch_seconds": significant(plain),
        "open_epoch_seconds": significant(noisy),
        "plain_images_per_second": significant(len(X) / plain),
        "open_images_per_second": significant(len(X) / noisy),
        "projected_minutes_of_200_epochs": significant((160 * plain + 40 * noisy) / 60),
        "seconds_of_fit_beside_epochs": round(whole - sum(durations), 2),
        "all_epoch_seconds": [significant(seconds) for seconds in durations],
        "peak_memory_mib": watched.taken(),
    }


def data_path(args: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Race whole epochs with the making of their batches alone, images on the GPU or beside it.

    "reader" is what is used where the images do not fit: a thread gathers them into pinned memory.
    """
    contestants, pairs = {}, []
    for augment in ("flip_crop", "simclr"):
        clf = make_open(args.network, augment=augment)
        running = begin(clf, X, y)
        contestants[f"{augment} epoch"] = running.epochs()
        contestants[f"{augment} data"] = running.data()
        pairs.append((f"{augment} data", f"{augment} epoch"))
    with mock.patch("sklearn_open.batching._batches.open_source", _reader):
        running = begin(make_open(args.network, augment="flip_crop"), X, y)
    contestants["reader epoch"] = running.epochs()
    contestants["reader data"] = running.data()
    pairs += [("reader epoch", "flip_crop epoch"), ("reader data", "flip_crop data")]
    return race(contestants, args.turns, pairs)


def _reader(X: np.ndarray, device: torch.device, num_workers: int = 0) -> _ReadAheadSource:
    return _ReadAheadSource(X, device)


def kernels(augment: str, args: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Profile an OPeN epoch: which kernels take the device's time, and how busy it is."""
    running = begin(make_open(args.network, augment=augment), X, y)
    running.epoch()
    on_gpu = DEVICE.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    synchronize()
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        running.epoch()
        synchronize()
        wall = time.perf_counter() - start
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    spent = {
        event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
        for event in profiler.key_averages()
        if event.device_type == wanted and "#" not in event.key  # which are spans of others
    }
    busy = sum(spent.values())
    groups: dict[str, float] = dict.fromkeys([*KERNELS, "other"], 0.0)
    for name, seconds in spent.items():
        matches = (g for g, regex in KERNELS.items() if re.search(regex, name, re.IGNORECASE))
        groups[next(matches, "other")] += seconds
    top = sorted(spent.items(), key=lambda item: -item[1])[:15]
    return {
        "profiled_seconds": significant(wall),
        "busy_share": significant(busy / wall),
        "share_by_group": {name: significant(seconds / busy) for name, seconds in groups.items()},
        "top_kernels": {name[:120]: significant(seconds / busy) for name, seconds in top},
    }


def main() -> None:
    """Run all sections, those that matter most first."""
    parser = make_parser(__doc__)
    parser.add_argument("--dry", dest="quick", action="store_true", help="the same as --quick")
    parser.add_argument("--backbone", choices=list(BACKBONES), default="wrn28_10")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--noise-rows", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30, help="steps per turn")
    parser.add_argument("--epochs", type=int, default=3, help="of each kind, to be timed")
    add_data_options(parser, rows=None)
    parser.add_argument("--budget", type=int, default=420, help="seconds to start sections in")
    args = parse(parser)
    args.compile_params, size = {}, 8192
    if args.quick:
        args.backbone, args.batch_size, args.noise_rows = "small", 16, 4
        args.steps, args.epochs, args.rows, size = 2, 1, 100, 128
        args.compile_params = {"compile__backend": "eager", "batch_size": 64}
    args.network = BACKBONES[args.backbone]
    X, y = long_tailed_images(args)
    few = slice(None, None, max(len(X) // 2560, 1))  # the same class shares

    written = argparse.Namespace(**{k: v for k, v in vars(args).items() if k != "network"})
    run = Report(written)
    n_noise = 8 * args.noise_rows // args.batch_size
    known = {
        "peak": run.section("bf16 matrix peak", partial(matrix_peak, size)),
        "flops": run.section("operations", partial(flops, args.network, n_noise)),
    }
    run.section("steps, eager", partial(steps, False, args, known, run.deadline))
    for augment in ("flip_crop", "simclr"):
        run.section(f"epochs, {augment}, eager", partial(epochs, augment, False, args, X, y))
    for augment in ("flip_crop", "simclr"):
        run.section(f"kernels, {augment}", partial(kernels, augment, args, X[few], y[few]))
    run.section("data path", partial(data_path, args, X[few], y[few]))
    for name, compile in list(COMPILE.items())[1:]:
        run.section(f"steps, {name}", partial(steps, compile, args, known, run.deadline))
        torch.compiler.reset()
    run.section("epochs, simclr, compiled", partial(epochs, "simclr", True, args, X, y))
    run.section("cuDNN's algorithms", partial(cudnn_benchmark, args))


if __name__ == "__main__":
    main()
