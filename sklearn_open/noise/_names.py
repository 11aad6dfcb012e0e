"""From the name of a noise family, as samplers take it, to the family."""

from __future__ import annotations

import copy

from sklearn_open.noise._additive import AdditiveGaussianNoise
from sklearn_open.noise._base import NoiseFamily
from sklearn_open.noise._gaussian import ClassGaussianNoise, GaussianNoise
from sklearn_open.noise._uniform import UniformNoise

__all__ = ["check_noise"]

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
