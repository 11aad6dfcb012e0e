"""Files that cannot be used: the first of them is raised, or all are counted."""

from __future__ import annotations

from sklearn_open._warnings import warn_user
from sklearn_open.datasets._class_folders import some_of
from sklearn_open.datasets._image_files import UnusableFileError

__all__ = ["Refusals"]

_ON_ERROR = ("raise", "skip")


class Refusals:
    """Files that cannot be used.

    Parameters
    ----------
    on_error : {"raise", "skip"}
        Whether the first one is raised, or all are counted.

    Raises
    ------
    ValueError
        For another value.
    """

    def __init__(self, on_error: str) -> None:
        if on_error not in _ON_ERROR:
            raise ValueError(f"on_error must be one of {_ON_ERROR}; got {on_error!r}.")
        self._skip = on_error == "skip"
        self._errors: list[UnusableFileError] = []

    @property
    def skip(self) -> bool:
        """Whether files are left out."""
        return self._skip

    @property
    def folders(self) -> list[str]:
        """Folders that were refused as a whole."""
        return [error.folder for error in self._errors if error.folder is not None]

    def add(self, error: UnusableFileError) -> None:
        """Raise the error, or count it."""
        if not self._skip:
            raise error
        self._errors.append(error)

    def warn(self, n_kept: int, lost: list[str] | None = None) -> None:
        """Say how many files were left out, and of which classes all; raise if none is left."""
        if not self._errors:
            return
        n_files = n_kept + len(self._errors)
        summary = f"{len(self._errors)} of {n_files} files were left out. The first: "
        if n_kept == 0:
            raise ValueError(f"{summary}{self._errors[0]}") from self._errors[0]
        gone = ""
        if lost:
            gone = (
                f" No images are left of {some_of(lost, 'the class', 'the classes')}; codes stay."
            )
        warn_user(f"{summary}{self._errors[0]}{gone}")
