"""Noise that is added to training images (appendix B of the paper)."""

from __future__ import annotations

import numpy as np
import torch

from sklearn_open._checks import is_number
from sklearn_open.noise._base import ImageNoiseFamily

__all__ = ["AdditiveGaussianNoise"]


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
        if not is_number(sigma) or not 0 <= float(sigma) < np.inf:
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
