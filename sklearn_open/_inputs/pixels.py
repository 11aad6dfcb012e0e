"""Pixel scale: the one place that knows in which range the pixels of a data set lie.

Everything behind the estimator's door (augmentation, noise, normalisation) works in *unit scale*,
where the feasible range of a pixel is [0, 1] as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
import torch

from sklearn_open._constants import constant
from sklearn_open._inputs.lazy import LazyImages, chunks
from sklearn_open._warnings import warn_user

__all__ = ["ChannelMoments", "PixelScale", "PixelStatistics", "Readers"]


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

    @property
    def width(self) -> np.ndarray:
        """Units per unit scale; 1 where a column or the whole set is constant."""
        return np.where(self.high > self.low, self.high - self.low, 1.0)

    def warn_of_other_units(self, X: Any) -> None:
        """Warn of floats in [0, 1] where bytes were fitted, and of bytes where [0, 1] was.

        Of a data set, the first image is looked at.
        """
        if self.low.ndim or self.low != 0 or self.high not in (1, 255):
            return
        bytes_fitted, bytes_given = self.high == 255, X.dtype == np.uint8
        if bytes_fitted == bytes_given:
            return
        highest = _highest(X)
        if bytes_fitted and 0 < highest <= 1:
            _warn_of_units(
                "X holds floats of at most 1, but fit was given uint8 pixels from 0 to 255: these "
                "images are nearly black."
            )
        if bytes_given and highest > 1:
            _warn_of_units(
                f"X holds uint8 pixels of up to {highest:.0f}, but fit was given values from 0 to "
                "1: these images are far too bright."
            )

    def to_unit(self, x: torch.Tensor) -> torch.Tensor:
        """Return pixels in unit scale: a new tensor, float32, with channels first in memory."""
        low, width = constant(self.low, x.device), constant(self.width, x.device)
        # Strides are not left to chance: a network rounds differently for other ones.
        unit = torch.empty(x.shape, dtype=torch.float32, device=x.device).copy_(x)
        return unit.sub_(low).div_(width)

    def to_raw(self, unit: torch.Tensor, dtype: np.dtype) -> np.ndarray:
        """Return unit-scale values in the data's own units and dtype.

        Integers are rounded, and what the dtype cannot hold becomes the nearest that it can.
        """
        raw = unit.cpu().double().numpy() * self.width + self.low
        if dtype.kind not in "iub":
            return raw.astype(dtype)
        raw = np.rint(raw)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            # float64 rounds the largest values of 64 bits up, past what they can be.
            highest = np.nextafter(float(info.max), 0) if dtype.itemsize == 8 else info.max
            raw = np.clip(raw, info.min, highest)
        return raw.astype(dtype)


def _highest(X: np.ndarray | LazyImages) -> float:
    """Return the largest value, or one of those above 1."""
    highest = 0.0
    for _, chunk in chunks(X) if isinstance(X, np.ndarray) else [(0, X[:1])]:
        highest = max(highest, float(chunk.max()))
        if highest > 1:
            break
    return highest


def _warn_of_units(what: str) -> None:
    advice = "Pass images in the units that fit was given."
    warn_user(f"{what} {advice}")


class ChannelMoments:
    """Mean and standard deviation of each channel, gathered chunk by chunk.

    Parameters
    ----------
    n_channels : int
        Channels of an image, or columns of a table.

    Notes
    -----
    Merging the chunks' moments (Chan et al. 1983) avoids the cancellation of E[x^2] - E[x]^2.
    """

    def __init__(self, n_channels: int) -> None:
        self.count = 0
        self.mean, self._m2 = np.zeros(n_channels), np.zeros(n_channels)

    def add(self, rows: np.ndarray) -> None:
        """Take in rows (n, n_channels, ...)."""
        self.merge(*_moments(rows))

    def merge(self, count: int, mean: np.ndarray, m2: np.ndarray) -> None:
        """Take in rows of which number of pixels, mean and sum of squares about it are known."""
        total = self.count + count
        with np.errstate(invalid="ignore"):  # what is not finite is refused by its statistics
            delta = mean - self.mean
            self._m2 += m2
            self._m2 += delta**2 * (self.count * count / total)
            self.mean += delta * (count / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation, of division by the number of pixels, not by one less."""
        return np.sqrt(self._m2 / self.count)

    def in_unit(self, scale: PixelScale) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation in unit scale."""
        return (self.mean - scale.low) / scale.width, self.std / scale.width


def _moments(rows: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    # Each channel in one piece, whatever the layout: sums run along it, in float64.
    pixels = np.moveaxis(rows, 1, 0).astype(np.float64, order="C").reshape(rows.shape[1], -1)
    with np.errstate(invalid="ignore"):
        mean = pixels.mean(axis=1)
        pixels -= mean[:, None]
        return pixels.shape[1], mean, np.einsum("cp,cp->c", pixels, pixels)


@dataclass(frozen=True)
class _OfChunk:
    """What one chunk of rows tells."""

    moments: tuple[int, np.ndarray, np.ndarray]
    low: Any  # and its highest value, where the range is not known
    high: Any
    labels: list[Any]


class Readers(Protocol):
    """Ranks that read a data set together."""

    share: Any

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank has passed, in their order."""
        ...


