"""Which images of a folder or zip file are of which class, with codes that its subsets share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from sklearn_open._checks import listed, near_names
from sklearn_open._warnings import warn_user
from sklearn_open.datasets._image_files import IMAGE_SUFFIXES, is_hidden, is_image
from sklearn_open.datasets._mask_pairs import find_pairs, named_as_masks
from sklearn_open.datasets._patterns import Pattern
from sklearn_open.datasets._tree_advice import advice, is_called_as_a_subset, photographs_alone

__all__ = ["ClassFolders", "check_classes", "find_class_folders", "some_of"]

Name = tuple[str, ...]  # the parts of a file's or folder's name

_OF_FILE_MANAGERS = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class ClassFolders:
    """The images of one subset and their classes.

    Parameters
    ----------
    target_names : list of str
        All classes, those without images included.
    images : list of tuple of str
        The parts of the images' names, sorted by class folder and name.
    codes : numpy.ndarray of shape (n,), dtype int64
        Positions of their classes in `target_names`.
    refused : list of str
        Classes whose folder, or one in it, could not be entered.
    remarks : list of str
        What a user is to be warned of.
    """

    target_names: list[str]
    images: list[Name]
    codes: np.ndarray
    refused: list[str]
    remarks: list[str]

    def lost(self, kept: Sequence[int]) -> list[str]:
        """Return the classes that have no image among those at the positions `kept`, but had."""
        left = set(self.codes[kept].tolist())
        had = set(self.codes.tolist()) | {self.target_names.index(name) for name in self.refused}
        return [self.target_names[code] for code in sorted(had - left)]

    def warn(self) -> None:
        """Warn of what there is to remark."""
        for remark in self.remarks:
            warn_user(remark)


def check_classes(classes: Iterable[str] | None) -> list[str] | None:
    """Return the names of all classes in their order, or None for None.

    Raises
    ------
    ValueError
        For anything but different names.
    """
    if classes is None:
        return None
    # A set has no order, and that of a text's letters is not meant.
    ordered = isinstance(classes, Iterable) and not isinstance(classes, (str, Set))
    names = list(classes) if ordered else []
    twice = [name for name, n in Counter(map(str, names)).items() if n > 1]
    if not names or twice or not all(isinstance(name, str) for name in names):
        got = f"{twice[0]!r} more than once" if twice else repr(classes)
        raise ValueError(
            "classes must be the names of the class folders as text, each once, in the order of "
            f"their codes; got {got}."
        )
    return [str(name) for name in names]


def find_class_folders(
    path: Path,
    names: Sequence[str],
    subset: str | None,
    pattern: Pattern,
    classes: list[str] | None,
    allow_empty: bool,
    refused: Sequence[str],
    is_mask: Callable[[str], bool] = lambda name: False,
) -> ClassFolders:
    """Find the images of a subset.

    Parameters
    ----------
    path : Path
        Folder or zip file, for errors.
    names : sequence of str
        What is in it, see `open_source`.
    subset, pattern, classes, allow_empty
        As of `load_image_folder`.
    refused : sequence of str
        Folders that could not be entered, and may be without images for this.
    is_mask : callable, default=a function that returns False
        Tells of a file whether its content is that of a mask; for advice.

    Raises
    ------
    ValueError
        If there are no images where they are looked for, or not one folder for each class.
    """
    tree = _Tree(names, PurePath(subset or "").parts, pattern)
    where = f"with subset={subset!r} in {str(path)!r}"
    if not tree.images or (pattern.glob == "*" and tree.has_deeper_images()):
        raise ValueError(_not_found(tree, where, is_mask))
    skipped = {tree.class_of(name) for name in map(_parts, refused) if tree.is_in_class(name)}
    if classes is not None:
        _check_known(tree.classes, classes, allow_empty, where)
    empty = sorted(tree.classes - {tree.class_of(image) for image in tree.images} - skipped)
    if empty and not allow_empty:
        raise ValueError(
            f"The class {some_of(empty, 'folder', 'folders')} {where} {_has(empty)} no images"
            f"{tree.why_empty(empty)}. Put images there or remove what is no class; or pass "
            "allow_empty=True, and each keeps its code."
        )
    target_names = classes or sorted(tree.classes | tree.classes_of_siblings())
    codes = {name: code for code, name in enumerate(target_names)}
    return ClassFolders(
        target_names=target_names,
        images=tree.images,
        codes=np.array([codes[tree.class_of(image)] for image in tree.images], dtype=np.int64),
        refused=sorted(skipped),
        remarks=[
            *tree.remarks(),
            *_masks(tree, is_mask),
            *_absent(sorted(codes.keys() - tree.classes), classes, where),
        ],
    )


def some_of(names: Sequence[str], one: str, several: str, most: int = 5) -> str:
    """Return the first of some names for a sentence, after what they are, and how many are left."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{one if len(names) == 1 else several} {listed(names[:most])}{more}"


