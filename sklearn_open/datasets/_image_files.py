"""Files of a folder or a zip file that may come from a stranger: their names and their content.

Nothing is unpacked to disk, no link is followed out of the folder unless that is wanted, and
nothing is read that is larger than an image to train on can be.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from threading import Lock

__all__ = [
    "IMAGE_SUFFIXES",
    "Folder",
    "Refuse",
    "UnusableFileError",
    "is_hidden",
    "is_image",
    "leads_out",
    "open_source",
    "read_file",
]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

# What operating systems and programs put beside the files of users.
_OF_SYSTEMS = {"__MACOSX", "$RECYCLE.BIN", "@eaDir", "System Volume Information", "lost+found"}
# 24-bit pixels of the largest image that Pillow opens without a warning (Image.MAX_IMAGE_PIXELS).
MAX_FILE_BYTES = 2**28
# ImageNet-21k has 21,841 classes. Links to folders of links can make billions of a few.
MAX_FOLDERS = 2**18
# zipfile unpacks no more of these than is asked for. Of others (bzip2, LZMA) it unpacks all that it
# has read, which makes gigabytes of a few bytes, whatever size the member says it has.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnusableFileError(ValueError):
    """A file cannot be used; the message is a sentence that names it.

    Parameters
    ----------
    message : str
        The sentence.
    folder : str or None, default=None
        The folder's name, if all files of a folder cannot be used.
    """

    def __init__(self, message: str, folder: str | None = None) -> None:
        super().__init__(message)
        self.folder = folder


Refuse = Callable[[UnusableFileError], None]
"""What is told of a file or folder that is not even listed: raises the error, or counts it."""


@contextmanager
def open_source(
    path: Path, follow_links: bool, refuse: Refuse
) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Open a folder or zip file: the names of what is in it, and a function that reads a file.

    Parameters
    ----------
    path : Path
        Folder or zip file.
    follow_links : bool
        Whether links may lead out of the folder.
    refuse : callable
        Is called with an error for each folder that is not entered (a link that is not followed,
        or what cannot be listed), and for each image whose name leads out of the zip file.

    Yields
    ------
    names : list of str
        Files and folders, relative to `path` and separated by "/"; those of folders end with one.
    read : callable
        From a name to the file's content. Raises UnusableFileError, or what zipfile raises.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If it is neither a folder nor a zip file, or one that cannot be read.
    """
    if path.is_dir():
        folder = Folder(path, follow_links)
        yield folder.names(refuse), folder.read
    elif path.exists():
        with _opened(path) as archive:
            members = _Members(archive)
            yield members.names(refuse), members.read
    else:
        raise FileNotFoundError(f"{str(path)!r} does not exist; pass a folder or a zip file.")


