"""Augmentation of whole batches: every sample draws its own parameters, all samples at once.

A batch is (n, C, H, W), floating, in pixel space [0, 1], where black is 0; noise images are never
augmented and normalisation comes later. The presets draw from the generator they are handed and
from nothing else, so that a batch's augmentation can be redrawn on its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F

from sklearn_open._random import seeded_global_rng, seeded_user_code
from sklearn_open.augment._autoaugment import (
    CIFAR10_POLICY,
    IMAGENET_POLICY,
    Policy,
    apply_operation,
    strength_of,
)

__all__ = [
    "Augmentation",
    "check_augment",
    "random_autoaugment",
    "random_autoaugment_imagenet",
    "random_color",
    "random_cutout",
    "random_flip_crop",
    "random_resized_crop",
    "random_rotation",
]

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""A batch in [0, 1] and the generator to draw from -> a new batch of the same shape."""

_PADDING = 4  # pixels of black around an image before it is cropped
_CROP_AREA, _CROP_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # torchvision's defaults
_MAX_DEGREES = 30.0  # of a rotation, either way


def check_augment(
    augment: str | Callable[[torch.Tensor], torch.Tensor] | None,
) -> Augmentation | None:
    """Validate a user's choice of augmentation and return it in the form used inside.

    Parameters
    ----------
    augment : str, callable or None
        What to do to the natural images of a batch.

        - "flip_crop": :func:`random_flip_crop`.
        - "cutout": the same, then :func:`random_cutout`.
        - "simclr": the same, then :func:`random_color`. This is the OPeN paper's recipe for
          small images, in the order of its appendix D.2.
        - "autoaugment": :func:`random_autoaugment` and nothing else.
        - "simclr_then_cutout": as "simclr", but :func:`random_color` comes before
          :func:`random_cutout`, which is the order of the paper's section 5.
        - "simclr_cutout16": as "simclr", with a window of 16 pixels at most: the paper's for images
          of more than 32x32 pixels (CelebA-5).
        - "color_rotation": :func:`random_color`, :func:`random_rotation`. This is what the paper
          does to large images (ImageNet-LT, Places-LT) once they are cropped: for files, which
          torchvision's ``RandomResizedCrop`` crops when they are read.
        - "large": :func:`random_resized_crop`, then the same: for images of one size in memory.
        - "autoaugment_imagenet": :func:`random_autoaugment_imagenet` and nothing else.
        - A callable gets a batch, (n, C, H, W) in [0, 1], and returns a floating batch of the same
          shape: a kornia or torchvision module, or a function. Its values are its own business.
          While it runs, the global random states of torch (CPU and CUDA), NumPy and Python are
          seeded from the generator, so what it draws is reproducible.
        - None does nothing.

    Returns
    -------
    callable or None
        ``f(batch, generator)``, which returns a new batch on the batch's device and leaves the
        batch itself and global random states as they were. It can be pickled where the user's
        callable can.

    Raises
    ------
    TypeError, ValueError
        If `augment` is none of these.

    Examples
    --------
    >>> import torch
    >>> from sklearn_open.augment import check_augment
    >>> augment = check_augment("cutout")
    >>> augment(torch.rand(8, 3, 32, 32), torch.Generator().manual_seed(0)).shape
    torch.Size([8, 3, 32, 32])
    """
    if augment is None:
        return None
    if isinstance(augment, str):
        if augment not in _PRESETS:
            names = ", ".join(map(repr, _PRESETS))
            raise ValueError(
                f"augment={augment!r} is not a preset: use one of {names}, a callable that takes "
                "and returns a batch, or None."
            )
        return _Preset(augment, _PRESETS[augment])
    if callable(augment):
        return _UserAugmentation(augment)
    raise TypeError(
        f"augment must be the name of a preset, a callable that takes and returns a batch, or "
        f"None; got {augment!r}."
    )


