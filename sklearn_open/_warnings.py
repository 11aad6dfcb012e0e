"""Warnings that name the user's line of code, however deep in the library they come up."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import FrameType

__all__ = ["warn_user"]

# What a user's call passes through before it gets to a warning: this package, the libraries that
# call it back, and what all of them use.
OF_LIBRARIES = {"sklearn_open", "skorch", "sklearn", "imblearn", "joblib", "torch"}
OF_PYTHON = {"contextlib", "threading", "concurrent", "multiprocessing"}
PASSED = OF_LIBRARIES | OF_PYTHON


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, with the file and line of the nearest caller that is not a library.

    As ``skip_file_prefixes`` of Python 3.12's `warnings.warn`. Where there is no such caller (in a
    thread of a library's), the line that called this function is named.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    category : type, default=UserWarning
        Kind of warning.
    """
    here = sys._getframe(1)
    caller = next((frame for frame in _frames(here) if not _is_passed(frame)), here)
    warnings.warn_explicit(
        message,
        category,
        filename=caller.f_code.co_filename,
        lineno=caller.f_lineno,
        module=caller.f_globals.get("__name__", "<string>"),
        registry=caller.f_globals.setdefault("__warningregistry__", {}),
    )


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_passed(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] in PASSED
