"""CIFAR-10-LT as a folder of images, for the command line: classes of a long tail, as files.

    python examples/long_tailed_folder.py cifar10-images.zip 2000 cifar10_2000
    python -m sklearn_open compare cifar10_2000 --minutes 15

The archive has one folder of images for each class under ``train/``. Of each class the first images
are taken, in the order of their names, as many as a long tail of the imbalance ratio has of it.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np


def counts_of(n_images: int, n_classes: int, ratio: float) -> list[int]:
    """Return how many images each class has: exponentially fewer, about `n_images` in all."""
    weights = ratio ** (-np.arange(n_classes) / (n_classes - 1))
    return [int(count) for count in np.rint(n_images * weights / weights.sum())]


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("n_images", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ratio", type=float, default=100.0)
    args = parser.parse_args()
    with zipfile.ZipFile(args.archive) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
        images = sorted(one for one in names if one.parts[0] == "train" and one.suffix == ".jpg")
        classes = sorted({one.parts[1] for one in images})
        counts = counts_of(args.n_images, len(classes), args.ratio)
        for label, count in zip(classes, counts, strict=True):
            folder = args.out / label
            folder.mkdir(parents=True, exist_ok=True)
            for one in [one for one in images if one.parts[1] == label][:count]:
                (folder / one.name).write_bytes(archive.read(str(one)))
            print(f"{label}: {count}")


if __name__ == "__main__":
    main()
