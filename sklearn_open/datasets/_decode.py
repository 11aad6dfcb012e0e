"""The content of an image file, which may come from a stranger, becomes pixels of one kind."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from sklearn_open.datasets._image_files import UnusableFileError

__all__ = ["decode_image"]

# A file's content decides, not its suffix. Pillow knows many more, some rarely looked at; for one
# (EPS) it starts another program.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def decode_image(read: Callable[[str], bytes], name: str, mode: str = "RGB") -> Image.Image:
    """Decode an image file.

    Parameters
    ----------
    read : callable
        Gives the content of a file by its name.
    name : str
        The file.
    mode : {"RGB", "L"}, default="RGB"
        Colour or greyscale; images of other kinds are converted.

    Raises
    ------
    UnusableFileError
        If the file cannot be read, is damaged, has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``
        or is no image of a format that is read; a ValueError.
    """
    try:
        with Image.open(BytesIO(read(name)), formats=_FORMATS) as opened:
            _check_pixels(name, opened)
            return _eight_bit(opened).convert(mode)
    except UnusableFileError:
        raise
    except Exception as error:  # damaged files raise about anything: OSError, SyntaxError, ...
        raise UnusableFileError(
            f"{name!r} cannot be read as an image ({error!r}); replace or remove the file."
        ) from error


def _check_pixels(name: str, image: Image.Image) -> None:
    """Refuse, before anything is decoded, what Pillow itself would only warn of."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise UnusableFileError(
            f"{name!r} has {image.width} x {image.height} pixels, more than "
            f"PIL.Image.MAX_IMAGE_PIXELS ({limit}). Make the image smaller, or raise that limit if "
            "you trust the file."
        )


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray down, which Pillow would cut off at 255."""
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 65535:
        raise ValueError("integer pixels outside 0 to 65535 have no known range")
    return Image.fromarray((pixels // 257).astype(np.uint8))
