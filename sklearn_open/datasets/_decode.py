"""The content of an image file, which may come from a stranger, becomes pixels of one kind."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

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
        If the file cannot be read, is damaged, has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``,
        has pixels of 32 bits or is no image of a format that is read; a ValueError.
    """
    try:
        with Image.open(BytesIO(read(name)), formats=_FORMATS) as opened:
            _check_pixels(name, opened)
            _check_range(name, opened)
            return _eight_bit(opened).convert(mode)
    except UnusableFileError:
        raise
    except Exception as error:  # damaged files raise about anything: OSError, SyntaxError, ...
        raise UnusableFileError(
            f"{name!r} cannot be read as an image ({_reason(error)}); replace or remove the file."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own words name an object in memory
        return f"it is none of {', '.join(_FORMATS)}, or damaged"
    return f"{type(error).__name__}: {error}"


def _check_pixels(name: str, image: Image.Image) -> None:
    """Refuse, before anything is decoded, what Pillow itself would only warn of."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise UnusableFileError(
            f"{name!r} has {image.width} x {image.height} pixels, more than "
            f"PIL.Image.MAX_IMAGE_PIXELS ({limit}). Make the image smaller, or raise that limit if "
            "you trust the file."
        )


def _check_range(name: str, image: Image.Image) -> None:
    """Refuse pixels of 32 bits: most use a small part of their range, and would become black."""
    # As 32 bits Pillow has 16-bit PNG and PPM, too.
    sixteen_bit = image.mode.startswith("I;16") or image.format in ("PNG", "PPM")
    if image.mode == "F" or (image.mode == "I" and not sixteen_bit):
        kind = "floating" if image.mode == "F" else "integer"
        raise UnusableFileError(
            f"{name!r} has {kind} pixels of 32 bits, and nothing says which value is white; save "
            "it with 8 or 16 bits."
        )


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray down, which Pillow would cut off at 255."""
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 65535:
        raise ValueError("integer pixels outside 0 to 65535 have no known range")
    return Image.fromarray((pixels // 257).astype(np.uint8))
