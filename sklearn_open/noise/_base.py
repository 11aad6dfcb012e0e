"""What a noise family is: the one interface of whatever stands in the place of a row."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._inputs.pixels import PixelStatistics

__all__ = ["ImageNoiseFamily", "NoiseFamily"]


class NoiseFamily(ABC):
    """A distribution of pure noise images; subclass it to try another.

    Attributes
    ----------
    raw : bool
        Whether images go to the network as they were drawn, between normalised natural images.
        False unless a family says otherwise.
    from_images : bool
        Whether `replacements` needs the training images that are replaced.
    """

    raw: bool = False
    from_images: bool = False

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

    def replacements(
        self,
        codes: torch.Tensor,
        shape: tuple[int, ...],
        generator: torch.Generator,
        images: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what stands in the place of rows: how samplers and batches ask for noise.

        Parameters
        ----------
        codes, shape, generator
            As for `sample`.
        images : torch.Tensor of shape (m, n_channels, ...) or None, default=None
            The training images that are replaced, pixels in [0, 1]; needed where `from_images`.
        """
        return self.sample(codes, shape, generator)


class ImageNoiseFamily(NoiseFamily):
    """Noise that starts from a training image of the row's class, and not from nothing.

    A noise row then keeps the image that its label comes from; it is not augmented. Subclass it to
    try another.
    """

    from_images = True

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

    def replacements(
        self,
        codes: torch.Tensor,
        shape: tuple[int, ...],
        generator: torch.Generator,
        images: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what `sample_from` makes of the images that are replaced."""
        assert images is not None, "this noise starts from images, and none are given"
        return self.sample_from(images, codes, generator)
