"""Which way up an image is, by what the camera wrote beside its pixels (EXIF or XMP)."""

from __future__ import annotations

import re
import struct

from PIL import Image

__all__ = ["turned"]

_TAG = 0x0112
# How each orientation of EXIF becomes upright, and how an upright image becomes what is stored.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STORED = {
    **_UPRIGHT,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"II\0*": "<", b"MM*\0": ">"}  # as Pillow takes them
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}


def turned(image: Image.Image, upright: bool) -> Image.Image:
    """Load an image, upright or in the rows that its file has.

    As `PIL.ImageOps.exif_transpose`, but an orientation that cannot be read counts as none, without
    a warning: what is beside the pixels need not be in order for these to be of use.

    Parameters
    ----------
    image : PIL.Image.Image
        As it was opened; it is loaded here.
    upright : bool
        Whether it is turned as its orientation says.
    """
    if image.format == "TIFF":  # Pillow turns these while it loads them, and forgets that it did
        orientation = _orientation(image)
        image.load()
        method = None if upright else _STORED.get(orientation)
    else:
        image.load()  # of a PNG, the orientation may stand behind the pixels
        method = _UPRIGHT.get(_orientation(image)) if upright else None
    return image if method is None else image.transpose(method)


def _orientation(image: Image.Image) -> int:
    """Return what the file says, or 0."""
    if image.format == "TIFF":
        said = getattr(image, "tag_v2", {}).get(_TAG, 0)
    else:
        said = _of_exif(_exif_block(image.info))
    return said if isinstance(said, int) and said else _of_xmp(image.info)


def _exif_block(info: dict) -> bytes:
    block = info.get("exif")
    if block is None:  # ImageMagick writes it to a PNG as text: three lines, then hexadecimals
        try:
            block = bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))
        except (KeyError, ValueError):
            return b""
    return block if isinstance(block, bytes) else b""


def _of_exif(block: bytes) -> int:
    """Return the orientation of an EXIF block, or 0 if it has none, or is damaged before it."""
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    order = _BYTE_ORDERS.get(block[:4])
    if order is None:
        return 0
    try:
        (start,) = struct.unpack_from(f"{order}L", block, 4)
        (n_entries,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * n_entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, at)
            if tag == _TAG:
                (value,) = struct.unpack_from(f"{order}{_WHOLE_NUMBERS[kind]}", block, at + 8)
                return int(value)
    except (struct.error, KeyError):  # cut off; or of a type that is no number
        pass
    return 0


def _of_xmp(info: dict) -> int:
    text = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    found = re.search(r'tiff:Orientation(?:="|>)([0-9])', text) if isinstance(text, str) else None
    return int(found[1]) if found else 0
