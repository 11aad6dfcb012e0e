"""Augmentations that move pixels, or take them away: flips, crops, rotations, Cutout."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from sklearn_open.augment._draws import randint

__all__ = [
    "random_cutout",
    "random_cutout_16",
    "random_flip_crop",
    "random_resized_crop",
    "random_rotation",
]

_PADDING = 4  # pixels of black around an image before it is cropped


_CROP_AREA, _CROP_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # torchvision's defaults


_MAX_DEGREES = 30.0  # of a rotation, either way


def random_flip_crop(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror half of the images, then shift each by up to four pixels.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        Horizontally flipped with probability 1/2, then a random (H, W) crop of the image with 4
        black pixels added on each side (half the smaller image side, where that is less, so that
        a tiny image stays in view).
    """
    n, channels, height, width = batch.shape
    padding = min(_PADDING, height // 2, width // 2)
    top, left = (randint(2 * padding + 1, n, generator, batch.device) for _ in range(2))
    flip = randint(2, n, generator, batch.device).bool()

    # Flip and crop only say which pixel of the padded image goes where, so both are one gather.
    padded_width = width + 2 * padding
    rows = top + torch.arange(height, device=batch.device)
    columns = left + torch.arange(width, device=batch.device)
    columns = torch.where(flip, padded_width - 1 - columns, columns)
    pixels = (rows[:, :, None] * padded_width + columns[:, None, :]).view(n, 1, -1)
    padded = F.pad(batch, (padding,) * 4)
    return padded.flatten(2).gather(2, pixels.expand(n, channels, -1)).view(batch.shape)


def random_cutout(
    batch: torch.Tensor, generator: torch.Generator, max_side: int | None = None
) -> torch.Tensor:
    """Black out a square window of each image.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.
    max_side : int or None, default=None
        Largest side of the window, in pixels.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        With a window set to 0 in every channel. Its side s is half of the smaller image side
        (16 at 32x32, the paper's), or `max_side` if that is less; its centre is uniform over the
        pixels; it covers rows and columns [centre - s // 2, centre - s // 2 + s) as far as they lie
        in the image, so it is often smaller than s x s [1]_.

    References
    ----------
    .. [1] T. DeVries, G. W. Taylor, "Improved Regularization of Convolutional Neural Networks
       with Cutout", arXiv:1708.04552, 2017.
    """
    n, _, height, width = batch.shape
    side = min(height, width) // 2
    if max_side is not None:
        side = min(side, max_side)
    rows = _in_window(height, side, n, generator, batch.device)
    columns = _in_window(width, side, n, generator, batch.device)
    return batch.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def random_cutout_16(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return random_cutout(batch, generator, max_side=16)


def _in_window(
    length: int, side: int, n: int, generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """Tell for n windows which of an axis's positions they cover: (n, length), bool."""
    offset = torch.arange(length, device=device) - randint(length, n, generator, device)
    return (offset >= -(side // 2)) & (offset < side - side // 2)


def random_resized_crop(
    batch: torch.Tensor, generator: torch.Generator, size: tuple[int, int] | None = None
) -> torch.Tensor:
    """Cut a piece of random area and shape out of each image, and enlarge it.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.
    size : tuple (height, width) of int or None, default=None
        Size of the images returned; None is that of the images given.

    Returns
    -------
    torch.Tensor of shape (n, C, height, width)
        Pieces of U(0.08, 1) of the image's area, with sides in a ratio (width to height) of 3/4
        to 4/3, uniform in its logarithm, from anywhere in the image. These are the defaults of
        torchvision's ``RandomResizedCrop``, and so is what happens to an image that is too small
        or narrow for ten draws: its middle is taken. Interpolation is bilinear.

    Notes
    -----
    A piece of the default size is never made smaller, where torchvision would smooth it first.
    """
    height, width = batch.shape[-2:]
    top, left, crop_height, crop_width = (
        side.to(batch.device) for side in _crop_boxes(height, width, len(batch), generator)
    )
    out_height, out_width = size or (height, width)
    rows = _enlarged(top, crop_height, out_height)
    columns = _enlarged(left, crop_width, out_width)
    return _at(batch, rows[:, :, None], columns[:, None, :]).clamp(0.0, 1.0)


def _crop_boxes(
    height: int, width: int, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Draw top, left, height and width of n pieces: whole pixels, each of shape (n,)."""

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    area = height * width * (_CROP_AREA[0] + (_CROP_AREA[1] - _CROP_AREA[0]) * uniform(n, 10))
    lowest, highest = (math.log(ratio) for ratio in _CROP_RATIO)
    ratio = torch.exp(lowest + (highest - lowest) * uniform(n, 10))
    widths, heights = torch.sqrt(area * ratio).round(), torch.sqrt(area / ratio).round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.int().argmax(1, keepdim=True)  # of several that are largest the first
    crop_height, crop_width = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
    top = (uniform(n) * (height - crop_height + 1)).floor().minimum(height - crop_height)
    left = (uniform(n) * (width - crop_width + 1)).floor().minimum(width - crop_width)

    lucky = fits.any(1)
    drawn, middle = (top, left, crop_height, crop_width), _middle(height, width)
    return tuple(torch.where(lucky, d, float(m)) for d, m in zip(drawn, middle, strict=True))


def _middle(height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the largest piece of an allowed ratio."""
    lowest, highest = _CROP_RATIO
    crop_height = min(height, round(width / lowest))
    crop_width = min(width, round(height * highest))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def _enlarged(start: torch.Tensor, length: torch.Tensor, new_length: int) -> torch.Tensor:
    """Tell where, in pixels, a stretch of each image is looked at: (n, new_length)."""
    centres = (torch.arange(new_length, device=start.device) + 0.5) / new_length
    inside = centres * length[:, None] - 0.5
    return start[:, None] + inside.clamp(min=0.0).minimum(length[:, None] - 1)


def random_rotation(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each image about its centre.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        Turned by U(-30, 30) degrees, bilinear, black where there was no image. The OPeN paper
        gives no angle; 30 is the largest that AutoAugment turns by.
    """
    n, _, height, width = batch.shape
    turn = torch.rand(n, generator=generator, device=generator.device).to(batch.device)
    angle = torch.deg2rad((2 * turn - 1) * _MAX_DEGREES)[:, None, None]
    y = torch.arange(height, device=batch.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, device=batch.device) - (width - 1) / 2
    rows = angle.sin() * x + angle.cos() * y + (height - 1) / 2
    columns = angle.cos() * x - angle.sin() * y + (width - 1) / 2
    return _at(batch, rows, columns).clamp(0.0, 1.0)


def _at(batch: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Interpolate images at positions in pixels, which broadcast to (n, H', W'); black outside."""
    height, width = batch.shape[-2:]
    rows, columns = torch.broadcast_tensors(rows, columns)
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return F.grid_sample(batch, grid.to(batch.dtype), align_corners=False)
