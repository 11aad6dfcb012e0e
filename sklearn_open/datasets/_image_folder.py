"""Images from a folder of class folders, or from a zip file of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePath

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

from sklearn_open._warnings import warn_user
from sklearn_open.datasets._decode import decode_image
from sklearn_open.datasets._describe import count_lines
from sklearn_open.datasets._image_files import (
    IMAGE_SUFFIXES,
    UnusableFileError,
    is_image,
    open_source,
)

__all__ = ["load_image_folder"]

_MODES = ("RGB", "L")
_ON_ERROR = ("raise", "skip")
_IMAGES_PER_TASK = 64


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    subset: str | None = None,
    size: tuple[int, int] | None = None,
    mode: str = "RGB",
    on_error: str = "raise",
    follow_links: bool = False,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load images that lie in one folder per class.

    All images are decoded into one array in memory. Classes are taken in the sorted order of
    their folders' names and the images of a class in the sorted order of theirs, compared
    character by character ("10.png" comes before "9.png"). Hidden files and folders,
    ``__MACOSX``, files that are no images by their suffix and folders without images are ignored.

    The data may come from a stranger. Refused are files that cannot be decoded as BMP, GIF, JPEG,
    PNG, PPM, TIFF or WebP, files of more than 256 MiB unpacked, images of more pixels than
    ``PIL.Image.MAX_IMAGE_PIXELS`` or with pixels of 32 bits (whose range is not known), links out
    of the folder, and names that lead out of the zip file. (Pillow decodes in this process: for
    images from strangers, keep it up to date.)

    Parameters
    ----------
    path : str or path-like
        The folder that holds the class folders, or a zip file of it. A zip file is read in place,
        nothing is unpacked to disk.
    subset : str, default=None
        Folder inside `path` that holds the class folders, as "train" in
        ``path/train/<class>/<image>``. By default `path` itself.
    size : tuple (height, width) of int, default=None
        Size in pixels that all images are resized to (bilinear). By default images keep their
        size, which must be the same for all.
    mode : {"RGB", "L"}, default="RGB"
        Colour or greyscale; images of other kinds are converted.
    on_error : {"raise", "skip"}, default="raise"
        What to do about a file that is refused (see above), or of another size than the first
        image where `size` is not given: raise a ValueError that names it, or leave it out. A
        warning says how many were left out.
    follow_links : bool, default=False
        Whether symbolic links may lead out of the folder. Links inside of it are always followed.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ndarray of shape (n_samples, height, width, 3), or (n_samples, height, width) with
          ``mode="L"``, dtype uint8, values from 0 to 255
        - target : ndarray of shape (n_samples,), dtype int64, values from 0 to n_classes - 1:
          positions in `target_names`
        - target_names : list of str of length n_classes, the names of the class folders
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
        are looked for (the message lists the possible values of `subset`), if an image is refused,
        if images differ in size and `size` is not given, if all images together do not fit in
        memory, or if an argument is outside the range given above.

    Warns
    -----
    UserWarning
        With ``on_error="skip"``, if files were left out: how many, and why the first of them.

    Examples
    --------
    >>> from sklearn_open.datasets import load_image_folder
    >>> birds = load_image_folder("birds.zip", subset="train", size=(64, 64))  # doctest: +SKIP
    """
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {_MODES}; got {mode!r}.")
    if size is not None and not (isinstance(size, tuple) and len(size) == 2 and min(size) >= 1):
        raise ValueError(
            f"size must be a tuple (height, width) of at least 1 pixel each; got {size!r}."
        )
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be one of {_ON_ERROR}; got {on_error!r}.")
    path = Path(path)
    refusals = _Refusals(skip=on_error == "skip")
    with open_source(path, follow_links, refusals.add) as (names, read):
        images = _find_images(path, names, subset)
        filenames = ["/".join(image) for image in images]
        data, kept = _load_pixels(read, filenames, mode, size, refusals)
    refusals.warn(n_kept=len(kept))
    filenames = [filenames[i] for i in kept]
    labels = [images[i][-2] for i in kept]
    target_names = sorted(set(labels))
    codes = {name: code for code, name in enumerate(target_names)}
    target = np.array([codes[label] for label in labels], dtype=np.int64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        filenames=filenames,
        DESCR=_describe(path, subset, data, target, target_names),
    )


