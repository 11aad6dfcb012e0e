"""Noise images: what they are drawn from.

The noise law of the paper (section 3.1, Eq. 2-4) is `GaussianNoise`. Every family works in unit
scale, where a pixel's feasible range is [0, 1]; noise is normalised afterwards like any image,
unless the family is `raw`.
"""

from sklearn_open.noise._additive import AdditiveGaussianNoise
from sklearn_open.noise._base import ImageNoiseFamily, NoiseFamily
from sklearn_open.noise._gaussian import ClassGaussianNoise, GaussianNoise
from sklearn_open.noise._names import check_noise
from sklearn_open.noise._uniform import UniformNoise

__all__ = [
    "AdditiveGaussianNoise",
    "ClassGaussianNoise",
    "GaussianNoise",
    "ImageNoiseFamily",
    "NoiseFamily",
    "UniformNoise",
    "check_noise",
]