class _Tree:
    """What there is, and what of it belongs to a subset: its images, and its class folders."""

    def __init__(self, names: Sequence[str], inside: Name, pattern: Pattern) -> None:
        self.inside, self.pattern = inside, pattern
        images: set[Name] = set()
        others: set[Name] = set()
        self.folders: set[Name] = set()
        for name in names:
            parts = _parts(name)
            if is_image(name):
                images.add(parts)
            elif name[-1:] != "/" and not is_hidden(name):
                others.add(parts)
            folder = parts if name[-1:] == "/" else parts[:-1]
            if folder and folder not in self.folders and not is_hidden("/".join(folder)):
                self._add_folders(folder)
        # Sorted as tuples: in a string, the "/" after "cat" would come after the " " of "cat 2".
        self.all_images = sorted(images)
        self.images = [image for image in self.all_images if self._is_meant(image)]
        self.classes = {name[-1] for name in self.folders if name[:-1] == inside}
        self._ignored = [
            name
            for name in sorted(others)
            if self._is_meant(name) and name[-1].lower() not in _OF_FILE_MANAGERS
        ]

    def _add_folders(self, folder: Name) -> None:
        """Add a folder, and those that it lies in."""
        while folder and folder not in self.folders:
            self.folders.add(folder)
            folder = folder[:-1]

    def class_of(self, file: Name) -> str:
        return file[len(self.inside)]

    def is_in_class(self, name: Name) -> bool:
        """Tell whether a name is that of a class folder, or lies in one."""
        return len(name) > len(self.inside) and name[: len(self.inside)] == self.inside

    def _is_meant(self, file: Name) -> bool:
        n = len(self.inside) + 1
        return self.is_in_class(file) and len(file) > n and self.pattern.fits(file[n:])

    def _in_classes(self) -> list[Name]:
        n = len(self.inside) + 1
        return [image for image in self.all_images if len(image) > n and self.is_in_class(image)]

    def has_deeper_images(self) -> bool:
        return any(len(image) > len(self.inside) + 2 for image in self._in_classes())

    def classes_of_siblings(self) -> set[str]:
        """Return the classes of this subset and of those beside it, which hold images as it."""
        if not self.inside:
            return set()
        n, parent = len(self.inside), self.inside[:-1]
        subsets = {
            image[n - 1]
            for image in self.all_images
            if len(image) > n + 1 and image[: n - 1] == parent and self.pattern.fits(image[n + 1 :])
        }
        found = (name for name in self.folders if len(name) == n + 1 and name[: n - 1] == parent)
        return {name[n] for name in found if name[n - 1] in subsets}

    def why_empty(self, empty: Sequence[str]) -> str:
        """Say of the first class folder that has something else than images what that is."""
        for name in empty:
            others = [file for file in self._ignored if self.class_of(file) == name]
            images = [image for image in self._in_classes() if self.class_of(image) == name]
            if others:
                return f" ({name!r} has {_by_suffix(others)}; read are {', '.join(IMAGE_SUFFIXES)})"
            if images:
                example = "/".join(images[0])
                return f" (pattern={self.pattern.glob!r} leaves out {example!r})"
        return ""

    def remarks(self) -> list[str]:
        """Say which files are left out, but for those that a pattern leaves out on purpose."""
        said = []
        if self._ignored:
            said.append(
                f"Left out, as their suffixes are none of {', '.join(IMAGE_SUFFIXES)}: "
                f"{_by_suffix(self._ignored)}, the first of them {'/'.join(self._ignored[0])!r}."
            )
        n = len(self.inside) + 1
        rest = set(self._in_classes()) - set(self.images)
        if near := sorted(image for image in rest if self.pattern.nearly_fits(image[n:])):
            said.append(
                f"pattern={self.pattern.glob!r} leaves out images by upper and lower case alone: "
                f"{len(near):,}, the first of them {'/'.join(near[0])!r}. Write [Pp] for either P."
            )
        if all(map(is_called_as_a_subset, self.classes)):
            said.append(
                f"The class folders are called as subsets are: {listed(sorted(self.classes))}. If "
                "they are subsets, pass the one to load as subset."
            )
        return said