class _Refusals:
    """Files that cannot be used: the first one is raised, or all are counted."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self._errors: list[UnusableFileError] = []

    def add(self, error: UnusableFileError) -> None:
        if not self._skip:
            raise error
        self._errors.append(error)

    def warn(self, n_kept: int) -> None:
        """Say how many files were left out; raise an error if none is left."""
        if not self._errors:
            return
        n_files = n_kept + len(self._errors)
        summary = f"{len(self._errors)} of {n_files} files were left out. The first: "
        if n_kept == 0:
            raise ValueError(f"{summary}{self._errors[0]}") from self._errors[0]
        warn_user(f"{summary}{self._errors[0]}")


def _find_images(path: Path, names: list[str], subset: str | None) -> list[tuple[str, ...]]:
    """Return the images ``(*folders of subset, class, file)``, sorted by class and file."""
    # Sorted as tuples: in a string, the "/" after "cat" would come after the " " of "cat 2".
    images = sorted({tuple(name.split("/")) for name in names if is_image(name)})
    inside = PurePath(subset or "").parts
    in_class_folders = [image for image in images if len(image) > 1]
    found = [image for image in in_class_folders if image[:-2] == inside]
    others = sorted({image[:-2] for image in in_class_folders} - {inside})
    deeper = [other for other in others if other[: len(inside)] == inside]
    if found and not deeper:
        return found
    where = f"with subset={subset!r} in {str(path)!r}"
    if not others:
        raise ValueError(
            f"Found no images in class folders {where}; needed are one folder per class and in it "
            f"files that end in {', '.join(IMAGE_SUFFIXES)}."
        )
    problem = "both images and folders of images in the class folders" if found else "no images"
    raise ValueError(
        f"Found {problem} {where}; needed is a folder that holds one folder of images per class. "
        f"Pass the subset to load, one of {['/'.join(other) or None for other in others]}."
    )


def _load_pixels(
    read: Callable[[str], bytes],
    filenames: Sequence[str],
    mode: str,
    size: tuple[int, int] | None,
    refusals: _Refusals,
) -> tuple[np.ndarray, list[int]]:
    """Decode the images into one array; return it and the positions of those that are in it."""
    first, shape = _first_shape(read, filenames, mode, size)
    data = _allocate(len(filenames), shape)
    kept = np.ones(len(filenames), dtype=bool)

    def fill(start: int) -> list[UnusableFileError]:
        errors = []
        for i in range(start, min(start + _IMAGES_PER_TASK, len(filenames))):
            try:
                pixels = _decode(read, filenames[i], mode, size)
                if pixels.shape != shape:
                    raise UnusableFileError(
                        f"Images must have one size, but {first!r} is {shape[:2]} and "
                        f"{filenames[i]!r} is {pixels.shape[:2]} (height, width). Pass "
                        "size=(height, width) to resize all of them."
                    )
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


def _first_shape(
    read: Callable[[str], bytes], filenames: Sequence[str], mode: str, size: tuple[int, int] | None
) -> tuple[str, tuple[int, ...]]:
    """Return name and shape of the first image that can be decoded."""
    for name in filenames:
        try:
            return name, _decode(read, name, mode, size).shape
        except UnusableFileError:
            continue  # it comes up again, in its turn
    return "", (0, 0)


def _allocate(n_images: int, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty((n_images, *shape), dtype=np.uint8)
    except (MemoryError, ValueError) as error:
        gigabytes = n_images * float(np.prod(shape, dtype=float)) / 2**30
        raise ValueError(
            f"{n_images} images of {shape[:2]} pixels need {gigabytes:.0f} GiB, and there is not "
            "enough memory. Pass a smaller size=(height, width), or load a subset."
        ) from error


def _decode(
    read: Callable[[str], bytes], name: str, mode: str, size: tuple[int, int] | None
) -> np.ndarray:
    image = decode_image(read, name, mode)
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _describe(
    path: Path, subset: str | None, data: np.ndarray, target: np.ndarray, target_names: list[str]
) -> str:
    place = path.name if subset is None else f"{path.name}, subset {subset!r}"
    header = f"Images from {place}: data of shape {data.shape}."
    return f"{header}\n\n{count_lines(target_names, np.bincount(target))}"
