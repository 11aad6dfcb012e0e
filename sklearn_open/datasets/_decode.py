"""The content of an image file, which may come from a stranger, becomes pixels of one kind."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from sklearn_open._locks import ProcessLock
from sklearn_open.datasets._image_files import UnusableFileError
from sklearn_open.datasets._orientation import turned

__all__ = ["SIXTEEN_BIT", "decode_image", "is_grey", "sixteen_bit_image"]

SIXTEEN_BIT = "I;16"  # Pillow's mode of 16-bit grey

_T = TypeVar("_T")

# A file's content decides, not its suffix. Pillow knows many more, some rarely looked at; for one
# (EPS) it starts another program.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# What Pillow calls pixels of 16 bits in several channels before it cuts them down to 8. (Without
# the last letter, 16 bits are those of all channels together.)
_DEEP_COLOUR = re.compile(r".+;16[BLN]")
# Pillow's modes of grey, with transparency and of 16 bits included ("I;16" is cut at the ";").
_GREYS = ("1", "L", "LA", "La", "I", "F")
# TIFF's tags, and values of two of them.
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
# Python's filters of warnings belong to the process.
_FILTERS = ProcessLock()


def decode_image(
    read: Callable[[str], bytes], name: str, mode: str = "RGB", exif_transpose: bool = True
) -> Image.Image:
    """Decode an image file.

    Parameters
    ----------
    read : callable
        Gives the content of a file by its name.
    name : str
        The file.
    mode : {"RGB", "L", "auto"}, default="RGB"
        Colour or greyscale; images of other kinds are converted. 16-bit grey is not: it comes as
        `SIXTEEN_BIT`, with every level it has. "auto" is "L" for grey images, "RGB" for others.
    exif_transpose : bool, default=True
        Whether an image that was stored turned comes upright.

    Raises
    ------
    UnusableFileError
        If the file cannot be read, is damaged, has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``,
        has pixels of 32 bits, of 16 bits in colour or with a sign, or is no image of a format that
        is read; a ValueError.
    """
    content = b""
    try:
        content = read(name)
        return _whatever_is_warned(lambda: _decoded(name, content, mode, exif_transpose))
    except UnusableFileError:
        raise
    except Exception as error:  # damaged files raise about anything: OSError, SyntaxError, ...
        raise UnusableFileError(
            f"{name!r} cannot be read as an image ({_reason(error, content)}); replace or remove "
            "the file."
        ) from error


def is_grey(read: Callable[[str], bytes], name: str) -> bool:
    """Tell whether an image file is grey by its header, or by its palette.

    A file that cannot be read has no say: it is grey, until it is decoded and refused.

    Parameters
    ----------
    read, name
        As for `decode_image`.
    """

    def look() -> bool:
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            _check_pixels(name, opened)
            return _is_grey(opened)

    try:
        content = read(name)
        return _whatever_is_warned(look)
    except Exception:  # as for `decode_image`
        return True


def sixteen_bit_image(pixels: np.ndarray) -> Image.Image:
    """Return an image of `SIXTEEN_BIT` of values from 0 to 65535."""
    return Image.fromarray(pixels.astype("<u2"))


def _whatever_is_warned(decode: Callable[[], _T]) -> _T:
    """Decode, also where warnings are errors.

    Pillow's are of what is beside the pixels, and no setting of a user's may decide which images a
    data set has.
    """
    try:
        return decode()
    except Warning:
        with _FILTERS, warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return decode()


def _decoded(name: str, content: bytes, mode: str, exif_transpose: bool) -> Image.Image:
    with Image.open(BytesIO(content), formats=_FORMATS) as opened:
        _check_pixels(name, opened)
        tags = _tags(opened)
        _check_range(name, opened, tags)
        _check_colour(name, opened, tags)
        image = turned(opened, exif_transpose)
        if image.mode.startswith("I"):
            return _sixteen_bit(image, inverted=tags[_PHOTOMETRIC] == _WHITE_IS_ZERO)
        return image.convert(("L" if _is_grey(image) else "RGB") if mode == "auto" else mode)


def _tags(image: Image.Image) -> dict[int, Any]:
    """Return the tags of a TIFF file that are asked for below; of other files none."""
    found = getattr(image, "tag_v2", {})
    return {tag: found.get(tag) for tag in (_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT)}


def _reason(error: Exception, content: bytes) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own words name an object in memory
        if content.startswith((b"II*\0", b"MM\0*")):
            return (
                "it is a TIFF of a kind that is not read, as 16 bits with transparency, or damaged"
            )
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


def _check_range(name: str, image: Image.Image, tags: dict[int, Any]) -> None:
    """Refuse pixels of a range that is not known.

    Of 32 bits most use a small part, and would become black. Pillow has bytes with a sign as bytes
    without, so that those below zero would be white.
    """
    bits = _most(tags[_BITS])
    if _most(tags[_SAMPLE_FORMAT]) == _SIGNED and bits <= 16:
        raise UnusableFileError(
            f"{name!r} has pixels of {bits} bits with a sign, and nothing says which values are "
            f"black and white; save it with {bits} bits without a sign."
        )
    # As 32 bits Pillow has 16-bit PNG and PPM, too.
    sixteen_bit = image.mode.startswith("I;16") or image.format in ("PNG", "PPM")
    if image.mode == "F" or (image.mode == "I" and not sixteen_bit):
        kind = "floating" if image.mode == "F" else "integer"
        raise UnusableFileError(
            f"{name!r} has {kind} pixels of 32 bits, and nothing says which value is white; save "
            "it with 8 or 16 bits."
        )


def _check_colour(name: str, image: Image.Image, tags: dict[int, Any]) -> None:
    """Refuse colours of more than 8 bits, of which Pillow keeps 8 and says nothing."""
    if image.mode.startswith("I"):
        return
    deep = _most(tags[_BITS]) > 8
    for *_, args in getattr(image, "tile", []):
        raw_mode, *rest = args if isinstance(args, tuple) else (args,)
        deep |= isinstance(raw_mode, str) and bool(_DEEP_COLOUR.fullmatch(raw_mode))
        if image.format == "PPM" and rest and isinstance(rest[0], int):  # the highest value
            deep |= rest[0] > 255
    if deep:
        raise UnusableFileError(
            f"{name!r} has 16 bits in each channel of a colour (or in grey with transparency), of "
            "which only 8 could be read; save it with 8 bits in each channel, or as 16-bit grey "
            "without transparency."
        )


def _most(values: Any) -> int:
    """Return the largest value of a tag of TIFF, which holds one for each channel, or a number."""
    numbers = values if isinstance(values, tuple) else (values,)
    return max((number for number in numbers if isinstance(number, int)), default=0)


def _sixteen_bit(image: Image.Image, inverted: bool) -> Image.Image:
    """Return 16-bit grey as it is, in the one mode and byte order that all else is written for."""
    pixels = np.asarray(image)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 65535:
        raise ValueError("integer pixels outside 0 to 65535 have no known range")
    # Of 8 bits and fewer Pillow itself makes white the highest value.
    return sixteen_bit_image(65535 - pixels.astype(np.int32) if inverted else pixels)


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode.partition(";")[0] in _GREYS
    image.load()  # of some formats, the palette is read with the pixels
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())
