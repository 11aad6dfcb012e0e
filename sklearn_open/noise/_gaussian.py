"""Normal noise, the paper's law (section 3.1, Eq. 2-4), and the same with statistics per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklearn_open._constants import constant
from sklearn_open._inputs.lazy import LazyImages, chunks
from sklearn_open._inputs.pixels import ChannelMoments, PixelStatistics
from sklearn_open.noise._base import NoiseFamily

__all__ = ["ClassGaussianNoise", "GaussianNoise"]


class GaussianNoise(NoiseFamily):
    r"""Normal pixels with the mean and deviation of the training set, clipped (Eq. 2-4).

    Each pixel of channel :math:`l` is drawn independently from
    :math:`\mathcal{N}(\mu_l, \sigma_l)`, statistics of all training pixels of that channel, and
    clipped to the feasible range. The defaults are the paper's equations; the parameters are there
    to do what others have done.

    Parameters
    ----------
    statistics : pair of array-likes or None, default=None
        Mean and deviation of each channel, in units where pixels lie in [0, 1]. None takes those
        of the training set (Eq. 2).
    clip : bool, default=True
        Whether pixels are clipped to [0, 1], as in Eq. 4. The paper's Listing 2 does not clip.
    raw : bool, default=False
        Whether noise goes to the network as it was drawn, between normalised natural images; as in
        Listing 2, if its loader's images are normalised. Without a network, in
        `PureNoiseOverSampler.fit_resample`, it changes nothing.

    Attributes
    ----------
    mean_, std_ : numpy.ndarray of shape (n_channels,)
        Statistics in unit scale.
    """

    def __init__(self, statistics: Any = None, *, clip: bool = True, raw: bool = False) -> None:
        if statistics is not None:
            _check_statistics(statistics)
        self.statistics = statistics
        self.clip = clip
        self.raw = raw

    def fit(
        self, X: np.ndarray | LazyImages, codes: np.ndarray, statistics: PixelStatistics
    ) -> GaussianNoise:
        """Take the channel statistics of the training set (Eq. 2), unless others were given."""
        self.mean_, self.std_ = statistics.mean, statistics.std
        if self.statistics is not None:
            mean, std = _check_statistics(self.statistics, len(statistics.mean))
            self.mean_ = np.broadcast_to(mean, statistics.mean.shape)
            self.std_ = np.broadcast_to(std, statistics.std.shape)
        return self

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw normal images; see `NoiseFamily.sample`."""
        device = generator.device
        mean, std = constant(self.mean_[None], device), constant(self.std_[None], device)
        noise = _normal(mean, std, len(codes), shape, generator)
        return noise.clamp_(0, 1) if self.clip else noise

    def __repr__(self) -> str:
        return f"GaussianNoise({self.statistics!r}, clip={self.clip}, raw={self.raw})"


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
        return _normal(mean, std, len(codes), shape, generator).clamp_(0, 1)


def _normal(
    mean: torch.Tensor,
    std: torch.Tensor,
    n: int,
    shape: tuple[int, ...],
    generator: torch.Generator,
) -> torch.Tensor:
    mean, std = (rows.reshape(*rows.shape, *[1] * (len(shape) - 1)) for rows in (mean, std))
    noise = torch.randn((n, *shape), generator=generator, device=generator.device)
    return noise.mul_(std).add_(mean)


def _check_statistics(given: Any, n_channels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation that were given, each a number or one per channel."""
    try:
        mean, std = (np.asarray(part, dtype=float) for part in given)
        sizes = {part.size for part in (mean, std)} - {1}
        fits = n_channels is None or sizes <= {n_channels}
        if fits and max(mean.ndim, std.ndim) <= 1 and np.all(std >= 0):
            if np.isfinite(mean).all() and np.isfinite(std).all():
                return mean, std
    except (TypeError, ValueError):
        pass
    channels = "channel" if n_channels is None else f"of the {n_channels} channels"
    raise ValueError(
        f"statistics={given!r} is not understood. Pass a pair (mean, std) with one number for each "
        f"{channels}, in units where pixels lie in [0, 1], or None for those of the training set."
    )
