"""From the name of a noise family, as samplers take it, to the family."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sklearn_open.noise._additive import AdditiveGaussianNoise
from sklearn_open.noise._base import NoiseFamily
from sklearn_open.noise._gaussian import ClassGaussianNoise, GaussianNoise
from sklearn_open.noise._uniform import UniformNoise

__all__ = ["check_noise", "fitted_noise"]

FAMILIES: dict[str, type[NoiseFamily]] = {
    "gaussian": GaussianNoise,
    "uniform": UniformNoise,
    "class_gaussian": ClassGaussianNoise,
    "additive": AdditiveGaussianNoise,
}


def check_noise(noise: str | NoiseFamily) -> NoiseFamily:
    """Return an unfitted noise family for a name, or a copy of the family given.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(noise, NoiseFamily):
        return copy.deepcopy(noise)
    if noise not in FAMILIES:
        names = ", ".join(map(repr, FAMILIES))
        raise ValueError(f"noise={noise!r} is unknown. Use one of {names}, or a NoiseFamily.")
    return FAMILIES[noise]()


def fitted_noise(statistics: Any) -> NoiseFamily:
    """Return a fitted family, or the paper's noise for mean and deviation of each channel.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(statistics, NoiseFamily):
        return statistics
    try:
        mean, std = (np.atleast_1d(np.asarray(part, dtype=float)) for part in statistics)
    except (TypeError, ValueError):
        mean = std = np.full(1, np.nan)
    if mean.shape != std.shape or not (np.all((mean >= 0) & (mean <= 1)) and np.all(std >= 0)):
        raise ValueError(
            f"noise={statistics!r} is not understood. Pass a pair (mean, std) with one number for "
            "each channel, in units where pixels lie in [0, 1], or a fitted NoiseFamily."
        )
    family = GaussianNoise()
    family.mean_, family.std_ = mean, std
    return family
