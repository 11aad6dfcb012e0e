"""Augmentation of whole batches: every sample draws its own parameters, all samples at once.

A batch is (n, C, H, W), floating, in pixel space [0, 1], where black is 0; noise images are never
augmented and normalisation comes later. The presets draw from the generator they are handed and
from nothing else, so that a batch's augmentation can be redrawn on its own.
"""

from sklearn_open.augment._autoaugment import random_autoaugment, random_autoaugment_imagenet
from sklearn_open.augment._color import random_color
from sklearn_open.augment._geometry import (
    random_cutout,
    random_flip_crop,
    random_resized_crop,
    random_rotation,
)
from sklearn_open.augment._presets import Augmentation, check_augment

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
