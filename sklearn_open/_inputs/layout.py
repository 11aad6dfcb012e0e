"""Where the channels of an array of images are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sklearn_open._checks import is_whole

__all__ = ["Layout", "check_image_shape"]

COLOUR_CHANNELS = (1, 3, 4)  # gray, RGB, RGBA: what a last axis is taken for channels by


@dataclass(frozen=True)
class Layout:
    """Where the channels of an array of images are.

    Parameters
    ----------
    kind : {"table", "gray", "channels_first", "channels_last"}
        For arrays (n, n_features), (n, height, width), (n, n_channels, height, width) and
        (n, height, width, n_channels).
    """

    kind: str

    @classmethod
    def of(cls, shape: tuple[int, ...], image_shape: tuple[int, ...] | None = None) -> Layout:
        """Tell the layout from an array's shape.

        A 4-D array is read so that it matches `image_shape` (n_channels, height, width). Where
        that is not known, images are taken to be square if one reading makes them so; else the
        channels are last when the last axis has 1, 3 or 4 entries and the second axis has not.

        Raises
        ------
        ValueError
            When there are not two to four axes.
        """
        if len(shape) == 2:
            return cls("table")
        if len(shape) == 3:
            return cls("gray")
        if len(shape) == 4:
            last = shape[3] in COLOUR_CHANNELS and shape[1] not in COLOUR_CHANNELS
            if (shape[1] == shape[2]) != (shape[2] == shape[3]):
                last = shape[1] == shape[2]
            if image_shape is not None and image_shape in (shape[1:], _channels_moved(shape)):
                last = shape[1:] != image_shape
            return cls("channels_last" if last else "channels_first")
        raise ValueError(
            f"Found array with dim {len(shape)}, shape {shape}. Expected 2D array or images: pass "
            "(n, height, width), (n, height, width, channels), (n, channels, height, width), or a "
            "table (n, n_features). Reshape your data with X.reshape(len(X), -1)."
        )

    def channels_first(self, X: np.ndarray) -> np.ndarray:
        """Return a view of shape (n, n_channels, height, width); a table is returned as it is."""
        if self.kind == "gray":
            return X[:, None]
        return np.moveaxis(X, 3, 1) if self.kind == "channels_last" else X

    def restore(self, X: np.ndarray) -> np.ndarray:
        """Undo `channels_first`."""
        if self.kind == "gray":
            return X[:, 0]
        return np.ascontiguousarray(np.moveaxis(X, 1, 3)) if self.kind == "channels_last" else X


def _channels_moved(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[1], shape[2])


def check_image_shape(image_shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return (n_channels, height, width), or None for None.

    Raises
    ------
    ValueError
        For anything but two or three positive integers.
    """
    if image_shape is None:
        return None
    shape = tuple(image_shape) if isinstance(image_shape, Iterable) else ()
    whole = all(is_whole(side) and side >= 1 for side in shape)
    if len(shape) not in (2, 3) or not whole:
        raise ValueError(
            f"image_shape={image_shape!r} is not the shape of an image. Pass (n_channels, height, "
            "width), or (height, width) for gray images."
        )
    return (1, *shape) if len(shape) == 2 else shape
