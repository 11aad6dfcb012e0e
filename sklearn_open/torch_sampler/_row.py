"""A row of a batch as it travels from the sampler to the data set, to a worker if need be."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PlannedRow"]


@dataclass(frozen=True)
class PlannedRow:
    """One row of a batch, as `PureNoiseBatchSampler` yields it and `PureNoiseDataset` reads it.

    Not an integer, so that a data set that does not know of noise cannot take it for one and train
    on the image that noise was to replace.

    Attributes
    ----------
    index : int
        Row of the training set. For a noise row: a row of its class, whose label it takes.
    code : int
        Class of the row, 0 to n_classes - 1.
    noise_seed : int or None
        What the noise image is drawn from; None for a natural row.
    n_rows : int or None
        Rows of the training set, as far as the sampler knows; None for a row of one's own.
    """

    index: int
    code: int
    noise_seed: int | None
    n_rows: int | None = None

    @property
    def is_noise(self) -> bool:
        """Whether the row's image is replaced with pure noise."""
        return self.noise_seed is not None
