"""Pure noise images: what they are drawn from.

The noise law of the paper (section 3.1, Eq. 2-4) is `GaussianNoise`. Every family works in unit
scale, where a pixel's feasible range is [0, 1]; noise is normalised afterwards like any image.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import numpy as np
import torch

from sklearn_open._inputs import LazyImages, chunks
from sklearn_open._pixels import ChannelMoments, PixelStatistics, constant

__all__ = [
    "ClassGaussianNoise",
    "GaussianNoise",
    "NoiseFamily",
    "UniformNoise",
    "check_noise",
]


class NoiseFamily(ABC):
    """A distribution of pure noise images; subclass it to try another."""

    def fit(
        self, X: np.ndarray | LazyImages, codes: np.ndarray, statistics: PixelStatistics
    ) -> NoiseFamily:
        """Learn what the family needs from the training images; nothing by default.

        Parameters
        ----------
        X : numpy.ndarray or LazyImages of shape (n, n_channels, ...)
            Training images (or a table) in their own units.
        codes : numpy.ndarray of shape (n,)
            Classes 0 to n_classes - 1.
        statistics : PixelStatistics
            Feasible range of `X`, and mean and deviation of its channels, which are known without
            another pass over the data.
        """
        return self

    @abstractmethod
    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw one noise image for each label.

        Parameters
        ----------
        codes : torch.Tensor of shape (m,)
            The classes that the images will be labelled with.
        shape : tuple of int
            Shape (n_channels, ...) of one image.
        generator : torch.Generator
            Source of all randomness; its device is where the images are made.

        Returns
        -------
        torch.Tensor of shape (m, n_channels, ...), dtype float32
            Pixels in [0, 1].
        """


class GaussianNoise(NoiseFamily):
    r"""Normal pixels with the mean and deviation of the training set, clipped (Eq. 2-4).

    Each pixel of channel :math:`l` is drawn independently from
    :math:`\mathcal{N}(\mu_l, \sigma_l)`, statistics of all training pixels of that channel, and
    clipped to the feasible range.

    Attributes
    ----------
    mean_, std_ : numpy.ndarray of shape (n_channels,)
        Statistics in unit scale.
    """

    def fit(
        self, X: np.ndarray | LazyImages, codes: np.ndarray, statistics: PixelStatistics
    ) -> GaussianNoise:
        """Take the channel statistics of the training set (Eq. 2)."""
        self.mean_, self.std_ = statistics.mean, statistics.std
        return self

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw clipped normal images; see `NoiseFamily.sample`."""
        device = generator.device
        mean, std = constant(self.mean_[None], device), constant(self.std_[None], device)
        return _clipped_normal(mean, std, len(codes), shape, generator)


class ClassGaussianNoise(NoiseFamily):
    """As `GaussianNoise`, with statistics of the label's own class.

    Attributes
    ----------
    mean_, std_ : numpy.ndarray of shape (n_classes, n_channels)
        Statistics in unit scale.
    """

    def fit(
        self, X: np.ndarray | LazyImages, codes: np.ndarray, statistics: PixelStatistics
    ) -> ClassGaussianNoise:
        """Compute the channel statistics of every class."""
        moments = [ChannelMoments(X.shape[1]) for _ in range(codes.max() + 1)]
        for rows, chunk in chunks(X):
            for c in np.unique(codes[rows]):
                moments[c].add(chunk[codes[rows] == c])
        # A class without rows is never drawn; it gets the statistics of the whole set.
        per_class = [
            m.in_unit(statistics.scale) if m.count else (statistics.mean, statistics.std)
            for m in moments
        ]
        self.mean_, self.std_ = (np.stack(values) for values in zip(*per_class, strict=True))
        return self

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw clipped normal images; see `NoiseFamily.sample`."""
        device = generator.device
        mean, std = (constant(per_class, device)[codes] for per_class in (self.mean_, self.std_))
        return _clipped_normal(mean, std, len(codes), shape, generator)


class UniformNoise(NoiseFamily):
    """Pixels uniform over the feasible range."""

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw uniform images; see `NoiseFamily.sample`."""
        return torch.rand((len(codes), *shape), generator=generator, device=generator.device)


def _clipped_normal(
    mean: torch.Tensor,
    std: torch.Tensor,
    n: int,
    shape: tuple[int, ...],
    generator: torch.Generator,
) -> torch.Tensor:
    mean, std = (rows.reshape(*rows.shape, *[1] * (len(shape) - 1)) for rows in (mean, std))
    noise = torch.randn((n, *shape), generator=generator, device=generator.device)
    return noise.mul_(std).add_(mean).clamp_(0, 1)


_FAMILIES: dict[str, type[NoiseFamily]] = {
    "gaussian": GaussianNoise,
    "uniform": UniformNoise,
    "class_gaussian": ClassGaussianNoise,
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
    if noise not in _FAMILIES:
        names = ", ".join(map(repr, _FAMILIES))
        raise ValueError(f"noise={noise!r} is unknown. Use one of {names}, or a NoiseFamily.")
    return _FAMILIES[noise]()
