"""Images from a folder of class folders, or from a zip file of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open._checks import is_whole
from sklearn_open._warnings import warn_user
from sklearn_open.datasets._class_folders import check_classes, find_class_folders, some_of
from sklearn_open.datasets._decode import SIXTEEN_BIT, decode_image, resized
from sklearn_open.datasets._describe import count_lines
from sklearn_open.datasets._image_files import UnusableFileError, open_source
from sklearn_open.datasets._patterns import Pattern

__all__ = ["load_image_folder"]

_MODES = ("RGB", "L")
_ON_ERROR = ("raise", "skip")
_IMAGES_PER_TASK = 64


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    subset: str | None = None,
    pattern: str = "*",
    classes: Sequence[str] | None = None,
    allow_empty: bool = False,
    size: int | tuple[int, int] | None = None,
    mode: str = "RGB",
    exif_transpose: bool = True,
    on_error: str = "raise",
    follow_links: bool = False,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load images that lie in one folder per class.

    All images are decoded into one array in memory. Classes are taken in the sorted order of
    their folders' names and the images of a class in the sorted order of theirs, compared
    character by character ("10.png" comes before "9.png"). All folders beside the class folders
    are class folders, and each must hold images. Hidden files and folders, and what operating
    systems leave behind (``__MACOSX``, ``Thumbs.db``), are ignored; of files that are no images by
    their suffix a warning tells.

    Subsets that lie beside each other, as ``path/train/<class>/<image>`` and
    ``path/test/<class>/<image>``, have one code for one class, whichever of them is loaded: codes
    are those of the classes of all of them together. Where they have other roots (two zip files,
    say), `classes` does this.

    The data may come from a stranger. Refused are files that cannot be decoded as BMP, GIF, JPEG,
    PNG, PPM, TIFF or WebP, files of more than 256 MiB unpacked, images of more pixels than
    ``PIL.Image.MAX_IMAGE_PIXELS``, with pixels of 32 bits or with a sign (whose range is not known)
    or with 16 bits in each channel of a colour (of which Pillow keeps 8), links out of the folder,
    and names that lead out of the zip file. (Pillow decodes in this process: for images from
    strangers, keep it up to date.)

    Parameters
    ----------
    path : str or path-like
        The folder that holds the class folders, or a zip file of it. A zip file is read in place,
        nothing is unpacked to disk.
    subset : str, default=None
        Folder inside `path` that holds the class folders, as "train" in
        ``path/train/<class>/<image>``. By default `path` itself.
    pattern : str, default="*"
        Which files are the images of a class: a glob relative to its folder, as of
        :meth:`pathlib.Path.glob`, in which upper and lower case matter. By default those that lie
        in the class folder itself. ``Imgs/*.jpg`` are the JPEGs in its folder ``Imgs``, ``*/*.png``
        the PNGs in all its folders (of patients, say), ``**/*.png`` those at any depth. What is
        left out by a pattern that was passed is left out without a warning.
    classes : sequence of str, default=None
        Names of all classes, in the order of their codes. A folder that is not among them is an
        error. By default the names of the class folders, of other subsets too, in sorted order.
    allow_empty : bool, default=False
        Whether a class may have no images, and, if it is named in `classes`, no folder. It keeps
        its code. If False, it is an error that names it.
    size : int or tuple (height, width) of int, default=None
        Size in pixels that all images are resized to (bilinear); an int is both. By default images
        keep their size, which must be the same for all.
    mode : {"RGB", "L"}, default="RGB"
        Colour or greyscale; images of other kinds are converted. 16-bit grey keeps its values, in
        "RGB" in each of the three channels.
    exif_transpose : bool, default=True
        Whether images that a camera stored turned or mirrored are loaded upright, as their EXIF
        orientation says; see :func:`PIL.ImageOps.exif_transpose`. One that cannot be read counts as
        none. If False, rows are loaded as they are stored.
    on_error : {"raise", "skip"}, default="raise"
        What to do about a file that is refused (see above), or of another size than the first
        image where `size` is not given, or of 16 bits where that has 8 or the other way round:
        raise a ValueError that names it, or leave it out. A warning says how many were left out,
        and which classes have no images left; they keep their codes.
    follow_links : bool, default=False
        Whether symbolic links may lead out of the folder. Links inside of it are always followed.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ndarray of shape (n_samples, height, width, 3), or (n_samples, height, width) with
          ``mode="L"``, dtype uint8, values from 0 to 255; of 16-bit greyscale images dtype uint16,
          with the values of the files
        - target : ndarray of shape (n_samples,), dtype int64, values from 0 to n_classes - 1:
          positions in `target_names`
        - target_names : list of str of length n_classes, `classes` or the names of the class
          folders
        - filenames : list of str of length n_samples, relative to `path` and separated by "/"
        - DESCR : str, what was loaded

    (data, target) : tuple of ndarray
        The first two of these, if ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If `path` is neither a folder nor a zip file, holds no class folders with images where they
        are looked for (the message says which `subset` or `pattern` would find them), if a class
        folder holds no images, if `classes` and the folders differ, if an image is refused, if
        images differ in size and `size` is not given, if some have 8 bits and others 16, if all
        images together do not fit in memory, or if an argument is outside the range given above.

    Warns
    -----
    UserWarning
        With ``on_error="skip"``, if files were left out: how many, why the first of them, and which
        classes have none left. If files in class folders were ignored for their suffixes, or images
        by `pattern` for their upper and lower case alone: how many. If other subsets have classes
        that have no folder in this one: which.

    Notes
    -----
    16-bit values are those of the file: of a 12-bit camera they end at 4095. A PGM says itself
    which value is white, and a TIFF may say that 0 is; then values are scaled so that 65535 is
    white, and levels that differ go on to differ.

    Of files with several images (animations, pages) the first is loaded.

    Examples
    --------
    >>> from sklearn_open.datasets import load_image_folder
    >>> birds = load_image_folder("birds.zip", subset="train", size=64)  # doctest: +SKIP
    """
    decoder = _Decoder(mode, _checked_size(size), exif_transpose)
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {_MODES}; got {mode!r}.")
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be one of {_ON_ERROR}; got {on_error!r}.")
    glob, names_of_classes = Pattern(pattern), check_classes(classes)
    path = Path(path)
    refusals = _Refusals(skip=on_error == "skip")
    with open_source(path, follow_links, refusals.add) as (names, read):
        found = find_class_folders(
            path, names, subset, glob, names_of_classes, allow_empty, refusals.folders
        )
        data, kept = _load_pixels(read, found.filenames, decoder, refusals)
    refusals.warn(len(kept), found.lost(kept))
    found.warn()
    target = found.codes[kept]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=found.target_names,
        filenames=[found.filenames[i] for i in kept],
        DESCR=_describe(path, subset, data, target, found.target_names),
    )


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


