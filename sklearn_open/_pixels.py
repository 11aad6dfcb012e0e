"""Pixel scale: the one place that knows in which range the pixels of a data set lie.

Everything behind the estimator's door (augmentation, noise, normalisation) works in *unit scale*,
where the feasible range of a pixel is [0, 1] as in the paper.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["PixelScale", "channel_statistics"]

CHUNK_BYTES = 2**25  # how much of a data set is held as float64 at a time


@dataclass(frozen=True)
class PixelScale:
    """Feasible range of the pixels of a data set.

    Parameters
    ----------
    low, high : numpy.ndarray of shape () or (n_features,)
        What 0 and 1 of the unit scale are in the data's own units.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> PixelScale:
        """Return the range that the pixels of a training set can take.

        uint8 lies in [0, 255]; floats that all lie in [0, 1] are taken for [0, 1]; anything else
        has the range seen in `X`, of each column for a table and over all pixels for images
        (colours stay comparable).

        Parameters
        ----------
        X : numpy.ndarray of shape (n, n_features) or (n, n_channels, height, width)
        """
        if X.dtype == np.uint8:
            return cls(np.float64(0), np.float64(255))
        axis = 0 if X.ndim == 2 else None
        ranges = [(chunk.min(axis=axis), chunk.max(axis=axis)) for chunk in _chunks(X)]
        low = np.min([low for low, _ in ranges], axis=0).astype(np.float64)
        high = np.max([high for _, high in ranges], axis=0).astype(np.float64)
        if X.dtype.kind in "fb" and np.all(low >= 0) and np.all(high <= 1):
            return cls(np.float64(0), np.float64(1))
        return cls(low, high)

    @property
    def width(self) -> np.ndarray:
        """Units per unit scale; 1 where a column or the whole set is constant."""
        return np.where(self.high > self.low, self.high - self.low, 1.0)

    def warn_of_other_units(self, X: Any) -> None:
        """Warn of floats in [0, 1] where bytes were fitted: an image divided by 255 looks black."""
        bytes_fitted = self.low.ndim == 0 and self.high == 255
        if (
            bytes_fitted
            and isinstance(X, np.ndarray)
            and X.dtype != np.uint8
            and X.size
            and 0 < X.max() <= 1
        ):
            warnings.warn(
                "X holds floats of at most 1, but fit was given uint8 pixels from 0 to 255: these "
                "images are nearly black. Pass images in the units that fit was given.",
                UserWarning,
                stacklevel=2,
            )

    def to_unit(self, x: torch.Tensor) -> torch.Tensor:
        """Return pixels in unit scale, float32."""
        low, width = self._like(self.low, x), self._like(self.width, x)
        return (x.to(torch.float32) - low) / width

    def to_raw(self, unit: torch.Tensor, dtype: np.dtype) -> np.ndarray:
        """Return unit-scale values in the data's own units and dtype (integers are rounded)."""
        values = unit.cpu().double() * self._like(self.width, unit, torch.float64)
        raw = (values + self._like(self.low, unit, torch.float64)).numpy()
        return (np.rint(raw) if dtype.kind in "iub" else raw).astype(dtype)

    def _like(
        self, value: np.ndarray, x: torch.Tensor, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        device = x.device if dtype == torch.float32 else "cpu"
        return torch.as_tensor(value, dtype=dtype, device=device)


def _chunks(X: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, CHUNK_BYTES // max(1, 8 * int(np.prod(X.shape[1:]))))
    for start in range(0, len(X), rows):
        yield np.asarray(X[start : start + rows])


def channel_statistics(X: np.ndarray, scale: PixelScale) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel in unit scale (Eq. 2).

    Parameters
    ----------
    X : numpy.ndarray of shape (n, n_channels, ...)
        Pixels in their own units; read in chunks, so a memory map is never held whole.
    scale : PixelScale
        The range that is mapped to [0, 1].

    Returns
    -------
    mean, std : numpy.ndarray of shape (n_channels,), dtype float64
        `std` divides by the number of pixels, not by one less.
    """
    n_channels = X.shape[1]
    count, mean, m2 = 0, np.zeros(n_channels), np.zeros(n_channels)
    for chunk in _chunks(X):
        pixels = np.moveaxis(chunk.astype(np.float64), 1, -1).reshape(-1, n_channels)
        # Chan et al. 1983: merging chunk means avoids the cancellation of E[x^2] - E[x]^2.
        delta = pixels.mean(axis=0) - mean
        total = count + len(pixels)
        m2 += pixels.var(axis=0) * len(pixels) + delta**2 * count * len(pixels) / total
        mean += delta * len(pixels) / total
        count = total
    return (mean - scale.low) / scale.width, np.sqrt(m2 / count) / scale.width
