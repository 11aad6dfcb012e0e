"""How image files become pixels: a value that a trained model can keep."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_open._checks import is_whole, listed, near_names
from sklearn_open.datasets._decode import SIXTEEN_BIT, decode_image, is_grey
from sklearn_open.datasets._image_files import MAX_FILE_BYTES, open_source, read_file
from sklearn_open.datasets._into_array import all_are, into_array
from sklearn_open.datasets._refusals import Refusals
from sklearn_open.datasets._resize import RESIZES, resized

__all__ = ["ImageReader", "pixels_of", "settled_by"]

_MODES = ("RGB", "L", "auto")


@dataclass(frozen=True)
class ImageReader:
    """How image files become pixels.

    A model must see new images as it saw those that it was trained on: in one size, come to in one
    way, in colour or in grey. A reader is all of that in one value: it can be compared and printed,
    and :meth:`OPeNClassifier.save <sklearn_open.OPeNClassifier.save>` keeps it with the model where
    it is set as ``image_reader_``. :func:`~sklearn_open.datasets.load_image_folder` reads by one,
    and returns it.

    Files are refused as `load_image_folder` refuses them, which says what is read.

    Parameters
    ----------
    size : int or tuple (height, width) of int, default=None
        Size in pixels that images are brought to (bilinear); an int is both. By default images keep
        the size of their files.
    mode : {"RGB", "L", "auto"}, default="RGB"
        Colour or greyscale; images of other kinds are converted. 16-bit grey keeps its values, in
        "RGB" in each of the three channels. "auto" is "L" where all files are grey by their headers
        (not colour files whose channels happen to be equal), and "RGB" elsewhere: for one file in
        `read`, for all of them in `read_many`. See `settled`.
    resize : {"squeeze", "pad", "crop"}, default="squeeze"
        How an image comes to `size`. "squeeze": all of it fills the size, whatever becomes of its
        proportions. "pad": it keeps its proportions and all of its content, in the middle, between
        borders in its own mean colour (so that a border is neither darker nor brighter than the
        image). "crop": it keeps its proportions, its shorter side fills the size, and what the
        longer one has beyond is cut off, the same on both sides.
    exif_transpose : bool, default=True
        Whether images that a camera stored turned or mirrored come upright, as their EXIF
        orientation says; see :func:`PIL.ImageOps.exif_transpose`. One that cannot be read counts as
        none. If False, rows are as they are stored.

    Attributes
    ----------
    size : tuple (height, width) of int, or None
        An int as the tuple that it means.
    mode, resize, exif_transpose
        As given.

    Raises
    ------
    ValueError
        If a parameter is outside the range given above.

    Examples
    --------
    >>> from sklearn_open.datasets import ImageReader
    >>> reader = ImageReader(size=64, mode="L", resize="pad")
    >>> reader
    ImageReader(size=(64, 64), mode='L', resize='pad', exif_transpose=True)
    >>> ImageReader.from_dict(reader.to_dict()) == reader
    True
    >>> X = reader.read_many(["tile1.jpg", "tile2.jpg"], root="tiles")  # doctest: +SKIP
    """

    size: int | tuple[int, int] | None = None
    mode: str = "RGB"
    resize: str = "squeeze"
    exif_transpose: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _checked_size(self.size))  # as dataclasses do it
        for name, allowed in (("mode", _MODES), ("resize", tuple(RESIZES))):
            if not isinstance(value := getattr(self, name), str) or value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; got {value!r}.")
        if not isinstance(self.exif_transpose, (bool, np.bool_)):
            raise ValueError(f"exif_transpose must be True or False; got {self.exif_transpose!r}.")
        object.__setattr__(self, "exif_transpose", bool(self.exif_transpose))

    # --- one image ---

    def read(self, file: Any) -> np.ndarray:
        """Read one image.

        Parameters
        ----------
        file : str, path-like or binary file
            Where the image is: a path, or a file that was opened for reading bytes.

        Returns
        -------
        pixels : ndarray of shape (height, width, 3), or (height, width) in grey
            dtype uint8, values from 0 to 255; of 16-bit grey uint16.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is refused; the message names it.
        """
        if not hasattr(file, "read"):
            _check_there([file], None)
            return pixels_of(self, lambda name: read_file(Path(name), name), os.fspath(file))
        content = file.read(MAX_FILE_BYTES + 1)
        if not isinstance(content, bytes):
            raise ValueError(f"{file!r} gives text, and an image is bytes: open it with mode 'rb'.")
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"{file!r} has more than {MAX_FILE_BYTES >> 20} MiB.")
        return pixels_of(self, lambda name: content, str(getattr(file, "name", repr(file))))

    # --- many ---

    def read_many(
        self,
        files: Iterable[str | os.PathLike[str]],
        root: str | os.PathLike[str] | None = None,
        on_error: str = "raise",
        return_kept: bool = False,
    ) -> Any:
        """Read images into one array, by threads.

        Parameters
        ----------
        files : iterable of str or path-like
            Paths of the images.
        root : str or path-like, default=None
            What they are relative to: a folder, or a zip file. By default the working directory.
        on_error : {"raise", "skip"}, default="raise"
            What to do about a file that is refused, or of another size or depth than the first:
            raise a ValueError that names it, or leave it out, with a warning.
        return_kept : bool, default=False
            Whether to return, too, which files the rows are of.

        Returns
        -------
        data : ndarray of shape (n_images, height, width, 3), or (n_images, height, width) in grey
            dtype uint8, values from 0 to 255; of 16-bit grey uint16.
        kept : ndarray of shape (n_images,)
            Positions in `files` of the images in `data`, if ``return_kept=True``.

        Raises
        ------
        FileNotFoundError
            If files are not there, with either value of `on_error`; the first is named.
        ValueError
            If there are no files, or one is refused, if all are with ``on_error="skip"``, or if all
            images together do not fit in memory.
        """
        refusals = Refusals(on_error)
        names = _checked_files(files)
        with _reading(names, root) as read:
            reader = settled_by(self, read, names)
            data, kept = into_array(names, lambda name: pixels_of(reader, read, name), refusals)
        refusals.warn(len(kept))
        return (data, np.array(kept, dtype=np.intp)) if return_kept else data

    def settled(
        self,
        files: Iterable[str | os.PathLike[str]],
        root: str | os.PathLike[str] | None = None,
    ) -> ImageReader:
        """Return a reader with the mode that "auto" is for these files.

        Headers are decoded, no pixels. Files that cannot be read have no say.

        Parameters
        ----------
        files, root
            As for `read_many`.

        Returns
        -------
        ImageReader
            With ``mode="L"`` or ``mode="RGB"``; a reader of either mode itself.
        """
        names = _checked_files(files)
        with _reading(names, root) as read:
            return settled_by(self, read, names)

    # --- plain values ---

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as values that JSON and YAML hold; `from_dict` makes it again."""
        size: Any = self.size
        return {**asdict(self), "size": None if size is None else list(size)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageReader:
        """Return the reader of which `to_dict` gave these values.

        Parameters
        ----------
        values : mapping
            Parameters by name; those that are not there have their defaults.

        Raises
        ------
        ValueError
            If it is no mapping, or has another name or a value that is none of a parameter.
        """
        if not isinstance(values, Mapping):
            raise ValueError(
                f"an image reader is made of a dict of its parameters; got {values!r}."
            )
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(
                    f"an image reader has no parameter {name!r}; it has {listed(known)}."
                    f"{near_names(str(name), known)}"
                )
        return cls(**values)


def pixels_of(reader: ImageReader, read: Callable[[str], bytes], name: str) -> np.ndarray:
    """Decode the content of a file as `ImageReader.read` does.

    Parameters
    ----------
    reader : ImageReader
        How.
    read : callable
        Gives the content of a file by its name.
    name : str
        The file; what errors call it.
    """
    image = decode_image(read, name, reader.mode, reader.exif_transpose)
    size: Any = reader.size
    # A copy: Pillow's own array cannot be written to, which torch warns of.
    pixels = np.array(image if size is None else resized(image, size, reader.resize))
    if image.mode == SIXTEEN_BIT and reader.mode == "RGB":
        return np.stack([pixels] * 3, axis=-1)
    return pixels


def settled_by(
    reader: ImageReader, read: Callable[[str], bytes], names: Sequence[str]
) -> ImageReader:
    """Return a reader as `ImageReader.settled` does, of files whose content `read` gives."""
    if reader.mode != "auto":
        return reader
    grey = all_are(names, lambda name: is_grey(read, name))
    return replace(reader, mode="L" if grey else "RGB")


def _checked_size(size: Any) -> tuple[int, int] | None:
    """Return (height, width), or None for None."""
    sides = (size, size) if is_whole(size) else size
    if sides is None:
        return None
    if not (
        isinstance(sides, (tuple, list))
        and len(sides) == 2
        and all(is_whole(side) and side >= 1 for side in sides)
    ):
        raise ValueError(
            "size must be a tuple (height, width), or an int for both, of at least 1 pixel each; "
            f"got {size!r}."
        )
    return int(sides[0]), int(sides[1])


def _checked_files(files: Any) -> list[str]:
    """Return paths as text."""
    if isinstance(files, (str, bytes, os.PathLike)):
        raise ValueError(
            f"files must be several paths, in a list; got {files!r}. Use read for one."
        )
    names = [os.fspath(file) for file in files]
    if not names:
        raise ValueError("files is empty; pass the path of at least one image.")
    return names


@contextmanager
def _reading(names: list[str], root: Any) -> Iterator[Callable[[str], bytes]]:
    """Give a function that reads the content of a file by its name."""
    if root is not None and Path(root).is_file():
        with open_source(Path(root), False, lambda error: None) as (_, read):
            yield read
        return
    _check_there(names, root)
    folder = Path("" if root is None else root)
    yield lambda name: read_file(folder / name, name)


def _check_there(names: list[Any], root: Any) -> None:
    folder = Path("" if root is None else root)
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        where = "" if root is None else f" in {str(root)!r}"
        raise FileNotFoundError(
            f"{len(absent):,} of {len(names):,} image files are not there{where}, the first of "
            f"them {os.fspath(absent[0])!r}. Paths are relative to "
            f"{'the working directory' if root is None else 'root'}."
        )
