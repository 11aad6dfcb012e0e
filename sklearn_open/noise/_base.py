"""Noise images: what they are drawn from.

The noise law of the paper (section 3.1, Eq. 2-4) is `GaussianNoise`. Every family works in unit
scale, where a pixel's feasible range is [0, 1]; noise is normalised afterwards like any image,
unless the family is `raw`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

import numpy as np
import torch

from sklearn_open._inputs.containers import LazyImages, chunks
from sklearn_open._inputs.pixels import ChannelMoments, PixelStatistics, constant

__all__ = [
    "AdditiveGaussianNoise",
    "ClassGaussianNoise",
    "GaussianNoise",
    "ImageNoiseFamily",
    "NoiseFamily",
    "UniformNoise",
    "check_noise",
]


class NoiseFamily(ABC):
    """A distribution of pure noise images; subclass it to try another.

    Attributes
    ----------
    raw : bool
        Whether images go to the network as they were drawn, between normalised natural images.
        False unless a family says otherwise.
    """

    raw: bool = False

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


class ImageNoiseFamily(NoiseFamily):
    """Noise that starts from a training image of the row's class, and not from nothing.

    A noise row then keeps the image that its label comes from; it is not augmented. Subclass it to
    try another.
    """

    @abstractmethod
    def sample_from(
        self, images: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Make one noise image of each image.

        Parameters
        ----------
        images : torch.Tensor of shape (m, n_channels, ...), dtype float32
            Training images, pixels in [0, 1]; not to be changed in place.
        codes : torch.Tensor of shape (m,)
            Their classes.
        generator : torch.Generator
            Source of all randomness; its device is where the images are.

        Returns
        -------
        torch.Tensor of the shape of `images`, dtype float32
        """

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Raise TypeError: there is no noise without images to start from."""
        raise TypeError(
            f"{type(self).__name__} starts from images: call sample_from(images, codes, generator)."
        )


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


class UniformNoise(NoiseFamily):
    """Pixels uniform over the feasible range."""

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw uniform images; see `NoiseFamily.sample`."""
        return torch.rand((len(codes), *shape), generator=generator, device=generator.device)


class AdditiveGaussianNoise(ImageNoiseFamily):
    r"""A training image of the row's class with normal noise added to it (appendix B).

    The paper sweeps one `sigma` for all classes; its Figure 6 has a plateau from about 75 on,
    "where the input image practically becomes pure noise".

    Parameters
    ----------
    sigma : float, default=75
        Standard deviation of the noise, in units where the feasible range of a pixel is 0 to 255,
        whatever the units of the data.
    clip : bool, default=True
        Whether pixels are clipped to the feasible range afterwards, as pure noise is (Eq. 4).
        The paper does not say.

    Examples
    --------
    >>> from sklearn_open import PureNoiseOverSampler
    >>> from sklearn_open.noise import AdditiveGaussianNoise
    >>> PureNoiseOverSampler(noise=AdditiveGaussianNoise(sigma=25))
    PureNoiseOverSampler(noise=AdditiveGaussianNoise(sigma=25, clip=True))
    """

    def __init__(self, sigma: float = 75, *, clip: bool = True) -> None:
        is_number = isinstance(sigma, Real) and not isinstance(sigma, (bool, np.bool_))
        if not is_number or not 0 <= float(sigma) < np.inf:
            raise ValueError(
                f"sigma={sigma!r} is not a standard deviation. Pass a number of 0 or more, in "
                "units where pixels lie in 0 to 255; the paper's plateau begins at 75."
            )
        self.sigma = sigma
        self.clip = clip

    def sample_from(
        self, images: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Add noise to images; see `ImageNoiseFamily.sample_from`."""
        noise = torch.randn(images.shape, generator=generator, device=generator.device)
        noisy = noise.mul_(float(self.sigma) / 255).add_(images)
        return noisy.clamp_(0, 1) if self.clip else noisy

    def __repr__(self) -> str:
        return f"AdditiveGaussianNoise(sigma={self.sigma!r}, clip={self.clip})"


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


_FAMILIES: dict[str, type[NoiseFamily]] = {
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
    if noise not in _FAMILIES:
        names = ", ".join(map(repr, _FAMILIES))
        raise ValueError(f"noise={noise!r} is unknown. Use one of {names}, or a NoiseFamily.")
    return _FAMILIES[noise]()