def _parts(name: str) -> Name:
    return tuple(name.removesuffix("/").split("/"))


def _by_suffix(files: Sequence[Name]) -> str:
    """Say how many files there are of each suffix."""
    counts = Counter(PurePosixPath(file[-1]).suffix.lower() for file in files)
    return ", ".join(
        f"{n:,} {'file' if n == 1 else 'files'} {suffix or 'without a suffix'}"
        for suffix, n in sorted(counts.items())
    )


def _check_known(found: set[str], classes: list[str], allow_empty: bool, where: str) -> None:
    unknown = sorted(found - set(classes))
    if unknown:
        raise ValueError(
            f"The {some_of(unknown, 'folder', 'folders')} {where} {_has(unknown, 'is', 'are')} not "
            f"in classes.{near_names(unknown[0], classes)} Add what is a class, and remove what is "
            "none."
        )
    absent = [name for name in classes if name not in found]
    if absent and not allow_empty:
        raise ValueError(
            f"There is no folder of the {some_of(absent, 'class', 'classes')} {where}. Take out of "
            "classes what is none; or pass allow_empty=True, and each keeps its code."
        )


def _absent(absent: list[str], classes: list[str] | None, where: str) -> list[str]:
    if not absent or classes is not None:  # by allow_empty, too: both were asked for
        return []
    return [
        f"Other subsets have the {some_of(absent, 'class', 'classes')}, and there is no folder of "
        f"{_has(absent, 'it', 'them')} {where}. Codes are those of the classes of all subsets "
        "together, so that they agree; pass classes to fix them, with allow_empty=True."
    ]


def _has(names: Sequence[str], one: str = "has", several: str = "have") -> str:
    return one if len(names) == 1 else several


def _masks(tree: _Tree, is_mask: Callable[[str], bool]) -> list[str]:
    """Say that masks seem to be among the images, and how to leave them out."""
    said = []
    if pairs := find_pairs(tree.images, is_mask):
        one, other = ("/".join(name) for name in pairs.first)
        glob = photographs_alone(tree.pattern, pairs, tree.images)
        said.append(
            f"Images lie in {pairs.count:,} pairs of one name and two suffixes, the first of them "
            f"{one!r} and {other!r}: masks seem to be among the images. "
            f"{f'pattern={glob!r} takes' if glob else 'Pass a pattern that takes'} the photographs "
            "alone."
        )
    if masks := named_as_masks(tree.images):
        one, other = ("/".join(name) for name in masks[0])
        said.append(
            f"{len(masks):,} images are called masks of images beside them, as {one!r} of "
            f"{other!r}. Put masks into another folder, or they are trained on as photographs."
        )
    return said


def _not_found(tree: _Tree, where: str, is_mask: Callable[[str], bool]) -> str:
    in_folders = [image for image in tree.all_images if len(image) > 1]
    glob = tree.pattern.glob
    if not in_folders:
        return (
            f"Found no images in class folders {where}; needed are one folder per class and in it "
            f"files that end in {', '.join(IMAGE_SUFFIXES)}."
        )
    problem = (
        "both images and folders of images in the class folders" if tree.images else "no images"
    )
    chosen = f" and pattern={glob!r}" if glob != "*" else ""
    return (
        f"Found {problem} {where}{chosen}; needed is a folder that holds one folder of images per "
        f"class. "
        f"{advice(in_folders, tree.inside, tree.pattern, find_pairs(in_folders, is_mask))}"
    )
