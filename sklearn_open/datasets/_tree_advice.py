"""What to pass for a tree of images that does not lie as it was said to: a subset, a pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import escape
from itertools import combinations
from pathlib import PurePosixPath

from sklearn_open._checks import listed
from sklearn_open.datasets._mask_pairs import JPEGS, Pairs, stems, suffix_of
from sklearn_open.datasets._patterns import Pattern

__all__ = ["advice", "is_called_as_a_subset", "pattern_for", "photographs_alone"]

Name = tuple[str, ...]  # the parts of a file's or folder's name

# Names by which folders are known to be subsets, not classes.
_SUBSET = re.compile(
    r"(train|trn|val|valid|dev|test|tst|eval|hold-?out|fold|split)(ing|idation|uation)?"
    r"([-_ ]?(set|data|images|\d+))?",
    re.IGNORECASE,
)
_NO_PHOTOGRAPHS = re.compile(
    r"mask|label|annot|truth|segment|(?<![a-z])(gt|seg)(?![a-z])", re.IGNORECASE
)


def is_called_as_a_subset(name: str) -> bool:
    """Tell whether a folder has a name that subsets have, such as "train" or "val2017"."""
    return _SUBSET.fullmatch(name) is not None


def advice(images: Sequence[Name], inside: Name, pattern: Pattern, pairs: Pairs | None) -> str:
    """Say what would load the images that there are, as far as it gives two classes or more.

    Parameters
    ----------
    images : sequence of tuple of str
        The parts of their names.
    inside : tuple of str
        The subset that was asked for.
    pattern : Pattern
        The one that was given.
    pairs : Pairs or None
        Photographs and masks that lie together.
    """
    base, below, subsets = _read_as(images, inside)
    files = _as_classes(subsets)
    glob, n_taken = _example(files, pairs)
    loadable = _with_two_classes(subsets)
    lie = f"Images lie as {'/'.join((*base, *below[0]))!r}"
    if not loadable:
        return f"{lie}: in no two folders that could be classes."
    passed = f"Pass the subset to load, one of {_as_passed(loadable)}"
    if glob == pattern.glob:
        return f"{passed}."
    share = "all" if n_taken == len(files) else f"{n_taken:,} of the"
    others = " (the others seem to be masks)" if pairs is not None and pairs.photographs else ""
    takes = f"{glob!r}, which takes {share} {len(files):,} images{others}{_or_direct(glob, files)}"
    if loadable != [inside]:
        return f"{passed}, with pattern={takes}."
    return (
        f"{lie}. For the class folders {_some({file[0] for file in below})} pass the glob of files "
        f"in them, pattern={takes}.{_or_subsets(below, base, pattern)}"
    )


def pattern_for(images: Sequence[Name], inside: Name, pairs: Pairs | None) -> str | None:
    """Return the one pattern that a tree leaves no doubt of, or None.

    There is a doubt where folders may be classes or subsets, where photographs and masks cannot be
    told apart, and where images would be left out that are not the masks of others.

    Parameters
    ----------
    images, inside, pairs
        As for `advice`.
    """
    base, below, subsets = _read_as(images, inside)
    if _with_two_classes(subsets) != [inside]:
        return None
    files = _as_classes(subsets)
    glob, _ = _example(files, pairs)
    in_pairs = pairs is not None and all(_takes(glob, name, inside) for name in pairs.first)
    if in_pairs or _or_subsets(below, base, Pattern("**")) or not _leaves_masks_out(glob, files):
        return None
    return glob


def photographs_alone(pattern: Pattern, pairs: Pairs, images: Sequence[Name]) -> str | None:
    """Return a pattern like another, that takes the photographs of pairs only; None if unknown."""
    spelled = {f".{name[-1].rpartition('.')[2]}" for name in images}
    spelled = {suffix for suffix in spelled if suffix.lower() == pairs.photographs}
    folders, slash, last = pattern.glob.rpartition("/")
    last = {"**": "**/*", "*.*": "*"}.get(last, last)
    if not spelled or not last.endswith("*"):
        return None
    return f"{folders}{slash}{last}{_glob_of(spelled)}"


def _takes(glob: str, image: Name, inside: Name) -> bool:
    return Pattern(glob).fits(image[len(inside) + 1 :])


def _leaves_masks_out(glob: str, files: list[Name]) -> bool:
    """Tell whether all that a pattern leaves out are masks by their folders or names."""
    pattern = Pattern(glob)
    taken = [pattern.fits(file[1:]) for file in files]
    if all(taken):
        return True
    named = {(file[0], stems(file)[0]) for file, is_in in zip(files, taken, strict=True) if is_in}
    return all(
        any((file[0], stem) in named for stem in stems(file))
        or any(map(_NO_PHOTOGRAPHS.search, file[1:-1]))
        for file, is_in in zip(files, taken, strict=True)
        if not is_in
    )


def _read_as(
    images: Sequence[Name], inside: Name
) -> tuple[Name, list[Name], dict[Name, list[Name]]]:
    """Return the folder that may hold classes or subsets, what is below it, and its subsets."""
    base, below = inside, _below(images, inside)
    if not below:
        base, below = (), _below(images, ())
    return base, below, _without_levels_of_subsets(base, below)


def _as_classes(subsets: dict[Name, list[Name]]) -> list[Name]:
    """Return files (class, ..., name) of all subsets: a class of each of them on its own."""
    # What is advised takes images of all of them.
    return [("/".join((*s, file[0])), *file[1:]) for s, group in subsets.items() for file in group]


def _or_direct(glob: str, files: list[Name]) -> str:
    """Name the other pattern of a tree in which images lie at several depths."""
    direct = glob.removeprefix("**/")
    if direct == glob or not any(Pattern(direct).fits(file[1:]) for file in files):
        return ""
    return f" (or {('*.*' if direct == '*' else direct)!r}: none that lies deeper)"


def _below(images: Iterable[Name], folder: Name) -> list[Name]:
    """Return what lies in folders of a folder, relative to it."""
    n = len(folder)
    return [image[n:] for image in images if len(image) > n + 1 and image[:n] == folder]


def _without_levels_of_subsets(base: Name, below: list[Name]) -> dict[Name, list[Name]]:
    """Go down where folders cannot be classes: one that holds all else, or subsets by their names.

    Returns
    -------
    dict
        The files of each folder that may hold class folders, relative to it.
    """
    subsets, are_known = {base: below}, False
    while True:
        tops = {file[0] for files in subsets.values() for file in files}
        known = set(filter(is_called_as_a_subset, tops))
        # A single folder in a subset is its class.
        entered = known or (tops if len(tops) == 1 and not are_known else set())
        are_known |= bool(known)
        deeper: dict[Name, list[Name]] = {}
        for subset, files in subsets.items():
            for file in files:
                if file[0] in entered and len(file) > 2:
                    deeper.setdefault((*subset, file[0]), []).append(file[1:])
        if not deeper:
            return subsets
        subsets = deeper


def _with_two_classes(subsets: dict[Name, list[Name]]) -> list[Name]:
    """Return the subsets of two classes, some of which may be those of another subset."""
    classes = {subset: {file[0] for file in files} for subset, files in subsets.items()}
    return [
        subset
        for subset, own in sorted(classes.items())
        if any(len(all_) > 1 and own <= all_ for all_ in classes.values())
    ]


def _or_subsets(files: list[Name], base: Name, pattern: Pattern) -> str:
    """Name the other reading of a tree: that the folders are subsets, which share their classes."""
    subsets: dict[Name, list[Name]] = {}
    for file in files:
        if len(file) > 2 and pattern.fits(file[2:]):
            subsets.setdefault((*base, file[0]), []).append(file[1:])
    shared = any(
        {file[0] for file in one} & {file[0] for file in other}
        for one, other in combinations(subsets.values(), 2)
    )
    loadable = _with_two_classes(subsets)
    if not (shared and loadable) or all(map(_are_kinds, map(_by_folder, subsets.values()))):
        return ""
    return f" Or, if these are subsets, pass the subset to load, one of {_as_passed(loadable)}."


def _example(files: list[Name], pairs: Pairs | None) -> tuple[str, int]:
    """Return a pattern that takes the images of files (class, ..., name), and how many it takes."""
    plain = all(len(file) == 2 for file in files)
    preferred = "" if pairs is None else pairs.photographs
    if plain and not preferred:
        return "*", len(files)
    likely = _outside_of_masks(files)
    kind, suffix = _one_suffix(likely, preferred)
    taken = [file for file in likely if suffix_of(file) == kind or not kind]
    depths = {len(file) for file in taken}
    folders = ["**"] if len(depths) > 1 else []
    if not folders:
        for level in range(1, min(depths) - 1):
            name = _one_folder(taken, level)
            folders.append("*" if name is None else escape(name))
            taken = [file for file in taken if name in (None, file[level])]
    glob = "/".join([*folders, f"*{suffix}"])
    if glob == "*" and not plain:  # the default, which is refused where images lie deeper, too
        glob = "*.*"
    return glob, sum(Pattern(glob).fits(file[1:]) for file in files)


def _outside_of_masks(files: list[Name]) -> list[Name]:
    """Return the files in no folder that is called as masks are, if all classes have some."""
    found = [file for file in files if not any(map(_NO_PHOTOGRAPHS.search, file[1:-1]))]
    return found if {file[0] for file in found} == {file[0] for file in files} else files


def _one_folder(files: list[Name], level: int) -> str | None:
    """Return the folder that all classes have at a level, of several the one of photographs.

    None where they have others each (of patients, say), or several that hold the same kind.
    """
    classes = {file[0] for file in files}
    kinds = _by_folder(file[level:] for file in files)
    in_all = [n for n in kinds if {file[0] for file in files if file[level] == n} == classes]
    if len(kinds) > 1 and not (len(in_all) == len(kinds) and _are_kinds(kinds)):
        return None
    return max(in_all, default=None, key=lambda name: _likelihood(name, kinds[name]))


def _one_suffix(files: list[Name], preferred: str) -> tuple[str, str]:
    """Return the suffix that all files have, or that all classes have of photographs, or "".

    In lower case, and as a glob.
    """
    spelled: dict[str, set[str]] = {}
    in_classes: dict[str, set[str]] = {}
    for file in files:
        kind = suffix_of(file)
        spelled.setdefault(kind, set()).add(file[-1][-len(kind) :])
        in_classes.setdefault(kind, set()).add(file[0])
    classes = {file[0] for file in files}
    whole = [kind for kind, found in in_classes.items() if found == classes]
    wanted = (preferred,) if preferred in whole else JPEGS
    best = whole if len(spelled) == 1 else [kind for kind in whole if kind in wanted]
    # Of a single kind in several spellings, "*" is the shorter way.
    if len(best) != 1 or (len(spelled) == 1 and len(spelled[best[0]]) > 1):
        return "", ""
    return best[0], _glob_of(spelled[best[0]])


def _glob_of(spelled: set[str]) -> str:
    """Return a glob for a suffix in one spelling or in several, as ".[Jj][Pp][Gg]"."""
    if len(spelled) == 1:
        return next(iter(spelled))
    return "".join(
        letter if letter == letter.upper() else f"[{letter.upper()}{letter}]"
        for letter in min(spelled).lower()
    )


def _by_folder(files: Iterable[Name]) -> dict[str, Counter[str]]:
    """Return how many files of each suffix lie in each folder."""
    folders: dict[str, Counter[str]] = {}
    for file in files:
        suffix = PurePosixPath(file[-1]).suffix.lower()
        folders.setdefault(file[0], Counter())[suffix] += 1
    return folders


def _are_kinds(folders: dict[str, Counter[str]]) -> bool:
    """Tell whether folders hold files of different kinds, such as photographs and their masks."""
    masks = sum(bool(_NO_PHOTOGRAPHS.search(name)) for name in folders)
    shared = any(set(one) & set(other) for one, other in combinations(folders.values(), 2))
    return len(folders) > 1 and (not shared or 0 < masks < len(folders))


def _likelihood(name: str, suffixes: Counter[str]) -> tuple[bool, bool, int]:
    """Rank folders by how likely they hold photographs, not masks of them."""
    photographs = any(suffix in JPEGS for suffix in suffixes)
    return photographs, not _NO_PHOTOGRAPHS.search(name), suffixes.total()


def _as_passed(subsets: list[Name]) -> str:
    return repr(["/".join(subset) or None for subset in subsets])


def _some(classes: set[str]) -> str:
    first = listed(sorted(classes)[:5])
    return f"{first} and {len(classes) - 5:,} more" if len(classes) > 5 else first
