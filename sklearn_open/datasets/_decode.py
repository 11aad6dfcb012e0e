"""An image file becomes pixels of one kind."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

__all__ = ["decode_image"]


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
    FileNotFoundError
        If `read` does not find the file.
    ValueError
        If the file is damaged, or is no image.
    """
    try:
        with Image.open(BytesIO(read(name))) as opened:
            return _eight_bit(opened).convert(mode)
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged files raise about anything: OSError, SyntaxError, ...
        raise ValueError(
            f"{name!r} cannot be read as an image ({error!r}); replace or remove the file."
        ) from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray down, which Pillow would cut off at 255."""
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 65535:
        raise ValueError("integer pixels outside 0 to 65535 have no known range")
    return Image.fromarray((pixels // 257).astype(np.uint8))
