"""A data set of image files: it holds their paths, and opens one when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from sklearn_open.datasets._decode import decode_image
from sklearn_open.datasets._image_files import read_file

__all__ = ["ListedImages", "check_transform", "resize_and_crop", "squeeze"]


class ListedImages(Dataset):
    """Image files with labels, opened one by one: a torch data set.

    It is an `X` for :class:`~sklearn_open.OPeNClassifier`: labels are known without opening an
    image, and images are read while training and predicting, so the pixels of a batch are all that
    is ever in memory.

    Files are refused, when they are read, as :func:`~sklearn_open.datasets.load_image_folder`
    refuses them: what cannot be decoded, and what is too large. Links are followed.

    Parameters
    ----------
    root : path-like
        Folder of the images.
    filenames : sequence of str
        Paths of the images in `root`.
    targets : array-like of shape (n_samples,)
        Their labels, integers.
    transform : callable or None, default=None
        From a PIL image in RGB to what an item holds: a PIL image, an array or a tensor. Random
        transforms draw from torch's or NumPy's global generator, which the classifier seeds for
        every image it reads. None leaves images as they are.

    Attributes
    ----------
    root, filenames, transform
        As given.
    targets : ndarray of shape (n_samples,), dtype int64
        The labels.

    Examples
    --------
    >>> from sklearn_open.datasets import ListedImages
    >>> images = ListedImages("photos", ["a/1.jpg", "b/1.jpg"], [0, 1])
    >>> len(images), images.targets
    (2, array([0, 1]))
    >>> image, label = images[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        root: str | Path,
        filenames: Sequence[str],
        targets: Any,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.root = Path(root)
        self.filenames = list(filenames)
        self.targets = np.asarray(targets, dtype=np.int64)
        self.transform = transform
        if len(self.filenames) != len(self.targets):
            raise ValueError(
                f"There are {len(self.filenames)} filenames and {len(self.targets)} targets; pass "
                "one label for each image."
            )

    def __len__(self) -> int:
        return len(self.filenames)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        """Open image `i`.

        Returns
        -------
        image : PIL.Image.Image, or what `transform` makes of it
        label : int

        Raises
        ------
        FileNotFoundError
            If the file is not there.
        ValueError
            If it cannot be read as an image, or is too large for one to train on.
        """
        name = self.filenames[i]
        if not (self.root / name).exists():
            raise FileNotFoundError(
                f"Image {name!r} is not in {str(self.root)!r}. Put it there, or pass the folder "
                "that has it as image_root."
            )
        image = decode_image(self._read, name)
        return image if self.transform is None else self.transform(image), int(self.targets[i])

    def _read(self, name: str) -> bytes:
        return read_file(self.root / name, name)


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
    if not isinstance(image_size, Integral) or image_size < 1:
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
