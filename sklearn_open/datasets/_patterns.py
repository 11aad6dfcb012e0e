"""Globs by which the images of a class are found, relative to the folder of the class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

from sklearn_open._checks import shortened
from sklearn_open.datasets._image_files import leads_out

__all__ = ["Pattern"]


class Pattern:
    """A glob as `pathlib` reads it: ``*`` stays within a folder, ``**`` is any depth, 0 included.

    Upper and lower case matter, on all systems.

    Parameters
    ----------
    glob : str
        Such as ``"*"``, ``"Imgs/*.jpg"`` or ``"**/*.png"``. A ``**`` at the end is all files below.

    Raises
    ------
    ValueError
        If it is no text, is empty, names a folder, or leads out of the folder.
    """

    def __init__(self, glob: str) -> None:
        parts = _checked_parts(glob)
        self.glob = glob
        self._steps = [None if part == "**" else re.compile(translate(part)) for part in parts]
        self._any_case = [step and re.compile(step.pattern, re.IGNORECASE) for step in self._steps]

    def fits(self, parts: Sequence[str]) -> bool:
        """Tell whether a file is meant, by the parts of its name below the class folder."""
        return _leads_through(self._steps, parts)

    def nearly_fits(self, parts: Sequence[str]) -> bool:
        """Tell whether a file would be meant if upper and lower case did not matter."""
        return _leads_through(self._any_case, parts)


def _checked_parts(glob: str) -> list[str]:
    if not isinstance(glob, str) or not glob or glob.endswith("/") or leads_out(glob):
        hint = ""
        if isinstance(glob, str) and glob.endswith("/") and not leads_out(glob):
            hint = f" All files of that folder are {f'{glob}*'!r}."
        raise ValueError(
            "pattern must be a glob that the files of a class fit, relative to the folder of the "
            "class: '*', 'Imgs/*.jpg', '*/*.png' or '**/*.png', with '/' between folders and "
            f"without '..'; got {shortened(repr(glob))}.{hint}"
        )
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    return [*parts, "*"] if parts[-1:] in ([], ["**"]) else parts


def _leads_through(steps: list[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    """Follow all readings at once: trying one after the other takes for ever where "**" repeats."""
    places = _with_skipped(steps, {0})
    for part in parts:
        reached = set()
        for place in places:
            if place == len(steps):
                continue
            step = steps[place]
            if step is None:
                reached.add(place)
            elif step.match(part):
                reached.add(place + 1)
        places = _with_skipped(steps, reached)
        if not places:
            return False
    return len(steps) in places


def _with_skipped(steps: list[re.Pattern[str] | None], places: set[int]) -> set[int]:
    """Add the places behind each "**", which may stand for no folder at all."""
    for place in sorted(places):
        while place < len(steps) and steps[place] is None:
            place += 1
            places.add(place)
    return places
