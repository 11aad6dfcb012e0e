"""The pattern that a folder of images is to be loaded with, where nobody has passed one."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePath

from sklearn_open.datasets._image_files import is_image, open_source
from sklearn_open.datasets._mask_pairs import find_pairs, is_binary
from sklearn_open.datasets._patterns import Pattern
from sklearn_open.datasets._tree_advice import advice, pattern_for

__all__ = ["find_pattern"]


def find_pattern(
    path: str | os.PathLike[str], subset: str | None = None, follow_links: bool = False
) -> str:
    """Return the `pattern` that `load_image_folder` is to be called with.

    It is for programs that choose by themselves, and say what they chose. It depends on the names
    of the files, and on the content of a few where names do not tell photographs from masks. A tree
    that can be read in two ways is not decided on.

    Parameters
    ----------
    path, subset, follow_links
        As for `load_image_folder`.

    Returns
    -------
    str
        ``"*"`` where images lie in class folders themselves; else a pattern such as
        ``"Imgs/*.jpg"`` or ``"*/*.png"``, of which all classes have images. It leaves nothing out
        but masks: what lies in folders of masks, or is called as a photograph that it takes.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If there are no class folders with images, if they lie in a subset that was not passed, or
        if nothing says whether folders are classes or subsets, which of two images of one name is
        the photograph, or what other images are. The message says what to pass.
    """
    path, inside = Path(path), PurePath(subset or "").parts
    # What cannot be entered is told of by whoever loads the images.
    with open_source(path, follow_links, lambda error: None) as (names, read):
        images = sorted(tuple(name.split("/")) for name in names if is_image(name))
        in_folders = [image for image in images if len(image) > 1 + len(inside)]
        in_folders = [image for image in in_folders if image[: len(inside)] == inside]
        if not in_folders:
            at = f"{str(path)!r}" + (f" with subset={subset!r}" if subset else "")
            raise ValueError(
                f"There are no images in class folders in {at}; pass a folder of them."
            )
        pairs = find_pairs(in_folders, partial(is_binary, read))
        pattern = pattern_for(in_folders, inside, pairs)
    if pattern is not None:
        return pattern
    if pairs is not None and not pairs.photographs:
        one, other = ("/".join(name) for name in pairs.first)
        raise ValueError(
            f"Images in {str(path)!r} lie in pairs such as {one!r} and {other!r}, and nothing says "
            "which of the two is the photograph. Pass a pattern that takes one of them."
        )
    raise ValueError(
        f"No pattern can be chosen for {str(path)!r} without doubt. "
        f"{advice(in_folders, inside, Pattern('*'), pairs)}"
    )
