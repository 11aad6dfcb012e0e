"""Images from a folder of class folders, or from a zip file of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_open.datasets._class_folders import check_classes, find_class_folders
from sklearn_open.datasets._describe import count_lines
from sklearn_open.datasets._image_files import open_source
from sklearn_open.datasets._image_reader import ImageReader, pixels_of, settled_by
from sklearn_open.datasets._into_array import into_array, which_are_usable
from sklearn_open.datasets._listed_images import ListedImages
from sklearn_open.datasets._mask_pairs import is_binary
from sklearn_open.datasets._patterns import Pattern
from sklearn_open.datasets._refusals import Refusals

__all__ = ["load_image_folder"]


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    subset: str | None = None,
    pattern: str = "*",
    classes: Sequence[str] | None = None,
    allow_empty: bool = False,
    size: int | tuple[int, int] | None = None,
    mode: str = "RGB",
    resize: str = "squeeze",
    exif_transpose: bool = True,
    on_error: str = "raise",
    follow_links: bool = False,
    in_memory: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray | ListedImages, np.ndarray]:
    """Load images that lie in one folder per class.

    All images are decoded into one array in memory, or, with ``in_memory=False``, are read from
    their files while training and predicting, for folders that memory does not hold.

    Classes are taken in the sorted order of their folders' names and the images of a class in the
    sorted order of theirs, compared character by character ("10.png" comes before "9.png"). All
    folders beside the class folders are class folders, and each must hold images. Hidden files and
    folders, and what operating systems leave behind (``__MACOSX``, ``Thumbs.db``), are ignored; of
    files that are no images by their suffix a warning tells.

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
    mode : {"RGB", "L", "auto"}, default="RGB"
        Colour or greyscale; images of other kinds are converted. 16-bit grey keeps its values, in
        "RGB" in each of the three channels. "auto" is "L" if all images are grey by their headers,
        else "RGB"; `reader` says which it was.
    resize : {"squeeze", "pad", "crop"}, default="squeeze"
        How an image comes to `size`: squeezed into it, whatever becomes of its proportions; whole
        and in its proportions, between borders in its mean colour; or cut to it around its centre.
        See :class:`~sklearn_open.datasets.ImageReader`.
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
    in_memory : bool, default=True
        Whether images are decoded now, into an array. If False, `data` is a
        :class:`~sklearn_open.datasets.ListedImages` that holds the same pixels and reads them when
        they are asked for; :class:`~sklearn_open.OPeNClassifier` and scikit-learn's splitters take
        it as they take the array. Of a folder, not of a zip file. Files are refused when they are
        read (all of them before the first step of a training), but with ``on_error="skip"`` each
        is decoded once here.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        - data : ndarray of shape (n_samples, height, width, 3), or (n_samples, height, width) with
          ``mode="L"``, dtype uint8, values from 0 to 255; of 16-bit greyscale images dtype uint16,
          with the values of the files. With ``in_memory=False`` a ListedImages of shape
          (n_samples,), whose items are such images with their codes
        - target : ndarray of shape (n_samples,), dtype int64, values from 0 to n_classes - 1:
          positions in `target_names`
        - target_names : list of str of length n_classes, `classes` or the names of the class
          folders
        - filenames : list of str of length n_samples, relative to `path` and separated by "/"
        - reader : :class:`~sklearn_open.datasets.ImageReader`, which reads other images as these
          were read
        - DESCR : str, what was loaded

    (data, target) : tuple
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
    reader, refusals = ImageReader(size, mode, resize, exif_transpose), Refusals(on_error)
    glob, names_of_classes = Pattern(pattern), check_classes(classes)
    path = _checked_path(path, in_memory)
    with open_source(path, follow_links, refusals.add) as (names, read):
        found = find_class_folders(
            path,
            names,
            subset,
            glob,
            names_of_classes,
            allow_empty,
            refusals.folders,
            partial(is_binary, read),
        )
        every_name = ["/".join(parts) for parts in found.images]
        reader = settled_by(reader, read, every_name)
        data, kept = _decoded(every_name, reader, read, refusals, in_memory)
    refusals.warn(len(kept), found.lost(kept))
    found.warn()
    target, filenames = found.codes[kept], [every_name[i] for i in kept]
    if data is None:
        data = ListedImages(path, filenames, target, reader=reader, follow_links=follow_links)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=found.target_names,
        filenames=filenames,
        reader=reader,
        DESCR=_describe(path, subset, data, target, found.target_names),
    )


def _checked_path(path: Any, in_memory: bool) -> Path:
    path = Path(path)
    if not in_memory and path.is_file():
        raise ValueError(
            f"in_memory=False reads images one by one, from a folder, and {str(path)!r} is a file. "
            "Unpack a zip file into a folder and pass that, or leave in_memory=True."
        )
    return path


def _decoded(
    names: list[str],
    reader: ImageReader,
    read: Callable[[str], bytes],
    refusals: Refusals,
    in_memory: bool,
) -> tuple[Any, list[int]]:
    """Return the images as an array, or None in its place, and the positions of those kept."""

    def pixels(name: str) -> np.ndarray:
        return pixels_of(reader, read, name)

    if in_memory:
        return into_array(names, pixels, refusals)
    if refusals.skip:
        return None, which_are_usable(names, pixels, refusals)
    return None, list(range(len(names)))


def _describe(
    path: Path, subset: str | None, data: Any, target: np.ndarray, target_names: list[str]
) -> str:
    place = path.name if subset is None else f"{path.name}, subset {subset!r}"
    read = "" if isinstance(data, np.ndarray) else ", read while they are needed"
    header = f"Images from {place}: data of shape {data.shape}{read}."
    counts = np.bincount(target, minlength=len(target_names))
    return f"{header}\n\n{count_lines(target_names, counts)}"
