"""Augmentations by name, and augmentations of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sklearn_open._random import seeded_user_code
from sklearn_open.augment._autoaugment import (
    random_autoaugment,
    random_autoaugment_imagenet,
)
from sklearn_open.augment._color import random_color
from sklearn_open.augment._draws import draw_seed
from sklearn_open.augment._geometry import (
    random_cutout,
    random_cutout_16,
    random_flip_crop,
    random_resized_crop,
    random_rotation,
)
from sklearn_open.augment._torchvision import draws_once_per_call

__all__ = ["Augmentation", "check_augment"]


Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""A batch in [0, 1] and the generator to draw from -> a new batch of the same shape."""


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
        if augment not in PRESETS:
            names = ", ".join(map(repr, PRESETS))
            raise ValueError(
                f"augment={augment!r} is not a preset: use one of {names}, a callable that takes "
                "and returns a batch, or None."
            )
        return _Preset(augment, PRESETS[augment])
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
        with seeded_user_code(batch.device, draw_seed(generator)):
            copy = batch.clone()  # as the function may work in place
            one_by_one = draws_once_per_call(self.function)
            out = _stacked(self.function, copy) if one_by_one else self.function(copy)
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


def _stacked(function: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> Any:
    """Call a function on batches of one image, so that each has draws of its own."""
    parts = [function(image[None]) for image in batch]
    alike = all(isinstance(p, torch.Tensor) and p.shape == parts[0].shape for p in parts)
    return torch.cat(parts) if alike else parts[0]


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


PRESETS: dict[str, tuple[Augmentation, ...]] = {
    "flip_crop": (random_flip_crop,),
    "cutout": (random_flip_crop, random_cutout),
    "simclr": (random_flip_crop, random_cutout, random_color),
    "autoaugment": (random_autoaugment,),
    "simclr_then_cutout": (random_flip_crop, random_color, random_cutout),
    "simclr_cutout16": (random_flip_crop, random_cutout_16, random_color),
    "color_rotation": (random_color, random_rotation),
    "large": (random_resized_crop, random_color, random_rotation),
    "autoaugment_imagenet": (random_autoaugment_imagenet,),
}