def is_image(name: str) -> bool:
    """Tell whether a file is an image to load, by its name."""
    return not is_hidden(name) and name.lower().endswith(IMAGE_SUFFIXES)


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or lies in what is."""
    parts = name.split("/")
    return any((part[:1] == "." and part != "..") or part in _OF_SYSTEMS for part in parts)


def leads_out(name: str) -> bool:
    """Tell whether a name could lead out of the folder that it is relative to."""
    # As Windows reads it, which knows all that leads out elsewhere too, and drive letters.
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts or "\\" in name


def read_file(file: Path, name: str) -> bytes:
    """Read a file that is to be an image; links are followed.

    Parameters
    ----------
    file : Path
        The file.
    name : str
        What errors call it.

    Raises
    ------
    OSError
        If it is not there or cannot be read.
    UnusableFileError
        If it is a pipe or a device, or too large.
    """
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device may never end
        raise UnusableFileError(f"{name!r} is no ordinary file; remove it.")
    _check_size(name, found.st_size)
    with file.open("rb") as opened:
        return opened.read(found.st_size)


class Folder:
    """A folder of files.

    Parameters
    ----------
    path : Path
        The folder.
    follow_links : bool
        Whether links may lead out of it.
    """

    def __init__(self, path: Path, follow_links: bool) -> None:
        self._path = path
        self._real = Path(os.path.realpath(path))
        self._follow_links = follow_links

    def names(self, refuse: Refuse) -> list[str]:
        """Return what is in it, and tell of what is not entered; see `open_source`."""
        names: list[str] = []
        n_folders = 0

        def unlisted(error: OSError) -> None:
            name = self._name(Path(error.filename))
            reason = error.strerror or type(error).__name__
            refuse(
                UnusableFileError(
                    f"{name!r} cannot be listed ({reason}): give yourself the right to read it, or "
                    "remove it.",
                    folder=name,
                )
            )

        # Data sets are often assembled from links to folders, so links are followed.
        for folder, folders, files in os.walk(self._path, onerror=unlisted, followlinks=True):
            here = Path(folder)
            inside = here.relative_to(self._path).as_posix()
            before = "" if inside == "." else f"{inside}/"
            # A link that leads nowhere is told of if it is called an image; else it is no file.
            names += [
                before + name for name in files if is_image(name) or os.path.exists(here / name)
            ]
            folders[:] = [name for name in sorted(folders) if not is_hidden(name)]
            # What is not entered is a folder all the same: a class keeps its place.
            names += [f"{before}{name}/" for name in folders]
            folders[:] = [name for name in folders if self._is_entered(here / name, refuse)]
            n_folders += len(folders)
            if n_folders > MAX_FOLDERS:
                raise ValueError(
                    f"{str(self._path)!r} has more than {MAX_FOLDERS:,} folders, links to folders "
                    "included; pass a folder with one folder per class."
                )
        return names

    def _is_entered(self, folder: Path, refuse: Refuse) -> bool:
        if not folder.is_symlink():
            return True
        real = Path(os.path.realpath(folder))
        around = {Path(os.path.realpath(parent)) for parent in folder.parents}
        if real in around:
            refuse(
                UnusableFileError(
                    f"{self._name(folder)!r} is a link to a folder that it lies in; remove it.",
                    folder=self._name(folder),
                )
            )
            return False
        try:
            self._check_link(folder, real)
        except UnusableFileError as error:
            refuse(error)
            return False
        return True

    def read(self, name: str) -> bytes:
        """Return the content of a file; see `read_file`."""
        file = self._path / name
        if file.is_symlink():
            self._check_link(file, Path(os.path.realpath(file)))
        return read_file(file, name)

    def _check_link(self, link: Path, real: Path) -> None:
        if not (self._follow_links or real.is_relative_to(self._real)):
            raise UnusableFileError(
                f"{self._name(link)!r} is a link out of the folder, to {str(real)!r}; pass "
                "follow_links=True if you trust it, or remove it.",
                folder=self._name(link) if link.is_dir() else None,
            )

    def _name(self, file: Path) -> str:
        return file.relative_to(self._path).as_posix()


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else None
    except Exception as error:  # damaged files raise about anything: struct.error, ...
        raise ValueError(
            f"{str(path)!r} cannot be read as a zip file ({error!r}); get it anew."
        ) from error
    if archive is None:
        raise ValueError(f"{str(path)!r} is neither a folder nor a zip file; pass one of them.")
    with archive:
        yield archive


class _Members:
    """The members of a zip file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # The threads share one handle: reading a member takes a fraction of its decoding, and a
        # handle each would parse the list of all members once per thread.
        self._lock = Lock()

    def names(self, refuse: Refuse) -> list[str]:
        names = []
        for name in self._archive.namelist():
            if is_image(name) and leads_out(name):
                refuse(
                    UnusableFileError(
                        f"{name!r} is not a path inside of the zip file; names must be relative, "
                        "separated by '/' and without '..'. Pack the folder again."
                    )
                )
            elif not leads_out(name):
                names.append(name)
        return names

    def read(self, name: str) -> bytes:
        member = self._archive.getinfo(name)
        _check_size(name, member.file_size)
        if member.compress_type not in ZIP_METHODS:
            raise UnusableFileError(
                f"{name!r} is packed by method {member.compress_type} of zip files, and only "
                "stored and deflated members are read; pack the folder again."
            )
        with self._lock, self._archive.open(member) as opened:
            # Without a number, zipfile unpacks all that there is before it compares sizes.
            return opened.read(member.file_size)


def _check_size(name: str, n_bytes: int) -> None:
    if n_bytes > MAX_FILE_BYTES:
        raise UnusableFileError(
            f"{name!r} has more than {MAX_FILE_BYTES >> 20} MiB (unpacked), too many for an image "
            "to train on; make the image smaller or remove it."
        )
