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
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional as F

from sklearn_open._random import seeded_global_rng, seeded_user_code

__all__ = [
    "Augmentation",
    "check_augment",
    "random_autoaugment",
    "random_color",
    "random_cutout",
    "random_flip_crop",
]

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""A batch in [0, 1] and the generator to draw from -> a new batch of the same shape."""

_PADDING = 4  # pixels of black around an image before it is cropped


def check_augment(
    augment: str | Callable[[torch.Tensor], torch.Tensor] | None,
) -> Augmentation | None:
    """Validate a user's choice of augmentation and return it in the form used inside.

    Parameters
    ----------
    augment : {"flip_crop", "cutout", "simclr", "autoaugment"}, callable or None
        What to do to the natural images of a batch.

        - "flip_crop": :func:`random_flip_crop`.
        - "cutout": the same, then :func:`random_cutout`.
        - "simclr": the same, then :func:`random_color`. This is the OPeN paper's recipe for
          small images, in the order of its appendix D.2.
        - "autoaugment": :func:`random_autoaugment` and nothing else.
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


def random_cutout(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Black out a square window of each image.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        With a window set to 0 in every channel. Its side s is half of the smaller image side
        (16 at 32x32, the paper's); its centre is uniform over the pixels; it covers rows and
        columns [centre - s // 2, centre - s // 2 + s) as far as they lie in the image, so it is
        often smaller than s x s [1]_.

    References
    ----------
    .. [1] T. DeVries, G. W. Taylor, "Improved Regularization of Convolutional Neural Networks
       with Cutout", arXiv:1708.04552, 2017.
    """
    n, _, height, width = batch.shape
    side = min(height, width) // 2
    rows = _in_window(height, side, n, generator, batch.device)
    columns = _in_window(width, side, n, generator, batch.device)
    return batch.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


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
    n, channels = batch.shape[:2]
    if channels != 3:
        raise ValueError(
            f"augment='autoaugment' needs RGB images, as its policy works on colours; got "
            f"{channels} channels. Use augment='cutout' instead."
        )
    policy = _randint(len(_CIFAR10_POLICY), n, generator, torch.device("cpu"))
    chance = torch.rand((n, 2), generator=generator, device=generator.device)
    negative = torch.randint(2, (n, 2), generator=generator, device=generator.device)
    draws = list(zip(policy[:, 0].tolist(), chance.tolist(), negative.tolist(), strict=True))

    images = (batch * 255).round().to(torch.uint8)
    for step in range(2):
        groups: dict[tuple[str, float], list[int]] = defaultdict(list)
        for row, (index, uniform, is_negative) in enumerate(draws):
            name, probability, magnitude = _CIFAR10_POLICY[index][step]
            if uniform[step] < probability:
                strength = _strength(name, magnitude, bool(is_negative[step]))
                groups[name, strength].append(row)
        for (name, strength), members in groups.items():
            rows = torch.tensor(members, device=images.device)
            images[rows] = _autoaugment_operation(images[rows], name, strength)
    return images.to(batch.dtype) / 255


@cache
def _strength(name: str, magnitude: int, is_negative: bool) -> float:
    """Translate a magnitude of the policy into the operation's own parameter."""
    if name not in _STRENGTHS:
        return 0.0
    # In float32 as torchvision does it: images that are rounded to 8 bits show the difference.
    strength = torch.linspace(*_STRENGTHS[name], 10)[magnitude].item()
    return -strength if is_negative and name in _SIGNED else strength


def _autoaugment_operation(images: torch.Tensor, name: str, strength: float) -> torch.Tensor:
    """Apply one operation to 8-bit images."""
    from torchvision.transforms.v2 import functional as V

    height, width = images.shape[-2:]
    affine = partial(V.affine, images, angle=0.0, scale=1.0)
    match name:
        case "ShearY":
            # Sheared about the corner, and by a slope, not an angle, as in the authors' code.
            shear = [0.0, math.degrees(math.atan(strength))]
            return affine(translate=[0, 0], shear=shear, center=[0, 0])
        case "TranslateX":
            return affine(translate=[int(strength * width), 0], shear=[0.0, 0.0])
        case "TranslateY":
            return affine(translate=[0, int(strength * height)], shear=[0.0, 0.0])
        case "Rotate":
            return V.rotate(images, angle=strength)
        case "Brightness":
            return V.adjust_brightness(images, 1 + strength)
        case "Color":
            return V.adjust_saturation(images, 1 + strength)
        case "Contrast":
            return V.adjust_contrast(images, 1 + strength)
        case "Sharpness":
            return V.adjust_sharpness(images, 1 + strength)
        case "Posterize":
            return V.posterize(images, bits=round(strength))
        case "Solarize":
            return V.solarize(images, threshold=255 * strength)
        case "AutoContrast":
            return V.autocontrast(images)
        case "Equalize":
            return V.equalize(images)
        case "Invert":
            return V.invert(images)
    raise AssertionError(f"{name} is not in the CIFAR-10 policy.")


# An operation's parameter at magnitudes 0 and 9, linear between them.
_STRENGTHS = {
    "ShearY": (0.0, 0.3),  # slope
    "TranslateX": (0.0, 150 / 331),  # share of the image side
    "TranslateY": (0.0, 150 / 331),
    "Rotate": (0.0, 30.0),  # degrees
    "Brightness": (0.0, 0.9),  # these four: change of the factor, which is 1 for no effect
    "Color": (0.0, 0.9),
    "Contrast": (0.0, 0.9),
    "Sharpness": (0.0, 0.9),
    "Posterize": (8.0, 4.0),  # bits left
    "Solarize": (1.0, 0.0),  # where inversion begins
}
_SIGNED = _STRENGTHS.keys() - {"Posterize", "Solarize"}

# Sub-policies of two operations (name, probability, magnitude 0 to 9; 0 where there is none).
_CIFAR10_POLICY = (
    (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
    (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
)

_PRESETS: dict[str, tuple[Augmentation, ...]] = {
    "flip_crop": (random_flip_crop,),
    "cutout": (random_flip_crop, random_cutout),
    "simclr": (random_flip_crop, random_cutout, random_color),
    "autoaugment": (random_autoaugment,),
}
