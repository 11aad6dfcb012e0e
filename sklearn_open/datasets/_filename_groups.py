"""Which images show one thing, by their file names: groups for scikit-learn's splitters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np

from sklearn_open._checks import shortened

__all__ = ["groups_from_filenames"]


def groups_from_filenames(
    filenames: Iterable[str | os.PathLike[str]], pattern: str | re.Pattern[str]
) -> np.ndarray:
    r"""Return the group of each image, by a part of its file name.

    Several pictures of one object, or one patient, must not be on both sides of a split: a model
    would be tested on what it has seen. scikit-learn's splitters for this
    (:class:`~sklearn.model_selection.StratifiedGroupKFold`,
    :class:`~sklearn.model_selection.GroupShuffleSplit`) take the result as ``groups``.

    Parameters
    ----------
    filenames : iterable of str or path-like
        As `filenames` of :func:`~sklearn_open.datasets.load_image_folder`: relative to its folder,
        separated by "/".
    pattern : str or re.Pattern
        Regular expression with at least one group in parentheses, which is looked for
        (:func:`re.search`) in the file's own name, without its folders; or, if it contains a "/",
        in the whole of the path that is given.

    Returns
    -------
    ndarray of str of shape (n,)
        What the groups of the first match hold; of several groups joined by "/".

    Raises
    ------
    ValueError
        If `pattern` is no regular expression or has no group, or if there are names in which it is
        not found, or finds no text; how many, and the first of them.

    Notes
    -----
    By default the folder of the class is no part of a group, so an object that was photographed for
    two classes is one group, not two halves. Where objects are numbered anew in each class, name
    the folder as well: ``r"(.+)/exp\d+_num_(\d+)"``. (Without it, objects that share a number
    share a group, which costs choice but gives nothing away.)

    Examples
    --------
    >>> from sklearn_open.datasets import groups_from_filenames
    >>> names = ["Crack/exp1_num_7.jpg", "Crack/exp2_num_7.jpg", "Free/exp1_num_9.jpg"]
    >>> groups_from_filenames(names, r"num_(\d+)")
    array(['7', '7', '9'], dtype='<U1')
    >>> groups_from_filenames(names, r"(\w+)/.*num_(\d+)")
    array(['Crack/7', 'Crack/7', 'Free/9'], dtype='<U7')
    """
    regex = _checked(pattern)
    if isinstance(filenames, (str, bytes, os.PathLike)):
        raise ValueError(f"filenames must be several names, in a list; got {filenames!r}.")
    names = [PurePath(name).as_posix() for name in filenames]
    in_folders = "/" in regex.pattern
    seen = names if in_folders else [name.rpartition("/")[2] for name in names]
    groups = [_group(regex, name) for name in seen]
    lost = [i for i, group in enumerate(groups) if not group]
    if lost:
        first = lost[0]
        looked = f", of which it sees {seen[first]!r}" if seen[first] != names[first] else ""
        hint = "" if in_folders else " (A pattern with a '/' sees the folders, too.)"
        raise ValueError(
            f"pattern={shortened(_shown(regex))} finds no group in {len(lost):,} of "
            f"{len(names):,} file names, the first of them {names[first]!r}{looked}. Every image "
            f"needs a group: widen the pattern, or leave these images out.{hint}"
        )
    return np.array(groups, dtype=str)


def _checked(pattern: Any) -> re.Pattern[str]:
    regex = pattern
    if isinstance(pattern, str):
        try:
            regex = re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"pattern={pattern!r} is no regular expression: {error}. It is one as of Python's "
                r"re, such as r'num_(\d+)', not a glob."
            ) from error
    if not isinstance(regex, re.Pattern) or not isinstance(regex.pattern, str):
        raise ValueError(f"pattern must be a regular expression as text; got {pattern!r}.")
    if regex.groups == 0:
        raise ValueError(
            f"pattern={_shown(regex)} has no group: put parentheses around the part of a name "
            r"that is the same for all images of one object, as in r'num_(\d+)'."
        )
    return regex


def _group(regex: re.Pattern[str], name: str) -> str:
    """Return the text of the groups, or "" where there is none."""
    match = regex.search(name)
    return "/".join(filter(None, match.groups())) if match else ""


def _shown(regex: re.Pattern[str]) -> str:
    return f"r'{regex.pattern}'"  # as it is written, without the backslashes doubled
