"""Noise images: what they are drawn from."""

from sklearn_open.noise._base import (
    AdditiveGaussianNoise,
    ClassGaussianNoise,
    GaussianNoise,
    ImageNoiseFamily,
    NoiseFamily,
    UniformNoise,
    check_noise,
)

__all__ = [
    "AdditiveGaussianNoise",
    "ClassGaussianNoise",
    "GaussianNoise",
    "ImageNoiseFamily",
    "NoiseFamily",
    "UniformNoise",
    "check_noise",
]