class _Refusals:
    """Files that cannot be used: the first one is raised, or all are counted."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self._errors: list[UnusableFileError] = []

    @property
    def folders(self) -> list[str]:
        """Folders that were refused as a whole."""
        return [error.folder for error in self._errors if error.folder is not None]

    def add(self, error: UnusableFileError) -> None:
        if not self._skip:
            raise error
        self._errors.append(error)

    def warn(self, n_kept: int, lost: list[str]) -> None:
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


@dataclass(frozen=True)
class _Decoder:
    """How files become pixels."""

    mode: str
    size: tuple[int, int] | None
    exif_transpose: bool

    def pixels(self, read: Callable[[str], bytes], name: str) -> np.ndarray:
        """Return an image as uint8, or as uint16 if its file has 16-bit grey."""
        image = decode_image(read, name, self.mode, self.exif_transpose)
        pixels = np.asarray(image if self.size is None else resized(image, self.size))
        if image.mode == SIXTEEN_BIT and self.mode == "RGB":
            return np.stack([pixels] * 3, axis=-1)
        return pixels


def _load_pixels(
    read: Callable[[str], bytes],
    filenames: Sequence[str],
    decoder: _Decoder,
    refusals: _Refusals,
) -> tuple[np.ndarray, list[int]]:
    """Decode the images into one array; return it and the positions of those that are in it."""
    name, first = _first(read, filenames, decoder)
    data = _allocate(len(filenames), first.shape, first.dtype)
    kept = np.ones(len(filenames), dtype=bool)

    def fill(start: int) -> list[UnusableFileError]:
        errors = []
        for i in range(start, min(start + _IMAGES_PER_TASK, len(filenames))):
            try:
                pixels = decoder.pixels(read, filenames[i])
                _check_alike(pixels, filenames[i], first, name)
                data[i] = pixels
            except UnusableFileError as error:
                kept[i] = False
                errors.append(error)
        return errors

    with ThreadPoolExecutor() as pool:
        # Results come in order, so the first error is that of the first file.
        starts = range(0, len(filenames), _IMAGES_PER_TASK)
        for error in chain.from_iterable(pool.map(fill, starts)):
            refusals.add(error)
    positions = np.flatnonzero(kept).tolist()
    if len(positions) < len(filenames):
        for to, position in enumerate(positions):  # in place: a second array may not fit in memory
            data[to] = data[position]
    return data[: len(positions)], positions


def _first(
    read: Callable[[str], bytes], filenames: Sequence[str], decoder: _Decoder
) -> tuple[str, np.ndarray]:
    """Return name and pixels of the first image that can be decoded."""
    for name in filenames:
        try:
            return name, decoder.pixels(read, name)
        except UnusableFileError:
            continue  # it comes up again, in its turn
    return "", np.empty((0, 0), dtype=np.uint8)


def _check_alike(pixels: np.ndarray, name: str, first: np.ndarray, first_name: str) -> None:
    if pixels.shape != first.shape:
        raise UnusableFileError(
            f"Images must have one size, but {first_name!r} is {first.shape[:2]} and {name!r} is "
            f"{pixels.shape[:2]} (height, width). Pass size=(height, width) to resize all of them."
        )
    if pixels.dtype != first.dtype:
        raise UnusableFileError(
            f"Images must have pixels of one kind, but {first_name!r} has "
            f"{8 * first.dtype.itemsize} bits and {name!r} has {8 * pixels.dtype.itemsize}, and "
            "nothing says which values of the two are the same. Save all with 8 bits, or all as "
            "16-bit grey."
        )


def _allocate(n_images: int, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    try:
        return np.empty((n_images, *shape), dtype=dtype)
    except (MemoryError, ValueError) as error:
        gigabytes = n_images * float(np.prod(shape, dtype=float)) * np.dtype(dtype).itemsize / 2**30
        raise ValueError(
            f"{n_images} images of {shape[:2]} pixels need {gigabytes:.0f} GiB, and there is not "
            "enough memory. Pass a smaller size=(height, width), or load a subset."
        ) from error


def _describe(
    path: Path, subset: str | None, data: np.ndarray, target: np.ndarray, target_names: list[str]
) -> str:
    place = path.name if subset is None else f"{path.name}, subset {subset!r}"
    header = f"Images from {place}: data of shape {data.shape}."
    counts = np.bincount(target, minlength=len(target_names))
    return f"{header}\n\n{count_lines(target_names, counts)}"
