"""Augmentation of whole batches: every sample draws its own parameters, all samples at once."""

from sklearn_open.augment._presets import (
    Augmentation,
    check_augment,
    random_autoaugment,
    random_autoaugment_imagenet,
    random_color,
    random_cutout,
    random_flip_crop,
    random_resized_crop,
    random_rotation,
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