@dataclass(frozen=True)
class _Preset:
    """Steps that run one after the other on the same generator."""

    name: str
    steps: tuple[Augmentation, ...]

    def __call__(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        _check_batch(batch)
        if len(batch) == 0:
            return batch
        for step in self.steps:
            batch = step(batch, generator)
        return batch


@dataclass(frozen=True)
class _UserAugmentation:
    """A user's f(batch) -> batch, made reproducible and checked."""

    function: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        _check_batch(batch)
        if len(batch) == 0:
            return batch
        with seeded_user_code(batch.device, _draw_seed(generator)):
            out = self.function(batch.clone())  # a copy, as the function may work in place
        return self._check_output(out, batch)

    def _check_output(self, out: Any, batch: torch.Tensor) -> torch.Tensor:
        if not isinstance(out, torch.Tensor):
            raise TypeError(
                f"The augmentation {self.function!r} returned {type(out).__name__}: it must return "
                "the augmented batch as a torch.Tensor."
            )
        if not out.is_floating_point():
            raise TypeError(
                f"The augmentation {self.function!r} returned {out.dtype}: it gets images in "
                "[0, 1] and must return floating images on that scale."
            )
        if out.shape != batch.shape:
            raise ValueError(
                f"The augmentation {self.function!r} returned shape {tuple(out.shape)} for a batch "
                f"of shape {tuple(batch.shape)}: it must keep the shape."
            )
        return out.to(batch)  # its device and dtype


def _check_batch(batch: torch.Tensor) -> None:
    if not batch.is_floating_point():
        raise TypeError(
            f"Augmentation needs floating images in [0, 1]; got {batch.dtype}. Divide 8-bit images "
            "by 255."
        )
    if batch.ndim != 4:
        raise ValueError(
            f"Augmentation needs a batch of images (n, C, H, W); got shape {tuple(batch.shape)}."
        )


def _draw_seed(generator: torch.Generator) -> int:
    """Draw what code that knows torch's global generators only is seeded with."""
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))


