"""A search on Ray: one line more than on one machine.

Ray's workers take the place of joblib's processes. Without an address this machine is the cluster
(a minute on two cores, most of it Ray's start):

    python examples/search_ray.py
    python examples/search_ray.py --address auto --folder /shared/search

With an address, `--folder` is one that all machines have under the same name.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ray
import torch
from joblib import parallel_config
from ray.util.joblib import register_ray
from search_dask import search, write_images


def main(argv: Sequence[str] | None = None) -> None:
    """Connect to Ray, search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="of a cluster; without it, this machine is the cluster")
    parser.add_argument("--folder", type=Path, help="that all machines see")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=15)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        X, y = write_images(folder)
        if args.address is None:
            ray.init(num_cpus=args.workers, include_dashboard=False)
        else:
            ray.init(address=args.address)
        register_ray()
        # Workers have one thread each (Ray sets OMP_NUM_THREADS to the CPUs of a task).
        with parallel_config("ray", n_jobs=args.workers):
            found = search(X, y, folder, args.epochs)
        ray.shutdown()
    for score, params in zip(
        found.cv_results_["mean_test_score"], found.cv_results_["params"], strict=True
    ):
        print(f"{score:.3f} {params}")
    print(f"best: {found.best_params_}")


if __name__ == "__main__":
    main()
