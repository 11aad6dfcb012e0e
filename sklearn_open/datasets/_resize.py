"""An image comes to a size: squeezed into it, padded to it, or cut to it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from sklearn_open.datasets._decode import SIXTEEN_BIT, sixteen_bit_image

__all__ = ["RESIZES", "resized"]

_BILINEAR = Image.Resampling.BILINEAR


def resized(image: Image.Image, size: tuple[int, int], how: str = "squeeze") -> Image.Image:
    """Return an image of the height and width given (bilinear).

    Values of 16 bits are interpolated as floating numbers and rounded once, at the end.

    Parameters
    ----------
    image : PIL.Image.Image
        Colour, grey, or grey of 16 bits as `decode_image` gives it.
    size : tuple (height, width) of int
        Of the result.
    how : {"squeeze", "pad", "crop"}, default="squeeze"
        See `ImageReader`.
    """
    width_height = size[::-1]
    if image.mode != SIXTEEN_BIT:
        return RESIZES[how](image, width_height)
    exact = RESIZES[how](Image.fromarray(np.asarray(image).astype(np.float32)), width_height)
    return sixteen_bit_image(np.rint(np.asarray(exact)).clip(0, 65535))


def _squeezed(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, _BILINEAR)


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return all of an image, with borders at two sides in its mean colour.

    As `PIL.ImageOps.pad`, which would make a very long image zero pixels wide, and does not know
    the colour.
    """
    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = (
        min(most, max(1, round(side * scale))) for side, most in zip(image.size, size, strict=True)
    )
    inner = image.resize((width, height), _BILINEAR)
    if inner.size == size:
        return inner
    mean = np.asarray(inner, dtype=np.float64).mean(axis=(0, 1))
    whole = image.mode != "F"
    colour = tuple((np.rint(mean).astype(int) if whole else mean).reshape(-1).tolist())
    outer = Image.new(image.mode, size, colour if len(colour) > 1 else colour[0])
    outer.paste(inner, ((size[0] - width) // 2, (size[1] - height) // 2))
    return outer


def _cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, _BILINEAR)


RESIZES = {"squeeze": _squeezed, "pad": _padded, "crop": _cropped}
