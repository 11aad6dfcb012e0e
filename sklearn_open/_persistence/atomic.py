"""Writing files so that none is ever seen half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["TEMPORARY", "full_path", "write_atomically"]

TEMPORARY = ".tmp"


def full_path(path: Any) -> Path:
    """Return an absolute path, which a change of the working directory does not change."""
    return Path(path).expanduser().absolute()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that under its name there is always a whole one: the old or the new."""
    path = Path(os.path.realpath(path))  # a link goes on pointing to it
    number, name = tempfile.mkstemp(TEMPORARY, f"{path.name}.", path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _permissions())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    if os.name == "posix":  # the new name, too, is to last
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _permissions() -> int:
    """Return those of any new file; temporary files are their owner's alone."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
