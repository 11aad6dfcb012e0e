"""Text lists of images: one "relative/path label" per line, plain or gzipped."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_open.datasets._image_files import leads_out

__all__ = ["ImageList", "find_list", "open_text", "read_image_list"]

# At most six digits: a longer label is a damaged line, and counts of so many classes would fill
# the memory.
_LABEL = re.compile(r"-?[0-9]{1,6}")


@dataclass(frozen=True, eq=False)
class ImageList:
    """What a list file says.

    Parameters
    ----------
    name : str
        The file's name, for errors.
    paths : list of str
        Where the images lie, in the order of the file.
    labels : numpy.ndarray of shape (n,), dtype int64
        Their labels.
    """

    name: str
    paths: list[str]
    labels: np.ndarray

    def class_names(self, class_of: Callable[[str], str | None]) -> dict[int, str]:
        """Return the name of each label whose images lie in a folder of their class.

        Parameters
        ----------
        class_of : callable
            Gives the class that a path names, or None.

        Raises
        ------
        ValueError
            If images of two classes have one label.
        """
        names: dict[int, str] = {}
        for path, label in zip(self.paths, self.labels.tolist(), strict=True):
            name = class_of(path)
            if name is not None and names.setdefault(label, name) != name:
                raise ValueError(
                    f"{self.name} gives label {label} to images of {names[label]!r} and of "
                    f"{name!r} ({path!r}). A label must stand for one class: get the list anew."
                )
        return names


def find_list(folder: Path, name: str) -> Path | None:
    """Return the file of this name in a folder, plain or with ".gz" added, or None."""
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    return None


def open_text(file: Path) -> list[str]:
    """Return the lines of a text file, which may be gzipped.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    content = file.read_bytes()
    try:
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig").splitlines()  # Windows' editors put a mark before it
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{str(file)!r} cannot be read as {'gzipped ' if file.suffix == '.gz' else ''}text "
            f"({error}). The file is damaged: get it anew."
        ) from error


def read_image_list(
    file: Path, *, base_names: bool = False, several_labels: bool = False
) -> ImageList:
    """Read a list; blank lines are skipped.

    Parameters
    ----------
    file : Path
        The list; a name that ends in ".gz" means a gzipped one.
    base_names : bool, default=False
        Whether only the last part of each path is kept. Else paths must be relative.
    several_labels : bool, default=False
        Whether an image may occur again with another label.

    Raises
    ------
    ValueError
        If a line is not a path and a label, if a label is negative or a path not relative, if an
        image occurs twice, or if there is no line at all.
    """
    seen: dict[object, int] = {}
    paths, labels = [], []
    for number, line in enumerate(open_text(file), 1):
        if not line.strip():
            continue
        path, label = _parse(line, f"Line {number} of {file.name}")
        if base_names:
            path = path.rpartition("/")[2]
        _check_relative(path, f"Line {number} of {file.name}")
        first = seen.setdefault((path, label) if several_labels else path, number)
        if first != number:
            raise ValueError(
                f"Line {number} of {file.name} names {path!r}, as line {first} does. An image must "
                f"occur once{' with each label' if several_labels else ''}: remove one of them, or "
                "get the list anew."
            )
        paths.append(path)
        labels.append(label)
    if not paths:
        raise ValueError(f"{str(file)!r} is empty; needed are lines 'relative/path label'.")
    return ImageList(file.name, paths, np.array(labels, dtype=np.int64))


def _parse(line: str, where: str) -> tuple[str, int]:
    # Split at the last space: a path may have spaces.
    path, _, label = line.strip().rpartition(" ")
    if not path or not _LABEL.fullmatch(label):
        raise ValueError(
            f"{where} is {line[:80]!r}; needed is 'relative/path label' with an integer label from "
            "0 to 999999. Correct the line, or get the list anew."
        )
    if int(label) < 0:
        raise ValueError(
            f"{where} has the label {label}; labels start at 0. Lists for open-set recognition "
            "(Places_LT_open) mark unknown classes with -1: take the closed-set list."
        )
    return path.strip(), int(label)


def _check_relative(path: str, where: str) -> None:
    if leads_out(path):
        raise ValueError(
            f"{where} has the path {path!r}; needed are paths relative to the folder of the "
            "images, separated by '/' and without '..'. Cut the folder off the lines, and pass it "
            "as image_root."
        )
