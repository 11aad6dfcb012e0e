"""AutoAugment: two policies, their operations on 8-bit images, and batches that take them."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache, partial

import torch

from sklearn_open.augment._draws import randint

__all__ = ["random_autoaugment", "random_autoaugment_imagenet"]


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
    sub_policy = randint(len(policy), n, generator, torch.device("cpu"))
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


Policy = tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...]


@cache
def strength_of(name: str, magnitude: int, is_negative: bool) -> float:
    """Translate a magnitude of the policy into the operation's own parameter."""
    if name not in STRENGTHS:
        return 0.0
    # In float32 as torchvision does it: images that are rounded to 8 bits show the difference.
    value = torch.linspace(*STRENGTHS[name], 10)[magnitude].item()
    return -value if is_negative and name in SIGNED else value


def apply_operation(images: torch.Tensor, name: str, strength: float) -> torch.Tensor:
    """Apply one operation to 8-bit images."""
    from torchvision.transforms.v2 import functional as V

    height, width = images.shape[-2:]
    affine = partial(V.affine, images, angle=0.0, scale=1.0)
    match name:
        # Sheared about the corner, and by a slope, not an angle, as in the authors' code.
        case "ShearX":
            shear = [math.degrees(math.atan(strength)), 0.0]
            return affine(translate=[0, 0], shear=shear, center=[0, 0])
        case "ShearY":
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
    raise AssertionError(f"{name} is not an operation of AutoAugment.")


# An operation's parameter at magnitudes 0 and 9, linear between them.
STRENGTHS = {
    "ShearX": (0.0, 0.3),  # slope
    "ShearY": (0.0, 0.3),
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
SIGNED = STRENGTHS.keys() - {"Posterize", "Solarize"}

# 25 sub-policies of two operations (name, probability, magnitude 0 to 9; 0 where there is none).
CIFAR10_POLICY: Policy = (
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

IMAGENET_POLICY: Policy = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 0), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 0)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 0)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 0), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 0)),
    (("Equalize", 0.0, 0), ("Equalize", 0.8, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 0)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 0)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 0)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
)