def _read(
    X: np.ndarray | LazyImages,
    num_workers: int,
    ranks: Readers | None,
    with_range: bool,
    with_labels: bool,
) -> Iterable[_OfChunk]:
    """Return what the chunks of a data set tell, in order; each is read by one rank."""
    first, step = (0, 1) if ranks is None else (ranks.share.rank, ranks.share.n_ranks)
    labels: list[Any] | None = [] if with_labels else None
    own = _read_own(X, chunks(X, num_workers, labels, first, step), with_range, labels)
    if ranks is None or step == 1:
        return own
    in_turns = zip_longest(*ranks.gather(list(own)))
    return [of_chunk for turn in in_turns for of_chunk in turn if of_chunk is not None]


def _read_own(
    X: np.ndarray | LazyImages,
    parts: Iterable[tuple[slice, np.ndarray]],
    with_range: bool,
    labels: list[Any] | None,
) -> Iterator[_OfChunk]:
    axis = 0 if X.ndim == 2 else None
    for _, chunk in parts:
        low = chunk.min(axis=axis) if with_range else None
        high = chunk.max(axis=axis) if with_range else None
        yield _OfChunk(_moments(chunk), low, high, list(labels or ()))
        if labels:
            labels.clear()


@dataclass(frozen=True)
class PixelStatistics:
    """What one pass over a training set tells of its pixels.

    Attributes
    ----------
    scale : PixelScale
        Feasible range.
    mean, std : numpy.ndarray of shape (n_channels,), dtype float64
        Of each channel in unit scale (Eq. 2); `std` divides by the number of pixels.
    """

    scale: PixelScale
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(
        cls,
        X: np.ndarray | LazyImages,
        scale: PixelScale | None = None,
        num_workers: int = 0,
        labels: list[Any] | None = None,
        ranks: Readers | None = None,
    ) -> PixelStatistics:
        """Read a training set once, in chunks.

        Parameters
        ----------
        X : numpy.ndarray or LazyImages of shape (n, n_features) or (n, n_channels, height, width)
            Pixels in their own units.
        scale : PixelScale or None, default=None
            The range, if it is known. None: uint8 lies in [0, 255]; floats that all lie in [0, 1]
            are taken for [0, 1]; anything else has the range seen in `X`, of each column for a
            table and over all pixels for images (colours stay comparable).
        num_workers : int, default=0
            Processes that read a data set.
        labels : list or None, default=None
            Gets the labels of a data set's items, which are read in the same pass.
        ranks : Readers or None, default=None
            Who reads it together; each reads its part, and all get the same bits.
        """
        known: PixelStatistics | None = getattr(X, "statistics", None)
        if known is not None and scale is None and labels is None:
            return known  # of a data set that was read for its labels
        if scale is None and X.dtype == np.uint8:
            scale = PixelScale(np.float64(0), np.float64(255))
        moments = ChannelMoments(X.shape[1])
        low, high = np.float64(np.inf), np.float64(-np.inf)
        for of_chunk in _read(X, num_workers, ranks, scale is None, labels is not None):
            moments.merge(*of_chunk.moments)
            if scale is None:
                low, high = np.minimum(low, of_chunk.low), np.maximum(high, of_chunk.high)
            if labels is not None:
                labels += of_chunk.labels
        if scale is None:
            in_unit = X.dtype.kind in "fb" and np.all(low >= 0) and np.all(high <= 1)
            scale = PixelScale(np.float64(0), np.float64(1)) if in_unit else PixelScale(low, high)
        return cls(scale, *moments.in_unit(scale))
