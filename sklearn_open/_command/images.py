"""From a folder on the command line to images, labels and groups."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_open.datasets import groups_from_filenames, load_image_folder
from sklearn_open.datasets._decode import decode_image
from sklearn_open.datasets._find_pattern import find_pattern
from sklearn_open.datasets._image_files import is_image, open_source

__all__ = ["Images", "load"]

SIZE = 64  # of images that have no size of their own, or a larger one
LOOKED_AT = 100  # images, for the size that they have
USUAL_MEMORY = 8 * 2**30  # bytes, where the system does not say
SHARE_OF_MEMORY = 0.2  # that pixels may take; of more than that, images are read while training


class Images:
    """The images of a folder.

    Attributes
    ----------
    X : ndarray or ListedImages
    y : ndarray of str of shape (n,)
        Names of the classes.
    groups : ndarray of str of shape (n,), or None
    filenames : list of str
    reader : ImageReader
        How files become pixels.
    """

    def __init__(self, data: Any, groups_by: str | None) -> None:
        self.X = data.data
        self.y = np.asarray(data.target_names)[data.target]
        self.filenames = data.filenames
        self.reader = data.reader
        self.groups = None
        if groups_by is not None:
            self.groups = groups_from_filenames(data.filenames, groups_by)

    @property
    def counts(self) -> dict[str, int]:
        """How many images each class has, the largest first."""
        names, counts = np.unique(self.y, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(names[i]): int(counts[i]) for i in order}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of an image, in pixels."""
        height, width = self.reader.size or np.shape(self.X[0])[:2]
        return int(height), int(width)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        height, width = self.shape
        kind = "grey" if self.reader.mode == "L" else "colour"
        text = f"{len(self.y):,} {kind} images at {height} x {width} pixels: {counts}"
        if self.groups is not None:
            text += f"; {len(np.unique(self.groups)):,} groups"
        return f"{text}."


def load(args: argparse.Namespace) -> Images:
    """Return the images of a folder, by what was said of them on the command line.

    Raises
    ------
    ValueError, FileNotFoundError
        As `load_image_folder` does; for fewer than two classes.
    """
    pattern = args.pattern
    if pattern is None:
        pattern = find_pattern(args.folder, args.subset, args.follow_links)
        if pattern != "*":
            print(f"Images are taken by --pattern {pattern!r}.")
    names = _names(args, pattern)
    size = args.size or _own_size(args.folder, names)
    data = load_image_folder(
        args.folder,
        subset=args.subset,
        pattern=pattern,
        size=size,
        resize=args.resize,
        mode=_mode(args),
        on_error="skip" if args.skip_damaged else "raise",
        allow_empty=args.skip_empty,
        follow_links=args.follow_links,
        in_memory=args.folder.is_file() or _fit_into_memory(len(names), size),
    )
    images = Images(data, getattr(args, "groups_by", None))
    if len(images.counts) < 2:
        raise ValueError(
            f"{args.folder} has the class {str(images.y[0])!r} alone: put images of every class "
            "into a folder of its own."
        )
    print(images, flush=True)
    return images


def _names(args: argparse.Namespace, pattern: str) -> list[str]:
    """Return the names of the files that will be read; of a zip file, of all images in it."""
    if args.folder.is_file():
        with open_source(args.folder, False, _ignore) as (names, _):
            return sorted(name for name in names if is_image(name))
    found: Any = load_image_folder(
        args.folder,
        subset=args.subset,
        pattern=pattern,
        size=1,
        on_error="skip" if args.skip_damaged else "raise",
        allow_empty=args.skip_empty,
        follow_links=args.follow_links,
        in_memory=False,
    )
    return list(found.filenames)


def _mode(args: argparse.Namespace) -> str:
    """Return colour for pretrained weights, which know nothing else, unless it was said."""
    tunes = getattr(args, "weights", None) is not None
    return "RGB" if tunes and args.mode == "auto" else str(args.mode)


def _own_size(folder: Path, names: list[str]) -> int | tuple[int, int]:
    """Return the size that images have, if it is one and small, or else `SIZE`.

    Some of many are looked at; any that has another size is brought to this one.
    """
    chosen = names[:: max(1, len(names) // LOOKED_AT)]
    sizes = set()
    with open_source(folder, False, _ignore) as (_, read):
        for name in chosen:
            try:
                sizes.add(decode_image(read, name).size)
            except ValueError:  # of a damaged file tells whoever loads it
                continue
    width, height = sizes.pop() if len(sizes) == 1 else (SIZE + 1, SIZE + 1)
    return (height, width) if max(width, height) <= SIZE else SIZE


def _fit_into_memory(n_images: int, size: int | tuple[int, int]) -> bool:
    height, width = (size, size) if isinstance(size, int) else size
    known = hasattr(os, "sysconf")  # not on Windows
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else USUAL_MEMORY
    return 3 * n_images * height * width < SHARE_OF_MEMORY * memory


def _ignore(error: Exception) -> None:
    """Leave it to whoever loads the images."""