def _randint(high: int, n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw (n, 1) integers in [0, high), on the generator's device, for use on another."""
    draws = torch.randint(high, (n, 1), generator=generator, device=generator.device)
    return draws.to(device)


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
    top, left = (_randint(2 * padding + 1, n, generator, batch.device) for _ in range(2))
    flip = _randint(2, n, generator, batch.device).bool()

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


def _cutout_16(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return random_cutout(batch, generator, max_side=16)


def _in_window(
    length: int, side: int, n: int, generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """Tell for n windows which of an axis's positions they cover: (n, length), bool."""
    offset = torch.arange(length, device=device) - _randint(length, n, generator, device)
    return (offset >= -(side // 2)) & (offset < side - side // 2)


def random_color(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Jitter colours, drop colour and blur, each for some of the images.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        In [0, 1], after, for every image on its own,

        1. colour jitter with probability 0.8: brightness, contrast and saturation times
           U(0.6, 1.4), hue plus U(-0.1, 0.1) of the colour circle (the four in an order that is
           drawn once per batch);
        2. grayscale with probability 0.2;
        3. Gaussian blur with probability 0.5: kernel 3x3, sigma U(0.1, 2).

        Images that do not have three channels have no saturation, hue or grayscale: they get
        the jitter of brightness and contrast, and the blur.

    Notes
    -----
    The colour part of SimCLR's augmentation [1]_ by kornia. The OPeN paper gives no strengths;
    these are the public reproductions', who differ in the blur's probability only (0.5 or 0.2).

    References
    ----------
    .. [1] T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A Simple Framework for Contrastive
       Learning of Visual Representations", ICML 2020.
    """
    with seeded_global_rng(batch.device, _draw_seed(generator)):
        for layer in _color_layers(is_rgb=batch.shape[1] == 3):
            batch = layer(batch)
    return batch.clamp(0.0, 1.0)


@cache
def _color_layers(is_rgb: bool) -> list[torch.nn.Module]:
    """Build kornia's layers once: they draw anew in every call, whatever they did before.

    They remember their last draws, so one thread at a time may use them: `seeded_global_rng` sees
    to that.
    """
    import kornia.augmentation as K  # here, as `import sklearn_open` should not pay for it

    # A border that repeats the last pixel, unlike kornia's default, suits 1-pixel images too.
    blur = K.RandomGaussianBlur((3, 3), sigma=(0.1, 2.0), border_type="replicate", p=0.5)
    if not is_rgb:
        return [K.ColorJitter(brightness=0.4, contrast=0.4, p=0.8), blur]
    return [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), K.RandomGrayscale(p=0.2), blur]


def random_autoaugment(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply AutoAugment with the policy that was learnt on CIFAR-10.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, 3, H, W)
        RGB images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, 3, H, W)
        Every image after a sub-policy of its own, drawn uniformly from the 25: two operations,
        each applied with its probability, and for those that have one with a random sign [1]_.
        Values are multiples of 1/255, since several operations are defined on 8-bit images.

    Raises
    ------
    ValueError
        If the images are not RGB.

    Notes
    -----
    The operations and their strengths are torchvision's. Its own ``AutoAugment``, and kornia's,
    draw one sub-policy per call, that is one for the whole batch; here the images that drew the
    same operation at the same strength go through it together.

    References
    ----------
    .. [1] E. D. Cubuk, B. Zoph, D. Mane, V. Vasudevan, Q. V. Le, "AutoAugment: Learning
       Augmentation Strategies from Data", CVPR 2019.
    """
    return _autoaugmented(batch, generator, CIFAR10_POLICY, "autoaugment")


def random_autoaugment_imagenet(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply AutoAugment with the policy that was learnt on ImageNet.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, 3, H, W)
        RGB images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, 3, H, W)
        As :func:`random_autoaugment` does it, with the other policy.

    Raises
    ------
    ValueError
        If the images are not RGB.
    """
    return _autoaugmented(batch, generator, IMAGENET_POLICY, "autoaugment_imagenet")


def _autoaugmented(
    batch: torch.Tensor, generator: torch.Generator, policy: Policy, preset: str
) -> torch.Tensor:
    n, channels = batch.shape[:2]
    if channels != 3:
        raise ValueError(
            f"augment={preset!r} needs RGB images, as its policy works on colours; got "
            f"{channels} channels. Use augment='cutout' instead."
        )
    sub_policy = _randint(len(policy), n, generator, torch.device("cpu"))
    chance = torch.rand((n, 2), generator=generator, device=generator.device)
    negative = torch.randint(2, (n, 2), generator=generator, device=generator.device)
    draws = list(zip(sub_policy[:, 0].tolist(), chance.tolist(), negative.tolist(), strict=True))

    images = (batch * 255).round().to(torch.uint8)
    for step in range(2):
        groups: dict[tuple[str, float], list[int]] = defaultdict(list)
        for row, (index, uniform, is_negative) in enumerate(draws):
            name, probability, magnitude = policy[index][step]
            if uniform[step] < probability:
                strength = strength_of(name, magnitude, bool(is_negative[step]))
                groups[name, strength].append(row)
        for (name, strength), members in groups.items():
            rows = torch.tensor(members, device=images.device)
            images[rows] = apply_operation(images[rows], name, strength)
    return images.to(batch.dtype) / 255


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


_PRESETS: dict[str, tuple[Augmentation, ...]] = {
    "flip_crop": (random_flip_crop,),
    "cutout": (random_flip_crop, random_cutout),
    "simclr": (random_flip_crop, random_cutout, random_color),
    "autoaugment": (random_autoaugment,),
    "simclr_then_cutout": (random_flip_crop, random_color, random_cutout),
    "simclr_cutout16": (random_flip_crop, _cutout_16, random_color),
    "color_rotation": (random_color, random_rotation),
    "large": (random_resized_crop, random_color, random_rotation),
    "autoaugment_imagenet": (random_autoaugment_imagenet,),
}
