"""How a trained model reads image files, as a file of `save` keeps it."""

from __future__ import annotations

from typing import Any

from sklearn_open._protocols import FittedNet

__all__ = ["checked_reader", "reader_facts"]


def reader_facts(net: FittedNet) -> dict[str, Any] | None:
    """Return the parameters of the reader that is set on a fitted estimator, if there is one.

    Raises
    ------
    TypeError
        If it is no reader.
    ValueError
        If it gives other images than the estimator takes.
    """
    reader = getattr(net, "image_reader_", None)
    if reader is None:
        return None
    if not isinstance(reader, _kind()):
        raise TypeError(
            f"image_reader_ is {reader!r}, and a file keeps an ImageReader: set "
            "image_reader_ = data.reader, of load_image_folder, or delete it."
        )
    _check_fits(reader, net.image_shape_)
    return reader.to_dict()


def checked_reader(values: Any, image_shape: tuple[int, ...]) -> Any:
    """Return the reader that a file says, or None where it says none.

    Parameters
    ----------
    values : dict or None
        As they were read.
    image_shape : tuple of int
        Of a row, as it was checked.

    Raises
    ------
    ValueError
        If they are no parameters of a reader, or it gives other images.
    """
    if values is None:
        return None
    reader = _kind().from_dict(values)
    _check_fits(reader, image_shape)
    return reader


def _kind() -> Any:
    from sklearn_open.datasets import ImageReader  # `import sklearn_open` goes without Pillow

    return ImageReader


def _check_fits(reader: Any, image_shape: tuple[int, ...]) -> None:
    """Compare what a reader gives with the images of (n_channels, height, width) that are taken."""
    if reader.mode == "auto":
        raise ValueError(
            "image_reader_ has mode='auto', which may read other images otherwise; set the one "
            "that load_image_folder returns, or image_reader_.settled(files) of the training files."
        )
    if len(image_shape) != 3:  # a table, of features that were made of images, perhaps
        return
    n_channels = {"L": 1, "RGB": 3}[reader.mode]
    size = tuple(image_shape[1:]) if reader.size is None else reader.size
    if (n_channels, *size) != tuple(image_shape):
        raise ValueError(
            f"image_reader_ is {reader!r}, which reads images of shape {(n_channels, *size)}, and "
            f"the classifier takes {tuple(image_shape)} (channels first). Set the reader of the "
            "images that it was fitted on, or delete it."
        )
