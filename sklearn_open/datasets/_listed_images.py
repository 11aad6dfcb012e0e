"""A data set of image files: it holds their paths, and opens one when it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from sklearn_open._checks import is_whole
from sklearn_open.datasets._decode import SIXTEEN_BIT, decode_image
from sklearn_open.datasets._image_files import Folder, UnusableFileError
from sklearn_open.datasets._image_reader import ImageReader, pixels_of

DEEP_MODES = (SIXTEEN_BIT, "I", "F")  # of Pillow: what holds 16 bits

__all__ = ["ListedImages", "check_transform", "resize_and_crop", "squeeze"]


class ListedImages(Dataset):
    """Image files with labels, opened one by one: a torch data set.

    It is an `X` for :class:`~sklearn_open.OPeNClassifier`: labels are known without opening an
    image, and images are read while training and predicting, so the pixels of a batch are all that
    is ever in memory.

    A slice, a mask or an array of positions gives the images named, unopened, as another
    `ListedImages`. So scikit-learn's splitters and searches take it as they take an array:
    ``train_test_split(data, data.targets)``, ``cross_val_score(clf, data, data.targets)``.

    Files are refused, when they are read, as :func:`~sklearn_open.datasets.load_image_folder`
    refuses them: what cannot be decoded or would lose levels, and what is too large.

    Parameters
    ----------
    root : path-like
        Folder of the images.
    filenames : sequence of str
        Paths of the images in `root`.
    targets : array-like of shape (n_samples,)
        Their labels, integers.
    transform : callable or None, default=None
        From a PIL image to what an item holds: a PIL image, an array or a tensor. The image is in
        RGB, but 16-bit grey comes in Pillow's mode "I;16", with every value of its file. Random
        transforms draw from torch's or NumPy's global generator, which the classifier seeds for
        every image it reads. None leaves images as they are.
    exif_transpose : bool, default=True
        Whether images that a camera stored turned or mirrored are upright, as their EXIF
        orientation says; see :func:`PIL.ImageOps.exif_transpose`. One that cannot be read counts as
        none. If False, rows are as they are stored.
    reader : ImageReader or None, default=None
        What reads the files, in place of `transform` and `exif_transpose`: an item then holds an
        array, of the pixels that :meth:`ImageReader.read` gives.
    follow_links : bool, default=True
        Whether links may lead out of `root`.

    Attributes
    ----------
    root, filenames, transform, exif_transpose, reader, follow_links
        As given.
    targets : ndarray of shape (n_samples,), dtype int64
        The labels.
    shape : tuple (n_samples,)
        As an array of n_samples objects has it.

    Raises
    ------
    ValueError
        If `targets` are not one integer for each of `filenames`, or both `transform` and `reader`
        are given.

    Examples
    --------
    >>> from sklearn_open.datasets import ListedImages
    >>> images = ListedImages("photos", ["a/1.jpg", "b/1.jpg"], [0, 1])
    >>> len(images), images.targets
    (2, array([0, 1]))
    >>> images[1:]
    ListedImages(1 images of 1 classes, root='photos', transform=None)
    >>> image, label = images[0]  # doctest: +SKIP
    """

    labels_are_targets = True  # of items: they need not be opened for their labels

    def __init__(
        self,
        root: str | Path,
        filenames: Sequence[str],
        targets: Any,
        transform: Callable[[Any], Any] | None = None,
        exif_transpose: bool = True,
        reader: ImageReader | None = None,
        follow_links: bool = True,
    ) -> None:
        self.root = Path(root)
        self.filenames = list(filenames)
        self.targets = _checked_targets(targets)
        self.transform = transform
        self.exif_transpose = exif_transpose
        self.reader = _checked_reader(reader, transform)
        self.follow_links = follow_links
        if len(self.filenames) != len(self.targets):
            raise ValueError(
                f"There are {len(self.filenames)} filenames and {len(self.targets)} targets; pass "
                "one label for each image."
            )

    @property
    def shape(self) -> tuple[int]:
        """``(n_samples,)``: scikit-learn indexes what has a shape as it does arrays."""
        return (len(self),)

    def __len__(self) -> int:
        return len(self.filenames)

    def __repr__(self) -> str:
        # torchvision's transforms have several lines.
        how = f"transform={' '.join(repr(self.transform).split())}"
        if self.reader is not None:
            how = f"reader={self.reader!r}"
        return (
            f"{type(self).__name__}({len(self):,} images of {len(np.unique(self.targets)):,} "
            f"classes, root={str(self.root)!r}, {how})"
        )

    def __getitem__(self, i: Any) -> Any:
        """Open image `i`, or return several images, unopened.

        Parameters
        ----------
        i : int, slice, or array-like of int or bool
            Position of an image; or those of several, as NumPy's arrays take them.

        Returns
        -------
        image : PIL.Image.Image, or what `transform` makes of it; with a `reader` an ndarray
        label : int
            Or, of several images, a `ListedImages`.

        Raises
        ------
        IndexError
            If there is no such position.
        FileNotFoundError
            If the file is not there.
        ValueError
            If it cannot be read as an image, or is too large for one to train on.
        """
        if isinstance(i, tuple) and len(i) == 2 and i[1] is Ellipsis:  # scikit-learn's form
            i = i[0]
        if isinstance(i, Integral):
            return self._open(int(i))
        positions = np.arange(len(self))[i]
        return self._open(int(positions)) if positions.ndim == 0 else self._taken(positions)

    def fingerprint(self) -> list[Any]:
        """Return what tells these images from others without opening them.

        Returns
        -------
        list
            How they are read, their labels, and name, size and time of change of each file.
        """
        files = [(name, (self.root / name).stat()) for name in self.filenames]
        stamps = [(name, found.st_size, found.st_mtime_ns) for name, found in files]
        return [self.reader, self.transform, self.exif_transpose, self.targets, stamps]

    def _taken(self, positions: np.ndarray) -> ListedImages:
        taken = copy.copy(self)
        taken.filenames = [self.filenames[i] for i in positions]
        taken.targets = self.targets[positions]
        return taken

    def _open(self, i: int) -> tuple[Any, int]:
        name = self.filenames[i]
        if not (self.root / name).exists():
            raise FileNotFoundError(
                f"Image {name!r} is not in {str(self.root)!r}. Put it there, or pass the folder "
                "that has it (as root or image_root)."
            )
        if self.reader is not None:
            return pixels_of(self.reader, self._read, name), int(self.targets[i])
        image = decode_image(self._read, name, exif_transpose=self.exif_transpose)
        if self.transform is not None:
            image = self._transformed(image, name)
        return image, int(self.targets[i])

    def _transformed(self, image: Any, name: str) -> Any:
        """Return what the transform makes of an image; 16 bits are not cut down on the way."""
        is_deep = image.mode == SIXTEEN_BIT
        # As 32 bits, which transforms of torchvision take; 16 they make negative numbers of.
        made = self.transform(image.convert("I") if is_deep else image)  # type: ignore[misc]
        eight_bit = str(getattr(made, "dtype", None)).endswith("int8")
        is_shallow = isinstance(made, Image.Image) and made.mode not in DEEP_MODES
        if is_deep and (eight_bit or is_shallow):
            raise UnusableFileError(
                f"{name!r} has 16 bits, and transform made 8 of them, by cutting off what is above "
                "255. Scale it first (numpy.asarray(image) / 65535), or leave the conversion out."
            )
        return made

    def _read(self, name: str) -> bytes:
        return Folder(self.root, self.follow_links).read(name)


def _checked_reader(reader: Any, transform: Any) -> ImageReader | None:
    if reader is None:
        return None
    if not isinstance(reader, ImageReader):
        raise ValueError(f"reader must be an ImageReader or None; got {reader!r}.")
    if transform is not None:
        raise ValueError(
            "Pass either a reader or a transform: both say how an image comes to its size."
        )
    return reader


def _checked_targets(targets: Any) -> np.ndarray:
    targets = np.asarray(targets)
    if targets.ndim != 1 or (len(targets) and targets.dtype.kind not in "iub"):
        raise ValueError(
            f"targets have the shape {targets.shape} and dtype {targets.dtype}; needed are "
            "integers, one for each image. Names of classes become numbers by "
            "numpy.unique(names, return_inverse=True)[1]."
        )
    if targets.size and int(targets.max()) > np.iinfo(np.int64).max:  # would become negative
        raise ValueError(
            f"targets go up to {targets.max()}, which 64 bits with a sign cannot hold; number the "
            "classes from 0."
        )
    return targets.astype(np.int64)


def check_transform(
    transform: Callable[[Any], Any] | None, image_size: int, default: Callable[[int], Any]
) -> Callable[[Any], Any]:
    """Return `transform`, or for None the default one to squares of `image_size` pixels.

    Raises
    ------
    TypeError
        If `transform` cannot be called.
    ValueError
        If `image_size` is not an integer of at least 1.
    """
    if transform is not None:
        if not callable(transform):
            raise TypeError(
                f"transform must be a callable from a PIL image to an image, or None; got "
                f"{transform!r}."
            )
        return transform
    if not is_whole(image_size) or image_size < 1:
        raise ValueError(f"image_size must be an integer of at least 1 pixel; got {image_size!r}.")
    return default(int(image_size))


def resize_and_crop(size: int) -> Any:
    """Return the usual transform of photographs for evaluation.

    The shorter side becomes 256/224 of `size`, then the centre is cut out: 256 and 224 pixels.
    """
    from torchvision.transforms import v2  # slow to import, and not needed for other data

    return v2.Compose([v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)])


def squeeze(size: int) -> Any:
    """Return a transform to squares that keeps all of the image, but not its proportions."""
    from torchvision.transforms import v2

    return v2.Resize((size, size))
