"""A search on a cluster of Dask: as many fits at once as there are workers, with shared epochs.

Digits are written to one file, which workers map by its name, and every fit takes its first epochs
from a folder that all workers see. Without an address two processes of this machine are the
cluster (half a minute on two cores):

    python examples/search_dask.py
    python examples/search_dask.py --address tcp://scheduler:8786 --folder /shared/search

With an address, `--folder` is one that scheduler, workers and this machine have under the same
name. Dask's dashboard, whose address is printed, shows the fits as they run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import MappedImages, make_long_tailed

GRID = {"delta": [0, 1 / 3, 1 / 2], "noise_grad": ["head", "all"]}


def write_images(folder: Path) -> tuple[MappedImages, np.ndarray]:
    """Write long-tailed digits to a file; return its images, unread, and their labels."""
    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20)
    file = folder / "images.npy"
    if not file.exists():  # a second run goes on with the first one's epochs
        np.save(file, (X * (255 / 16)).astype(np.uint8))
    return MappedImages(file), y


def search(X: MappedImages, y: np.ndarray, folder: Path, epochs: int) -> GridSearchCV:
    """Run the search, on whatever joblib has been told to use."""
    clf = OPeNClassifier(
        max_epochs=epochs,
        start_epoch=0.8,
        lr=0.05,
        batch_size=32,
        random_state=0,
        memory=folder / "memory",
        verbose=0,
    )
    return GridSearchCV(clf, GRID, cv=3, scoring="balanced_accuracy", verbose=1).fit(X, y)


def main(argv: Sequence[str] | None = None) -> None:
    """Connect to a cluster, search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="of a scheduler; without it, this machine is the cluster")
    parser.add_argument("--folder", type=Path, help="that all machines see")
    parser.add_argument("--workers", type=int, default=2, help="processes, without --address")
    parser.add_argument("--epochs", type=int, default=15)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # as in Dask's workers
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        X, y = write_images(folder)
        # One thread for each worker: fits in threads of one process would wait for one another.
        cluster = args.address or LocalCluster(n_workers=args.workers, threads_per_worker=1)
        with Client(cluster) as client:
            print(f"dashboard: {client.dashboard_link}")
            with parallel_config("dask"):
                found = search(X, y, folder, args.epochs)
        if args.address is None:
            cluster.close()
    for score, params in zip(
        found.cv_results_["mean_test_score"], found.cv_results_["params"], strict=True
    ):
        print(f"{score:.3f} {params}")
    print(f"best: {found.best_params_}")


if __name__ == "__main__":
    main()
