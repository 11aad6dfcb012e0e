"""Images from a folder of class folders, or from a zip file of one."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath
from threading import Lock

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

from sklearn_open.datasets._decode import decode_image
from sklearn_open.datasets._describe import count_lines

__all__ = ["load_image_folder"]

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_MODES = ("RGB", "L")
_IMAGES_PER_TASK = 64


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    subset: str | None = None,
    size: tuple[int, int] | None = None,
    mode: str = "RGB",
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load images that lie in one folder per class.

    All images are decoded into one array in memory. Classes are taken in the sorted order of
    their folders' names and the images of a class in the sorted order of theirs, compared
    character by character ("10.png" comes before "9.png"). Hidden files and folders,
    ``__MACOSX``, files that are no images by their suffix and folders without images are ignored.

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
        are looked for (the message lists the possible values of `subset`), if an image cannot be
        read, if images differ in size and `size` is not given, or if an argument is outside the
        range given above.

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
    path = Path(path)
    with _open_source(path) as (names, read):
        images = _find_images(path, names, subset)
        filenames = ["/".join(image) for image in images]
        data = _load_pixels(read, filenames, mode, size)
    labels = [image[-2] for image in images]
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


@contextmanager
def _open_source(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Open a folder or zip file: the names of all files in it, and a function that reads one."""
    if path.is_dir():
        # Data sets are often assembled from links to folders, so links are followed.
        walk = os.walk(path, followlinks=True)
        files = (Path(folder, name) for folder, _, names in walk for name in names)
        yield (
            [file.relative_to(path).as_posix() for file in files],
            lambda name: (path / name).read_bytes(),
        )
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # The threads share one handle: reading a member takes a fraction of its decoding, and
            # a handle each would parse the list of all members once per thread.
            lock = Lock()

            def read(name: str) -> bytes:
                with lock:
                    return archive.read(name)

            yield archive.namelist(), read
    elif path.exists():
        raise ValueError(f"{str(path)!r} is neither a folder nor a zip file; pass one of them.")
    else:
        raise FileNotFoundError(f"{str(path)!r} does not exist; pass a folder or a zip file.")


def _find_images(path: Path, names: list[str], subset: str | None) -> list[tuple[str, ...]]:
    """Return the images ``(*folders of subset, class, file)``, sorted by class and file."""
    # Sorted as tuples: in a string, the "/" after "cat" would come after the " " of "cat 2".
    images = sorted({tuple(name.split("/")) for name in names if _is_image(name)})
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
            f"files that end in {', '.join(_SUFFIXES)}."
        )
    problem = "both images and folders of images in the class folders" if found else "no images"
    raise ValueError(
        f"Found {problem} {where}; needed is a folder that holds one folder of images per class. "
        f"Pass the subset to load, one of {['/'.join(other) or None for other in others]}."
    )


def _is_image(name: str) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    return not hidden and name.lower().endswith(_SUFFIXES)


def _load_pixels(
    read: Callable[[str], bytes],
    filenames: Sequence[str],
    mode: str,
    size: tuple[int, int] | None,
) -> np.ndarray:
    """Decode the images into one array."""
    shape = _decode(read, filenames[0], mode, size).shape
    data = np.empty((len(filenames), *shape), dtype=np.uint8)

    def fill(start: int) -> None:
        for i in range(start, min(start + _IMAGES_PER_TASK, len(filenames))):
            pixels = _decode(read, filenames[i], mode, size)
            if pixels.shape != shape:
                raise ValueError(
                    f"Images must have one size, but {filenames[0]!r} is {shape[:2]} and "
                    f"{filenames[i]!r} is {pixels.shape[:2]} (height, width). Pass "
                    "size=(height, width) to resize all of them."
                )
            data[i] = pixels

    with ThreadPoolExecutor() as pool:
        # Results come in order, so an error is the first one in the order of the files.
        for _ in pool.map(fill, range(0, len(filenames), _IMAGES_PER_TASK)):
            pass
    return data


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
