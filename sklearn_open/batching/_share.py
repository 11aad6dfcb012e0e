"""Which rows of every batch are a rank's."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn_open.plan import rank_part

__all__ = ["WHOLE", "Share"]


@dataclass(frozen=True)
class Share:
    """The share of one rank in every batch.

    Parameters
    ----------
    rank : int, default=0
    n_ranks : int, default=1
        How many ranks share a batch.
    """

    rank: int = 0
    n_ranks: int = 1

    def rows(self, n_natural: int, n_noise: int) -> tuple[slice, slice]:
        """Return which natural rows and which noise rows of a batch are this rank's."""
        return rank_part(n_natural, n_noise, self.rank, self.n_ranks)

    @property
    def key(self) -> tuple[int, ...]:
        """What this rank's random numbers have in their key besides: nothing for one process."""
        return () if self.n_ranks == 1 else (self.rank,)


WHOLE = Share()
