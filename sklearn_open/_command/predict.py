"""``predict``: labels of images, by a model file."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, TextIO

import numpy as np

from sklearn_open._persistence.atomic import write_atomically
from sklearn_open._warnings import warn_user
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.datasets._image_files import is_image
from sklearn_open.datasets._mask_pairs import find_pairs, is_binary, named_as_masks, suffix_of

__all__ = ["predict"]

AT_ONCE = 256  # images in memory


def predict(args: argparse.Namespace) -> None:
    """Write a line for each image: file, label, its probability, and those of all classes.

    An image that cannot be read has a line without a label.
    """
    if args.csv is not None and not args.csv.parent.is_dir():
        raise ValueError(f"--csv {args.csv}: there is no folder {args.csv.parent}.")
    classifier = OPeNClassifier.load(args.model, device=args.device)
    reader = getattr(classifier, "image_reader_", None)
    if reader is None:
        raise ValueError(
            f"{args.model} does not say how image files become its pixels (size, colour). Set "
            "image_reader_ before it is saved, as data.reader of load_image_folder; or read the "
            "images yourself, and call predict of OPeNClassifier.load."
        )
    files = [file for given in args.images for file in _files(given, args.pattern)]
    if not files:
        raise ValueError(f"There are no images in {', '.join(map(str, args.images))}.")
    text = io.StringIO()
    n_bad = _write(text, classifier, reader, files)
    content = text.getvalue().encode(errors="surrogateescape")  # names of files may be any bytes
    if args.csv is None:
        sys.stdout.write(content.decode(errors="backslashreplace"))
    else:
        write_atomically(args.csv, content)
    if n_bad == len(files):
        raise ValueError("No image could be read, so none has a label.")
    if args.csv is None:
        return
    print(f"Wrote {args.csv}: {len(files) - n_bad:,} of {len(files):,} images have a label.")


def _files(given: Path, pattern: str | None) -> Iterator[Path]:
    """Yield the images of a folder in sorted order, however deep they lie; or the file itself."""
    if not given.exists():
        raise FileNotFoundError(f"There is no {given}.")
    if given.is_file():
        yield given
        return
    names = [path.relative_to(given).parts for path in sorted(given.glob(pattern or "**/*"))]
    images = [
        name for name in names if is_image("/".join(name)) and given.joinpath(*name).is_file()
    ]
    for name in images if pattern else _without_masks(images, given):
        yield given.joinpath(*name)


def _without_masks(images: list[tuple[str, ...]], folder: Path) -> list[tuple[str, ...]]:
    """Leave out what seem to be masks, by suffix and content or by name, and say so."""
    pairs = find_pairs(images, lambda name: is_binary(lambda n: (folder / n).read_bytes(), name))
    masks = {mask for mask, _ in named_as_masks(images)}
    if pairs is not None and pairs.photographs:
        photographs = [one for one in images if suffix_of(one) == pairs.photographs]
        stems_of = {(*one[:-1], PurePath(one[-1]).stem) for one in photographs}
        masks |= {
            one
            for one in images
            if suffix_of(one) != pairs.photographs
            and (*one[:-1], PurePath(one[-1]).stem) in stems_of
        }
    if masks:
        warn_user(
            f"{len(masks):,} files of {folder} are left out, as they seem to be masks "
            f"({'/'.join(min(masks))}, for one). Pass --pattern to say which files are meant."
        )
    return [one for one in images if one not in masks]


def _write(file: TextIO, classifier: Any, reader: Any, files: list[Path]) -> int:
    """Write the table, and return how many images could not be read."""
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["file", "label", "probability", *(f"p_{c}" for c in classifier.classes_)])
    n_bad = 0
    for start in range(0, len(files), AT_ONCE):
        for path, probabilities in _labelled(classifier, reader, files[start : start + AT_ONCE]):
            if probabilities is None:
                n_bad += 1
                table.writerow([path, *[""] * (2 + len(classifier.classes_))])
                continue
            best = int(probabilities.argmax())
            numbers = [f"{p:.4f}" for p in (probabilities[best], *probabilities)]
            table.writerow([path, classifier.classes_[best], *numbers])
    return n_bad


def _labelled(
    classifier: Any, reader: Any, files: list[Path]
) -> Iterator[tuple[Path, np.ndarray | None]]:
    read: dict[Path, np.ndarray] = {}
    for path in files:
        try:
            read[path] = reader.read(path)
        except ValueError as error:
            warn_user(f"{path} has no label: {error}")
    found = {}
    if read:
        found = dict(
            zip(read, classifier.predict_proba(np.stack(list(read.values()))), strict=True)
        )
    for path in files:
        yield path, found.get(path)
